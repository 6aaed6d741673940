#!/bin/bash
# selftest.sh: shows that each server does what it says, with curl and keys in software. Prints TAP lines.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
for command in curl openssl jose; do
    command -v "$command" >/dev/null 2>&1 || { echo "needs $command"; exit 77; }
done
work=$(mktemp -d)
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    for name in nginx-jwks oidc closed faults; do
        [ ! -d "$work/$name" ] || "$here/${name/closed/oidc}.sh" "$work/$name" down
    done
    rm -rf "$work"
}
trap cleanup EXIT

number=0
failed=0
ok() { number=$((number + 1)); echo "ok $number - $1"; }
not_ok() { # not_ok NAME DETAIL
    number=$((number + 1))
    failed=$((failed + 1))
    echo "not ok $number - $1"
    awk '{print "# " $0}' <<<"${2:0:2000}" | tr -cd '\n\t -~'
}
skipped() { number=$((number + 1)); echo "ok $number - $1 # SKIP $2"; }
check() { # check NAME STATUS DETAIL
    if [ "$2" -eq 0 ]; then ok "$1"; else not_ok "$1" "$3"; fi
}
is() { # is NAME WANTED FOUND
    [ "$2" = "$3" ]
    check "$1" $? "wanted: $2
found:  $3"
}
has() { # has NAME PATTERN TEXT
    grep -qaE -- "$2" <<<"$3"
    check "$1" $? "wanted: $2
found:  $3"
}

lines=$("$here/pki.sh" "$work/pki") || exit $?
eval "$lines"
http() { curl -s --max-time 20 --cacert "$PKI_CA" "$@"; }
b64url() { base64 -w0 | tr '+/' '-_' | tr -d =; }
member() { # member NAME: a string or number of a flat JSON object on stdin
    sed -nE "s/.*\"$1\" ?: ?\"?([^\",}]*).*/\1/p"
}

# ---- Certificates ----

verified() { openssl verify -verify_hostname localhost "$@" 2>&1; }
has 'pki: the good certificate verifies' ': OK$' "$(verified -CAfile "$PKI_CA" "$PKI_DIR/good.pem")"
has 'pki: so it does with the hashed directory' ': OK$' "$(verified -CApath "$PKI_CA_DIR" "$PKI_DIR/good.pem")"
has 'pki: and for 127.0.0.1' ': OK$' "$(openssl verify -verify_ip 127.0.0.1 -CAfile "$PKI_CA" "$PKI_DIR/good.pem" 2>&1)"
while read -r name reason; do
    has "pki: the $name certificate does not" "$reason" "$(verified -CAfile "$PKI_CA" "$PKI_DIR/$name.pem")"
done <<'ROWS'
expired certificate has expired
not-yet certificate is not yet valid
wrong-host hostname mismatch
untrusted unable to get local issuer
self-signed self-signed certificate
incomplete unable to get local issuer
ROWS
has 'pki: the incomplete one does with its intermediate' ': OK$' \
    "$(verified -CAfile "$PKI_CA" -untrusted "$PKI_DIR/intermediate.pem" "$PKI_DIR/incomplete.pem")"

# ---- Keys in software ----

for alg in RS384 ES384; do
    jose jwk gen -i "{\"alg\":\"$alg\"}" -o "$work/$alg.jwk"
    kid=$(jose jwk thp -i "$work/$alg.jwk")
    jose jwk pub -i "$work/$alg.jwk" | sed "s/^{/{\"kid\":\"$kid\",\"use\":\"sig\",/" >"$work/$alg.pub"
    echo "$kid" >"$work/$alg.kid"
done
jwks() { # jwks ALG…: the public keys as a set
    local keys='' alg
    for alg; do keys+=${keys:+,}$(sed 's/"key_ops":\[[^]]*\],\?//' "$work/$alg.pub"); done
    echo "{\"keys\":[$keys]}"
}
assertion() { # assertion ALG CLIENT_ID AUD [KID [JTI]]
    local now header
    now=$(date +%s)
    header="{\"alg\":\"$1\",\"typ\":\"JWT\",\"kid\":\"${4:-$(cat "$work/$1.kid")}\"}"
    printf '{"iss":"%s","sub":"%s","aud":"%s","iat":%d,"exp":%d,"jti":"%s"}' "$2" "$2" "$3" "$now" $((now + 240)) \
        "${5:-$(openssl rand -hex 16)}" |
        jose jws sig -I- -k "$work/$1.jwk" -s "{\"protected\":$header}" -c | tr -d '\n'
}
assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer
ask() { # ask TOKEN_URL ASSERTION: a token request with private_key_jwt
    http -H 'Accept: application/json' --data-urlencode "client_assertion_type=$assertion_type" \
        -d grant_type=client_credentials --data-urlencode "client_assertion=$2" \
        --data-urlencode 'scope=system/*.rs' "$1"
}

# ---- nginx ----

have_nginx=yes
if lines=$("$here/nginx-jwks.sh" "$work/nginx-jwks" 2>"$work/reason"); then
    eval "$lines"
    jwks RS384 ES384 >"$JWKS_ROOT/jwks.json"
    answer=$(http -i "$JWKS_URL")
    has 'nginx: serves the JWKS as application/json' '^Content-Type: application/json.$' "$answer"
    has 'nginx: with Cache-Control' '^Cache-Control: max-age=60.$' "$answer"
    has 'nginx: and the keys in it' '"kty"' "$answer"
    "$here/nginx-jwks.sh" "$work/nginx-jwks" max-age 5
    has 'nginx: max-age can be changed while it runs' '^Cache-Control: max-age=5.$' "$(http -i "$JWKS_URL")"
    sleep 0.1
    is 'nginx: its log counts the requests' 2 "$("$here/requests" "$JWKS_LOG" endpoint=jwks status=200)"
else
    have_nginx=
    skipped 'nginx' "$(tail -n 1 "$work/reason")"
fi

# ---- oidc-provider ----

register() { # register URL MEMBERS [HEADER…]
    local url=$1 members=$2
    shift 2
    http -H 'Content-Type: application/json' "$@" \
        -d "{\"grant_types\":[\"client_credentials\"],\"response_types\":[],$members}" "$url"
}
private_key='"token_endpoint_auth_method":"private_key_jwt"'

oidc_rows() {
    local answer id secret used access_token next
    has 'oidc: SMART discovery tells the token endpoint' "\"token_endpoint\":\"$OIDC_TOKEN_URL\"" \
        "$(http "$OIDC_FHIR/.well-known/smart-configuration")"

    for alg in RS384 ES384; do
        id=$(register "$OIDC_REGISTER_URL" "$private_key,\"jwks\":$(jwks $alg)" | member client_id)
        answer=$(ask "$OIDC_TOKEN_URL" "$(assertion $alg "$id" "$OIDC_TOKEN_URL")")
        has "oidc: $alg with a registered jwks is accepted" '"access_token":.*"token_type":"Bearer"' "$answer"
    done
    has 'oidc: the scope is granted' '"scope":"system/\*.rs"' "$answer"
    has 'oidc: a wrong kid is refused' '"invalid_client"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion ES384 "$id" "$OIDC_TOKEN_URL" other-kid)")"
    has 'oidc: a wrong audience is refused' '"invalid_client"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion ES384 "$id" https://wrong.example/token)")"
    has 'oidc: an unknown client is refused' '"invalid_client"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion ES384 nobody "$OIDC_TOKEN_URL")")"
    used=$(assertion ES384 "$id" "$OIDC_TOKEN_URL")
    answer=$(ask "$OIDC_TOKEN_URL" "$used")
    has 'oidc: an assertion is refused the second time' '"invalid_client"' "$(ask "$OIDC_TOKEN_URL" "$used")"

    access_token=$(member access_token <<<"$answer")
    answer=$(http -H "Authorization: Bearer $access_token" "$OIDC_FHIR/Patient")
    has 'oidc: FHIR answers a good access token' '"resourceType":"Bundle"' "$answer"
    next=$(sed -nE 's/.*"relation":"next","url":"([^"]*)".*/\1/p' <<<"$answer")
    has 'oidc: and the next page' '"id":"p4"' "$(http -H "Authorization: Bearer $access_token" "$next")"
    has 'oidc: a single Patient' '"id":"p7"' "$(http -H "Authorization: Bearer $access_token" "$OIDC_FHIR/Patient/p7")"
    has 'oidc: 404 with an OperationOutcome' '"not-found"' \
        "$(http -H "Authorization: Bearer $access_token" "$OIDC_FHIR/Patient/none")"
    has 'oidc: 401 for an unknown access token' '^HTTP/1.1 401' \
        "$(http -i -H 'Authorization: Bearer unknown' "$OIDC_FHIR/Patient")"
    http -X POST "$OIDC_CONTROL/revoke" >/dev/null
    has 'oidc: 401 for one that was revoked' '"expired"' \
        "$(http -H "Authorization: Bearer $access_token" "$OIDC_FHIR/Patient")"
    http -X POST "$OIDC_CONTROL/lifetime?seconds=1" >/dev/null
    answer=$(ask "$OIDC_TOKEN_URL" "$(assertion ES384 "$id" "$OIDC_TOKEN_URL")")
    has 'oidc: the life of access tokens can be set' '"expires_in":1[,}]' "$answer"
    sleep 1.2
    has 'oidc: 401 for one that has expired' '"expired"' \
        "$(http -H "Authorization: Bearer $(member access_token <<<"$answer")" "$OIDC_FHIR/Patient")"

    for method in basic post; do
        answer=$(register "$OIDC_REGISTER_URL" "\"token_endpoint_auth_method\":\"client_secret_$method\"")
        id=$(member client_id <<<"$answer")
        secret=$(member client_secret <<<"$answer")
        local right=(-u "$id:$secret") wrong=(-u "$id:wrong")
        [ $method = basic ] || right=(-d "client_id=$id" -d "client_secret=$secret")
        [ $method = basic ] || wrong=(-d "client_id=$id" -d client_secret=wrong)
        has "oidc: client_secret_$method is accepted" '"access_token"' \
            "$(http "${right[@]}" -d grant_type=client_credentials -d scope=system/Patient.rs "$OIDC_TOKEN_URL")"
        has "oidc: a wrong secret by $method is refused" '"invalid_client"' \
            "$(http "${wrong[@]}" -d grant_type=client_credentials -d scope=system/Patient.rs "$OIDC_TOKEN_URL")"
    done
    has 'oidc: a private key in a registration is refused' '"invalid_client_metadata"' \
        "$(register "$OIDC_REGISTER_URL" "$private_key,\"jwks\":{\"keys\":[$(cat "$work/ES384.jwk")]}")"
    is 'oidc: the log has every token request' "$("$here/requests" "$OIDC_LOG" path=/token)" \
        "$("$here/requests" "$OIDC_LOG" endpoint=token method=POST body_names=grant_type)"
    is 'oidc: the log has no secret' 0 "$(grep -cF -e "$secret" -e "$access_token" -e "${used##*.}" "$OIDC_LOG")"
}

oidc_with_nginx_rows() {
    local id fetches
    jwks RS384 >"$JWKS_ROOT/jwks.json"
    fetches=$("$here/requests" "$JWKS_LOG" endpoint=jwks)
    id=$(register "$OIDC_REGISTER_URL" "$private_key,\"jwks_uri\":\"$JWKS_URL\"" | member client_id)
    has 'oidc: RS384 with a jwks_uri at nginx is accepted' '"access_token"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion RS384 "$id" "$OIDC_TOKEN_URL")")"
    ask "$OIDC_TOKEN_URL" "$(assertion RS384 "$id" "$OIDC_TOKEN_URL")" >/dev/null
    sleep 0.1
    is 'oidc: it fetched the JWKS once for two requests' $((fetches + 1)) \
        "$("$here/requests" "$JWKS_LOG" endpoint=jwks)"
    is 'oidc: and says so in its log' 1 "$("$here/requests" "$OIDC_LOG" endpoint=jwks-fetch status=200)"

    jwks RS384 ES384 >"$JWKS_ROOT/jwks.json"
    has 'rotation: a new kid is refused while the old JWKS is cached' '"invalid_client"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion ES384 "$id" "$OIDC_TOKEN_URL")")"
    http -X POST "$OIDC_CONTROL/expire-jwks" >/dev/null
    has 'rotation: it is accepted when the cache has expired' '"access_token"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion ES384 "$id" "$OIDC_TOKEN_URL")")"
    jwks ES384 >"$JWKS_ROOT/jwks.json"
    has 'rotation: the old key, removed, is accepted while cached' '"access_token"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion RS384 "$id" "$OIDC_TOKEN_URL")")"
    http -X POST "$OIDC_CONTROL/expire-jwks" >/dev/null
    ask "$OIDC_TOKEN_URL" "$(assertion ES384 "$id" "$OIDC_TOKEN_URL" unknown-kid)" >/dev/null
    has 'rotation: it is refused after the next fetch' '"invalid_client"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion RS384 "$id" "$OIDC_TOKEN_URL")")"
    has 'rotation: the new key still is accepted' '"access_token"' \
        "$(ask "$OIDC_TOKEN_URL" "$(assertion ES384 "$id" "$OIDC_TOKEN_URL")")"
}

if lines=$("$here/oidc.sh" "$work/oidc" 2>"$work/reason"); then
    eval "$lines"
    oidc_rows
    if [ $have_nginx ]; then
        http -X POST "$OIDC_CONTROL/lifetime?seconds=300" >/dev/null
        oidc_with_nginx_rows
    else
        skipped 'oidc: jwks_uri and rotation' 'needs nginx'
    fi
    lines=$(OIDC_INITIAL_TOKEN=initial "$here/oidc.sh" "$work/closed" 2>"$work/reason") && eval "$lines"
    members="$private_key,\"jwks\":$(jwks ES384)"
    has 'oidc: registration without the initial access token is refused' '"invalid_token"' \
        "$(register "$OIDC_REGISTER_URL" "$members" -H 'Authorization: Bearer wrong')"
    has 'oidc: with it, it is accepted' '"client_id"' \
        "$(register "$OIDC_REGISTER_URL" "$members" -H 'Authorization: Bearer initial')"
else
    skipped 'oidc' "$(tail -n 1 "$work/reason")"
fi

# ---- The fault server ----

if ! lines=$("$here/faults.sh" "$work/faults" 2>"$work/reason"); then
    skipped 'faults' "$(tail -n 1 "$work/reason")"
    echo "1..$number"
    exit $((failed > 0))
fi
eval "$lines"

# One request to each fault. What comes back is told as "STATUS EXIT": the HTTP status and curl's exit status.
unsigned() { # an assertion for URL that only the fault server takes: nobody signed it
    local now
    now=$(date +%s)
    printf '%s.%s.%s' "$(printf '{"alg":"ES384","typ":"JWT","kid":"k"}' | b64url)" "$(printf \
        '{"iss":"c","sub":"c","aud":"%s","iat":%d,"exp":%d,"jti":"%s"}' "$1" "$now" $((now + 240)) \
        "${2:-$RANDOM$RANDOM$RANDOM}" | b64url)" c2ln
}
ask_faults() { # ask_faults TOKEN_URL [CURL OPTION…]: a token request to the fault server
    local url=$1
    shift
    http -H 'Accept: application/json' --data-urlencode "client_assertion_type=$assertion_type" \
        -d grant_type=client_credentials --data-urlencode 'scope=system/*.rs system/Group.rs' \
        -d "client_assertion=$(unsigned "$url")" "$@" "$url"
}
good_registration="{$private_key,\"jwks\":{\"keys\":[]},\"grant_types\":[\"client_credentials\"],\"response_types\":[]}"
request_to() { # request_to ENDPOINT SCENARIO CURL OPTION…
    local base=$FAULTS_URL/$2 endpoint=$1
    shift 2
    case $endpoint in
    discovery) http "$@" "$base/fhir/.well-known/smart-configuration" ;;
    token) ask_faults "$base/token" "$@" ;;
    register) http -H 'Content-Type: application/json' -d "$good_registration" "$@" "$base/register" ;;
    fhir) http -H "Authorization: Bearer $faults_token" "$@" "$base/fhir/Patient" ;;
    esac
}
faults_token=$(ask_faults "$FAULTS_URL/fine/token" | member access_token)

fault_row() { # fault_row NAME FAULT WANTED PATTERN
    local where=${2%%.*} out found
    [ "$where" != all ] || where=token
    : >"$work/out"
    out=$(request_to "$where" "$2" -i --max-time 1.5 -o "$work/out" -w '%{http_code} %{exitcode}' 2>/dev/null)
    found=$(tr -d '\0' <"$work/out")
    if [ "$out" != "$3" ]; then
        not_ok "fault: $2" "wanted $3, found $out: $found"
    elif ! LC_ALL=C grep -qaP -- "$4" <<<"$found"; then
        not_ok "fault: $2" "wanted $4: $found"
    else
        ok "fault: $2"
    fi
    echo "$1" >>"$work/covered"
}

# the fault's name, one of its kind (or =), what comes back, and a Perl pattern of the answer
while read -r name one wanted exit_status pattern; do
    [ -n "$name" ] || continue
    fault_row "$name" "${one/#=/$name}" "$wanted $exit_status" "$pattern"
done <<'ROWS'
all.close               =                       000 52
all.reset               =                       000 56
all.slow-headers-N      all.slow-headers-9      000 28
all.slow-body-N         all.slow-body-9         200 28
all.trickle             =                       200 28
all.cut-headers         =                       000 52
all.cut-body            =                       200 18
all.cut-chunked         =                       200 18
all.chunked             =                       200 0   ^Transfer-Encoding: chunked
all.http10              =                       200 0   ^HTTP/1.0 200
all.http10-truncated    =                       200 0   "token_type":$
all.not-http            =                       000 1
all.100-continue        =                       200 0   ^HTTP/1.1 100 Continue
all.gzip                =                       200 0   ^Content-Encoding: gzip
all.huge                =                       200 0   ^Content-Length: 2097
all.many-headers        =                       200 56
all.redirect-N          all.redirect-307        307 0   ^Location: https://localhost:\d+/fine/token
all.redirect-N          fhir.redirect-302       302 0   ^Location: https://localhost:\d+/fine/fhir
all.redirect-N          discovery.redirect-301  301 0   ^Location: https://localhost:\d+/fine/fhir
all.redirect-N          register.redirect-308   308 0   ^Location: https://localhost:\d+/fine/register
all.redirect-same-N     all.redirect-same-308   308 0   ^Location: https://localhost:\d+/fine/token
all.429-after-X         all.429-after-1         429 0   ^Retry-After: 1\s
all.429-after-X         all.429-after-ms        429 0   ^Retry-After: 1764000000000\s
all.429-after-X         all.429-after-date      429 0   ^Retry-After: \w\w\w, .* GMT\s
all.429-after-X         all.429-after-past      429 0   ^Retry-After: Sun, 06 Nov 1994
all.429-after-X         all.429-after-garbage   429 0   ^Retry-After: soon\s
all.429-after-X         all.429-after-none      429 0   ^(?!Retry-After)
all.503-after-N         all.503-after-1         503 0   ^Retry-After: 1\s
fhir.outcome-N          fhir.outcome-403        403 0   "OperationOutcome".*"forbidden"
fhir.outcome-N          fhir.outcome-404        404 0   "OperationOutcome".*"not-found"
fhir.outcome-N          fhir.outcome-422        422 0   "OperationOutcome".*"processing"
fhir.401                =                       401 0   "OperationOutcome".*"expired"
all.N                   all.401                 401 0   ^Content-Length: 0
all.N                   token.500               500 0   ^Content-Length: 0
all.error-X             all.error-invalid_grant 400 0   "error": "invalid_grant"
all.error-X             token.error-invalid_client 401 0 "error": "invalid_client"
all.error-X             register.error-invalid_redirect_uri 400 0 "invalid_redirect_uri"
all.error-X             register.error-invalid_client_metadata 400 0 "invalid_client_metadata"
all.error-X             register.error-invalid_software_statement 400 0 "invalid_software_statement"
all.error-X             register.error-unapproved_software_statement 400 0 "unapproved_software_statement"
all.error-N-X           token.error-403-invalid_client 403 0 "error": "invalid_client"
all.clock-ahead-N       token.clock-ahead-600   401 0   "invalid_client"
all.clock-behind-N      token.clock-behind-600  401 0   "invalid_client"
all.html                =                       502 0   <h1>502
all.html-200            =                       200 0   ^Content-Type: text/html
all.text                =                       400 0   ^Invalid access token request
all.other-json          =                       401 0   "message": "HTTP 401
all.escape              =                       400 0   \\u001b\[31m.*\\u202e
all.long-error          =                       400 0   long long
all.not-utf8            =                       400 0   caf\xe9
all.empty               =                       200 0   ^Content-Length: 0
all.bom                 =                       200 0   ^\xef\xbb\xbf\{
all.broken-json         =                       200 0   "scope": "[^"]*$
all.array               =                       200 0   ^\[\{.*\}\]$
all.deep                =                       200 0   "deep":\[\[\[\[
all.duplicate           =                       200 0   "access_token": "first".*"access_token": "at-
all.extra               =                       200 0   "x5":1234
all.wrong-type          =                       200 0   ^Content-Type: text/plain
all.no-type             =                       200 0   "access_token"
discovery.big           =                       200 0   "system/Resource0599.cruds"
discovery.foreign       =                       200 0   "token_endpoint": "https://localhost
discovery.relative      =                       200 0   "token_endpoint": "\.\./token"
discovery.only-token-endpoint =                 200 0   ^\{"token_endpoint": "[^"]*"\}$
discovery.no-token-endpoint =                   200 0   ^(?!.*token_endpoint").*registration_endpoint
discovery.http          =                       200 0   "token_endpoint": "http://localhost
discovery.fragment      =                       200 0   "token_endpoint": "[^"]*#fragment"
discovery.userinfo      =                       200 0   "token_endpoint": "https://user:word@
discovery.query         =                       200 0   "token_endpoint": "[^"]*\?x=1"
discovery.algs-X        discovery.algs-RS256+PS512 200 0 _alg_values_supported": \["RS256", "PS512"\]
discovery.methods-X     discovery.methods-client_secret_post 200 0 _methods_supported": \["client_secret_post"\]
discovery.no-client-credentials =               200 0   "grant_types_supported": \["authorization_code"\]
discovery.no-capability =                       200 0   "capabilities": \["launch-ehr"\]
discovery.odd-types     =                       200 0   "scopes_supported": 7
discovery.max-age-N     discovery.max-age-1     200 0   ^Cache-Control: max-age=1\s
discovery.cache-X       discovery.cache-no.store 200 0  ^Cache-Control: no-store
discovery.cache-X       discovery.cache-none    200 0   ^\{
token.expires-X         token.expires-string    200 0   "expires_in": "1200"
token.expires-X         token.expires-missing   200 0   ^(?!.*expires_in).*access_token
token.expires-X         token.expires-0         200 0   "expires_in": 0[,}]
token.expires-X         token.expires-negative  200 0   "expires_in": -5[,}]
token.expires-X         token.expires-huge      200 0   "expires_in": 1e99[,}]
token.expires-X         token.expires-fraction  200 0   "expires_in": 3600\.5[,}]
token.expires-X         token.expires-null      200 0   "expires_in": null
token.expires-X         token.expires-text      200 0   "expires_in": "soon"
token.type-X            token.type-BEARER       200 0   "token_type": "BEARER"
token.type-X            token.type-mac          200 0   "token_type": "mac"
token.type-X            token.type-missing      200 0   ^(?!.*token_type).*access_token
token.scope-X           token.scope-narrower    200 0   "scope": "system/Patient.rs"
token.scope-X           token.scope-wider       200 0   "scope": "system/\*.rs system/Group.rs system/Extra.rs"
token.scope-X           token.scope-absent      200 0   ^(?!.*"scope").*access_token
token.refresh-token     =                       200 0   "refresh_token": "rt-
token.long-token-N      token.long-token-32768  200 0   "access_token": "[^"]{32768}"
token.value-X           token.value-crlf        200 0   "access_token": "at-1\\r\\nX-Injected
token.value-X           token.value-empty       200 0   "access_token": ""
all.status-N            token.status-201        201 0   "access_token"
all.status-N            register.status-200     200 0   "client_id"
register.swap-method-X  register.swap-method-client_secret_basic 201 0 _method": "client_secret_basic"
register.swap-scope     =                       201 0   "scope": "system/Patient.r"
register.secret-X       register.secret-expired 201 0   "client_secret_expires_at": 1
register.secret-X       register.secret-never   201 0   "client_secret_expires_at": 0
register.management     =                       201 0   "registration_access_token": "rat-
register.long-id        =                       201 0   "client_id": "[^"]{16384}"
register.no-client-id   =                       201 0   ^(?!.*"client_id":).*grant_types
register.needs-initial  =                       401 0   "invalid_token"
register.form           =                       400 0   the Content-Type is not exact
fhir.next-foreign       =                       200 0   "next", "url": "https://localhost
fhir.next-self          =                       200 0   "next", "url": "[^"]*/fhir.next-self/fhir/Patient"
fhir.next-endless       =                       200 0   "next", "url": "[^"]*page=2"
fhir.next-relative      =                       200 0   "url": "Patient\?page=2"
ROWS

has 'fault: all.endless' '^2000000$' "$(request_to token all.endless -o - | head -c 2000000 | wc -c)"
echo all.endless >>"$work/covered"
has 'fault: register.form, as the SMART reference server wants it' '^eyJ[^"{]*$' "$(http -d 'jwks={"keys":[]}' \
    "$FAULTS_URL/register.form/register")"
has 'fault: register.needs-initial, with the initial access token' '"client_id"' \
    "$(request_to register register.needs-initial -H 'Authorization: Bearer initial-token')"
# shellcheck disable=SC2016 # those are Markdown's
while read -r name; do
    grep -qxF -- "$name" "$work/covered" || not_ok "fault: $name" "no row above tries it"
    grep -qF -- "\`$name\`" "$here/README.md" || not_ok "fault: $name" "README.md does not list it"
done < <("$here/faults.py" --list | sed -nE 's/^\| `([a-z]+\..*)` \|.*/\1/p')

# Faults that pass, faults together, and what a test can read in the log.
status_of() { request_to "$@" -o /dev/null -w '%{http_code} '; }
is 'faults: -once happens once' '503 200 200 ' "$(for _ in 1 2 3; do status_of token token.503-once; done)"
is 'faults: -twice happens twice' '500 500 200 ' "$(for _ in 1 2 3; do status_of token token.500-twice; done)"
is 'faults: a name after ~ has its own state' '503 200 ' "$(for _ in 1 2; do status_of token token.503-once~b; done)"
is 'faults: 401 once, then 200' '401 200 ' "$(for _ in 1 2; do status_of fhir fhir.401-once; done)"
has 'faults: two at once' '"expires_in": "1200".*"token_type": "BEARER"|"BEARER".*"1200"' \
    "$(request_to token token.expires-string,token.type-BEARER)"
is 'faults: the other endpoints of a scenario are fine' '200 ' "$(status_of discovery token.503)"
is 'faults: a scenario that does not exist is told' '599 ' "$(status_of token token.no-such-thing)"
is 'faults: a fault of another endpoint does not exist' '599 ' "$(status_of token fhir.expires-string)"

same=$(unsigned "$FAULTS_URL/token.503-once~jti/token" same-jti)
for _ in 1 2; do
    answer=$(http -H 'Accept: application/json' --data-urlencode "client_assertion_type=$assertion_type" -d \
        grant_type=client_credentials -d "client_assertion=$same" "$FAULTS_URL/token.503-once~jti/token")
done
has 'faults: after a 503 the same jti is refused' 'jti was used before' "$answer"
is 'faults: the log tells the jti of both attempts' 'same-jti same-jti ' \
    "$("$here/requests" "$FAULTS_LOG" scenario=token.503-once~jti --show assertion.claims.jti | tr '\n' ' ')"
is 'faults: and that aud is the URL of the token endpoint' 2 \
    "$("$here/requests" "$FAULTS_LOG" scenario=token.503-once~jti aud_is_token_url=true)"
has 'faults: a token request without Accept is refused' 'Accept header is not exact' \
    "$(http -d grant_type=client_credentials "$FAULTS_URL/fine/token")"
has 'faults: a parameter that is there twice is refused' 'there twice' \
    "$(ask_faults "$FAULTS_URL/fine/token" -d grant_type=client_credentials)"
has 'faults: two authentication methods are refused' 'not exactly one authentication method' \
    "$(ask_faults "$FAULTS_URL/fine/token" -u id:secret)"
is 'faults: client_secret_basic is accepted' 200 "$(http -o /dev/null -w '%{http_code}' -u id:secret -H \
    'Accept: application/json' -d grant_type=client_credentials "$FAULTS_URL/fine/token")"
has 'faults: a wrong secret is refused with WWW-Authenticate' '^WWW-Authenticate: Basic' \
    "$(http -i -u id:wrong -H 'Accept: application/json' -d grant_type=client_credentials "$FAULTS_URL/fine/token")"
refresh_token=$(request_to token token.refresh-token | member refresh_token)
refresh() { http -u id:secret -H 'Accept: application/json' -d grant_type=refresh_token \
    -d "refresh_token=$refresh_token" "$FAULTS_URL/fine/token"; }
has 'faults: a refresh token can be used' '"access_token"' "$(refresh)"
has 'faults: but once only' '"invalid_grant"' "$(refresh)"
short=$(request_to token token.expires-1 | member access_token)
sleep 1.1
has 'faults: an access token of one second ends after it' '^HTTP/1.1 401' \
    "$(http -i -H "Authorization: Bearer $short" "$FAULTS_URL/fine/fhir/Patient")"

request_to token token.redirect-307 -L --post301 -o /dev/null
is 'faults: a body that follows a redirect is seen at the other origin' 1 \
    "$("$here/requests" "$FAULTS_LOG" listener=other body_names=client_assertion)"
request_to fhir fhir.redirect-302 -L --location-trusted -o /dev/null
is 'faults: so is an access token' 1 "$("$here/requests" "$FAULTS_LOG" listener=other authorization.scheme=Bearer)"
is 'faults: the log has no secret' 0 "$(grep -cF -e "$faults_token" -e "$refresh_token" -e c2ln "$FAULTS_LOG")"
has 'faults: Expect: 100-continue is answered' '^HTTP/1.1 100 Continue' \
    "$(ask_faults "$FAULTS_URL/fine/token" -i -H 'Expect: 100-continue')"
is 'faults: one connection serves several requests' '1 2 ' "$(http -o /dev/null -o /dev/null \
    "$FAULTS_URL/fine~reuse/fhir/metadata" "$FAULTS_URL/fine~reuse/fhir/metadata"
    "$here/requests" "$FAULTS_LOG" scenario=fine~reuse --show request | tr '\n' ' ')"
for seconds in 600 -600; do
    name=clock-ahead-600
    [ $seconds -gt 0 ] || name=clock-behind-600
    date=$(date -d "$(request_to token token.$name -i | sed -n 's/^Date: //p' | tr -d '\r')" +%s)
    skew=$((date - $(date +%s)))
    [ $((skew - seconds)) -ge -2 ] && [ $((skew - seconds)) -le 2 ]
    check "faults: $name has a Date that is off by $seconds s" $? "$skew"
done
is 'faults: discovery.big is 200 KiB' yes \
    "$([ "$(request_to discovery discovery.big | wc -c)" -ge 204800 ] && echo yes)"

# ---- The fault server's listeners ----

answers() { http --max-time 2 -o /dev/null -w '%{exitcode}' "$@" 2>/dev/null; }
while read -r name wanted; do
    variable=FAULTS_${name}URL
    is "faults: FAULTS_${name}URL ends with curl's exit status $wanted" "$wanted" \
        "$(answers --tlsv1.2 "${!variable}/fine/fhir/metadata")"
done <<'ROWS'
OTHER_ 0
EXPIRED_ 60
NOT_YET_ 60
WRONG_HOST_ 60
UNTRUSTED_ 60
SELF_SIGNED_ 60
INCOMPLETE_ 60
COMPLETE_ 0
TLS11_ 35
TLS12_ 0
PLAIN_ 0
SILENT_ 28
REFUSED_ 7
ROWS
is 'faults: FAULTS_TLS11_URL speaks TLS 1.1' 0 "$(answers --tls-max 1.1 --tlsv1.1 --ciphers DEFAULT@SECLEVEL=0 \
    "$FAULTS_TLS11_URL/fine/fhir/metadata")"
has 'faults: FAULTS_CLIENT_CERT_URL refuses a client without one' '^5[56]$' \
    "$(answers "$FAULTS_CLIENT_CERT_URL/fine/fhir/metadata")"
is 'faults: FAULTS_CLIENT_CERT_URL takes the client certificate' 0 "$(answers --cert "$PKI_CLIENT_CERT" \
    --key "$PKI_CLIENT_KEY" "$FAULTS_CLIENT_CERT_URL/fine/fhir/metadata")"
is 'faults: no request came in by a bad certificate' 0 \
    "$("$here/requests" "$FAULTS_LOG" listener=expired method)"
is 'faults: the fault server has no defect' '' \
    "$("$here/requests" "$FAULTS_LOG" endpoint=broken --show problems)"

# ---- The end ----

ended() { # a process that nobody has waited for yet has ended too
    [ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status"
}
for name in nginx-jwks oidc faults; do
    [ -s "$work/$name/pid" ] || continue
    pid=$(cat "$work/$name/pid")
    "$here/$name.sh" "$work/$name" down
    ended "$pid"
    check "$name: down stops it" $? "process $pid is still there"
done
lines=$(SERVERS_LIFETIME_S=1 "$here/faults.sh" "$work/faults") && eval "$lines"
sleep 1.5
ended "$FAULTS_PID"
check 'a server ends by itself' $? "process $FAULTS_PID is still there"

echo "1..$number"
exit $((failed > 0))
