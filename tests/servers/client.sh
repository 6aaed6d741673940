#!/bin/bash
# client.sh: <hsmart/client.h> through the shared library, against the servers of this directory, with keys on a SoftHSM2
# token; then what the servers saw. Prints TAP. Needs HSMART_BIN, HSMART_BUILD.
set -uo pipefail
umask 077
here=$(cd "$(dirname "$0")" && pwd)
: "${HSMART_BIN:?the directory of the tools}" "${HSMART_BUILD:?}"
command -v softhsm2-util >/dev/null || { echo "needs SoftHSM2 (package softhsm2)"; exit 77; }
work=$(mktemp -d)
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
    for name in faults oidc nginx-jwks; do
        [ ! -d "$work/$name" ] || "$here/$name.sh" "$work/$name" down
    done
    rm -rf "$work"
}
trap cleanup EXIT

lines=$("$here/pki.sh" "$work/pki") || exit $?
eval "$lines"
lines=$("$here/faults.sh" "$work/faults") || exit $?
eval "$lines"

# What cannot be had here makes the rows that need it skip.
command -v curl >/dev/null || echo "# no curl here: some rows are skipped"
if lines=$("$here/oidc.sh" "$work/oidc"); then
    eval "$lines"
fi
if lines=$("$here/nginx-jwks.sh" "$work/nginx-jwks"); then
    eval "$lines"
fi

# ---- Keys ----

for CLIENT_MODULE in /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
    [ ! -e "$CLIENT_MODULE" ] || break
done
mkdir "$work/tokens" "$work/run" "$work/home" "$work/scratch"
export CLIENT_MODULE CLIENT_PIN_SOURCE=file:$work/pin SOFTHSM2_CONF=$work/softhsm2.conf XDG_STATE_HOME=$work/home
export HOME=$work/home CLIENT_SCRATCH=$work/scratch XDG_RUNTIME_DIR=$work/run
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$work/tokens" >"$SOFTHSM2_CONF"
echo 648219 >"$work/pin"
softhsm2-util --module "$CLIENT_MODULE" --init-token --free --label client --so-pin 12345678 --pin 648219 >/dev/null
for key in 'RS384 rsa' 'ES384 ec'; do
    "$HSMART_BIN/hsmart-key" generate -q --alg "${key% *}" --label "${key#* }" --module "$CLIENT_MODULE" \
        --token-uri pkcs11:token=client --pin-source "$CLIENT_PIN_SOURCE" >/dev/null || exit 1
done

# ---- The rows ----

CMOCKA_MESSAGE_OUTPUT=TAP "$HSMART_BUILD/tests/test_client" >"$work/tap" 2>"$work/stderr"
status=$?
grep -vE '^(1\.\.|TAP version)' "$work/tap"
number=$(grep -cE '^(not )?ok ' "$work/tap")
[ "$status" = 0 ] || { sed 's/^/# /' "$work/stderr" | cut -c1-500; }

# ---- What the servers saw ----

requests() { "$here/requests" "$FAULTS_LOG" "$@"; }
is() { # is NAME WANTED FOUND
    number=$((number + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $number - $1"
    else
        printf 'not ok %d - %s\n# wanted: %s\n# found:  %s\n' "$number" "$1" "$2" "$3"
        status=1
    fi
}
if [ -n "${OIDC_LOG:-}" ]; then
    is "the secret of a registration is for its owner only" '' "$(find "$work/scratch" -type f ! -perm 600)"
fi
is "no request breaks a rule" '' "$(requests endpoint!=tls problems --show problems | grep -v '^\[\]$' | head -5)"
is "nobody goes to the other origin" 0 "$(requests listener=other)"
is "no assertion is sent twice" '' "$(requests endpoint=token assertion --show assertion.claims.jti | sort | uniq -d)"
is "every audience is the URL that was posted to" 0 "$(requests endpoint=token aud_is_token_url=false)"
is "503, then 200: two requests" 2 "$(requests scenario=token.503-once~then endpoint=token)"
is "an absurd Retry-After: one request" 1 "$(requests scenario=token.429-after-ms endpoint=token)"
is "a slow answer that is not tried again: one request" 1 "$(requests scenario=token.slow-headers-20 endpoint=token)"
is "a refusal: one request" 1 "$(requests scenario=token.error-invalid_client endpoint=token)"
is "503 for ever: two attempts" 2 "$(requests scenario=token.503 endpoint=token)"
is "401 once: two access tokens" 2 "$(requests 'scenario=fhir.401-once~again' endpoint=token)"
is "401 for ever: two access tokens, no more" 2 "$(requests scenario=fhir.401 endpoint=token)"
is "403: one access token" 1 "$(requests scenario=fhir.outcome-403 endpoint=token)"
is "an algorithm that the key cannot do: no request" 0 "$(requests scenario=discovery.algs-RS512 endpoint=token)"
is "a token endpoint elsewhere: no request" 0 "$(requests scenario=discovery.foreign endpoint=token)"
is "sixteen threads: sixteen reads" 16 "$(requests 'scenario=fine~threads' endpoint=fhir)"
is "sixteen threads: one access token" 1 "$(requests 'scenario=fine~threads' endpoint=token)"
is "sixteen threads: one discovery" 1 "$(requests 'scenario=fine~threads' endpoint=discovery)"
is "a lost registration is not repeated" 1 "$(requests 'scenario=register.cut-body~lost' endpoint=register)"
is "nor one that was answered by 503" 1 "$(requests 'scenario=register.503~lost' endpoint=register)"

# ---- The example of the documentation ----

example() { # example SCENARIO MODULE
    env PATH="$PATH" "$HSMART_BUILD/tests/read_patients" "$2" pkcs11:token=client "$CLIENT_PIN_SOURCE" pkcs11:object=ec \
        client-1 smart "$FAULTS_URL/$1/fhir" "$PKI_CA" 2>"$work/stderr" | grep -c '"resourceType"'
}
is "the example reads three pages" 3 "$(example fine~example "$CLIENT_MODULE")"
is "and again, out of the cache, without the token's module" 3 "$(example fine~example /nowhere.so)"
is "with one access token for both" 1 "$(requests 'scenario=fine~example' endpoint=token)"
is "and one discovery" 1 "$(requests 'scenario=fine~example' endpoint=discovery)"
is "the cache is for its owner only" '' "$(find "$work/run" ! -type d ! -perm 600 -o -type d ! -perm 700)"
echo "1..$number"
exit "$status"
