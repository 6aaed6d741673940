#!/bin/bash
# oidc-provider, a certified OAuth server, over TLS, and on the same origin a SMART discovery document and a small FHIR
# server that asks the provider about access tokens. npm/install must have been run once; this script runs it if not.
#   OIDC_LIFETIME_S           life of an access token (300)
#   OIDC_INITIAL_TOKEN        dynamic registration asks for this initial access token; none when empty
. "$(dirname "$0")/common.sh"
if [ "$command" = down ]; then
    stop_pid "$dir/pid"
    exit 0
fi
"$here/npm/install" || exit $?
find_node
fresh
pki
# The provider fetches a client's jwks_uri, so it has to know the test CA.
export NODE_EXTRA_CA_CERTS=$PKI_CA
start 20 "$node" "$here/npm/oidc.mjs" "$dir" "$PKI_DIR/good.pem" "$PKI_DIR/good.key"
emit OIDC_PID "$(cat "$dir/pid")"
