#!/bin/bash
# Certificates for the other servers, by the openssl command: NAME.pem and NAME.key of each of these.
#   ca            the CA that a test trusts (PKI_CA, and as a hashed directory PKI_CA_DIR)
#   good          for localhost, 127.0.0.1 and ::1
#   expired       the same, but its time is over          not-yet       the same, but its time has not come
#   wrong-host    for wrong.example                       self-signed   signed by itself
#   untrusted     signed by another CA (other-ca)
#   incomplete    signed by an intermediate CA that the server does not send; complete.pem has it too
#   client        a client certificate
. "$(dirname "$0")/common.sh"
[ "$command" = down ] && exit 0
need openssl openssl
fresh
cd "$dir"

day() { date -u -d "$1" +%Y%m%d%H%M%SZ; }
yesterday=$(day '-1 day')
next_month=$(day '+30 days')
here_names='subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1'

export PKI_ISSUER=ca # which the configuration file reads
cat >openssl.cnf <<'CONF'
[ca]
default_ca = issuer
[issuer]
database = $ENV::PKI_ISSUER.index
new_certs_dir = issued
rand_serial = yes
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
commonName = unused
CONF
mkdir issued

request() { # request NAME SUBJECT
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
    openssl req -new -config openssl.cnf -key "$1.key" -subj "/CN=$2" -out "$1.csr"
}
root() { # root NAME SUBJECT
    request "$1" "$2"
    printf 'basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\nsubjectKeyIdentifier = hash\n' >ext
    openssl x509 -req -in "$1.csr" -key "$1.key" -days 30 -extfile ext -out "$1.pem"
    : >"$1.index"
}
issue() { # issue NAME ISSUER SUBJECT NOT_BEFORE NOT_AFTER EXTENSION...
    local name=$1 issuer=$2 subject=$3 from=$4 to=$5
    shift 5
    request "$name" "$subject"
    printf '%s\n' "$@" >ext
    PKI_ISSUER=$issuer openssl ca -batch -notext -config openssl.cnf -cert "$issuer.pem" -keyfile "$issuer.key" \
        -startdate "$from" -enddate "$to" -extfile ext -in "$name.csr" -out "$name.pem"
}
make() {
    root ca 'hsmart test CA'
    root other-ca 'another test CA'
    issue intermediate ca 'hsmart test intermediate CA' "$yesterday" "$next_month" \
        'basicConstraints = critical, CA:TRUE' 'keyUsage = critical, keyCertSign' 'subjectKeyIdentifier = hash' \
        'authorityKeyIdentifier = keyid'
    : >intermediate.index
    issue good ca localhost "$yesterday" "$next_month" "$here_names"
    issue expired ca localhost 20200101000000Z 20200201000000Z "$here_names"
    issue not-yet ca localhost "$next_month" "$(day '+60 days')" "$here_names"
    issue wrong-host ca wrong.example "$yesterday" "$next_month" 'subjectAltName = DNS:wrong.example'
    issue untrusted other-ca localhost "$yesterday" "$next_month" "$here_names"
    issue incomplete intermediate localhost "$yesterday" "$next_month" "$here_names"
    issue client ca 'hsmart test client' "$yesterday" "$next_month" 'extendedKeyUsage = clientAuth'
    cat incomplete.pem intermediate.pem >complete.pem
    cp incomplete.key complete.key
    request self-signed localhost
    echo "$here_names" >ext
    openssl x509 -req -in self-signed.csr -key self-signed.key -days 30 -extfile ext -out self-signed.pem
    mkdir hashed
    cp ca.pem hashed/
    openssl rehash hashed
    rm -rf ./*.csr ext issued
}
# Not "make || die": that would switch off errexit inside.
set +e
(set -e; make) >setup.log 2>&1
status=$?
set -e
[ $status -eq 0 ] || die "openssl failed: $(tail -n 5 setup.log)"

emit PKI_DIR "$dir"
emit PKI_CA "$dir/ca.pem"
emit PKI_CA_DIR "$dir/hashed"
emit PKI_OTHER_CA "$dir/other-ca.pem"
emit PKI_CLIENT_CERT "$dir/client.pem"
emit PKI_CLIENT_KEY "$dir/client.key"
