#!/bin/bash
# Web servers over TLS on this machine: a CA made here, and nginx with a good certificate and with bad ones.
#   tls_servers.sh DIR        makes everything in DIR (wiped first), starts nginx, prints `export …` lines for eval
#   tls_servers.sh DIR down   stops it
# Exit status 77: nginx or openssl is not installed.
#   TLS_CA TLS_CA_DIR             the CA: a PEM file, and a hashed directory with it
#   TLS_CERT TLS_KEY              the good certificate (127.0.0.1, ::1, localhost) and its key, for servers of others
#   TLS_CLIENT_CERT TLS_CLIENT_KEY  a client certificate of the same CA
#   TLS_WWW                       the directory that is served at / with Cache-Control: max-age=60
#   TLS_LOG                       nginx's access log: one line "METHOD PATH STATUS CONNECTION" per request
#   TLS_GOOD                      base URL, https://127.0.0.1:PORT; the others differ in
#   TLS_EXPIRED                   a certificate that has expired
#   TLS_WRONG_HOST                a certificate for another host
#   TLS_SELF_SIGNED               a certificate that signed itself
#   TLS_UNKNOWN_CA                a certificate of a CA that nobody trusts
#   TLS_NO_CHAIN                  a certificate whose intermediate is not sent
#   TLS_OLD                       TLS 1.1 only
#   TLS_MUTUAL                    a client certificate is demanded
#   TLS_SHORT                     connections are closed after 200 ms of rest
#   TLS_PLAIN                     http
# Every answer has X-Connection (nginx's number of the connection) and, over TLS, X-Session ("r" when the connection resumed a
# TLS session, "." when not). /redirect answers 302 to /target, /slow/ sends 1 KB
# a second, /headers tells the request's own headers.
command -v nginx >/dev/null 2>&1 || PATH=$PATH:/usr/sbin
for program in nginx openssl; do
  command -v $program >/dev/null 2>&1 || { echo "$program is not installed"; exit 77; }
done
# shellcheck source-path=SCRIPTDIR source=../tokens/common.sh
. "$(dirname "$0")/../tokens/common.sh"
if [ "$cmd" = down ]; then stop_pid "$dir/nginx.pid"; exit 0; fi
[ -e "$dir/.token" ] && stop_pid "$dir/nginx.pid"
fresh
cd "$dir"
mkdir www ca tmp

# ---- Certificates: P-256, made in 0.2 s ----
exec 3>"$dir/setup.log"
new_key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>&3; }
new_ca() { # new_ca NAME
  new_key "$1"
  openssl req -x509 -new -key "$1.key" -subj "/CN=hsmart test $1" -days 30 -out "$1.pem" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign 2>&3
}
new_cert() { # new_cert NAME CA DAYS EXTENSIONS…: signed by CA
  local name=$1 ca=$2 days=$3
  shift 3
  new_key "$name"
  openssl req -new -key "$name.key" -subj "/CN=hsmart test $name" -out "$name.csr" 2>&3
  openssl x509 -req -in "$name.csr" -CA "$ca.pem" -CAkey "$ca.key" -days "$days" -out "$name.pem" \
    -extfile <(printf '%s\n' "$@") 2>&3
}
names="subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
new_ca root
new_ca stranger
new_cert intermediate root 30 "basicConstraints=critical,CA:TRUE" "keyUsage=critical,keyCertSign"
new_cert good root 30 "$names"
new_cert expired root -1 "$names"
new_cert wrong_host root 30 "subjectAltName=DNS:ehr.example"
new_cert unknown_ca stranger 30 "$names"
new_cert no_chain intermediate 30 "$names"
new_cert client root 30 "extendedKeyUsage=clientAuth"
new_key self_signed
openssl req -x509 -new -key self_signed.key -subj "/CN=hsmart test self" -days 30 -out self_signed.pem -addext "$names" 2>&3
cp root.pem ca/
openssl rehash ca 2>&3

# ---- nginx ----
site() { # site PORT CERTIFICATE [LINE…]: a server block
  local port=$1 cert=$2 line
  shift 2
  echo "  server {"
  if [ "$cert" = none ]; then
    echo "    listen 127.0.0.1:$port;"
  else
    echo "    listen 127.0.0.1:$port ssl;"
    echo "    ssl_certificate $dir/$cert.pem; ssl_certificate_key $dir/$cert.key;"
  fi
  for line; do echo "    $line"; done
  echo "    include $dir/locations.conf;"
  echo "  }"
}
cat >locations.conf <<CONF
root $dir/www;
add_header X-Connection \$connection always;
add_header X-Session \$ssl_session_reused always;
add_header Cache-Control max-age=60;
location = /redirect { return 302 /target; }
location /slow/ { alias $dir/www/; limit_rate 1k; }
location = /headers { default_type text/plain;
  return 200 "method=\$request_method agent=\$http_user_agent accept=\$http_accept expect=\$http_expect test=\$http_x_test cookie=\$http_cookie authorization=\$http_authorization protocol=\$server_protocol"; }
CONF
configure() { # configure PORT…: ten of them
  cat <<CONF
worker_processes 1;
master_process off;
pid $dir/nginx.pid;
events { worker_connections 256; }
http {
  log_format tests '\$request_method \$uri \$status \$connection';
  access_log $dir/access.log tests;
  client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp;
  uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
  types { application/json json; text/plain txt; }
  ssl_protocols TLSv1.2 TLSv1.3;
  keepalive_timeout 60s;
CONF
  site "$1" good
  site "$2" expired
  site "$3" wrong_host
  site "$4" self_signed
  site "$5" unknown_ca
  site "$6" no_chain
  site "$7" good "ssl_protocols TLSv1.1;" "ssl_ciphers DEFAULT@SECLEVEL=0;"
  site "$8" good "ssl_client_certificate $dir/root.pem;" "ssl_verify_client on;"
  site "$9" good "keepalive_timeout 200ms;"
  site "${10}" none
  echo "}"
}
port_taken() { ! port_free "$1"; }
start() { # on ten ports in a row; another program may take one between the look and the start
  local first port _
  for _ in 1 2 3 4 5; do
    first=$((20000 + RANDOM % 12000))
    for port in $(seq $first $((first + 9))); do port_free "$port" || continue 2; done
    mapfile -t ports < <(seq $first $((first + 9)))
    configure "${ports[@]}" >nginx.conf
    rm -f nginx.pid
    setsid nginx -e "$dir/error.log" -p "$dir" -c "$dir/nginx.conf" -g 'daemon off;' >>setup.log 2>&1 3>&- </dev/null &
    local started=$!
    wait_for 3 port_taken "${ports[9]}" && kill -0 $started 2>/dev/null && { echo $started >nginx.pid; return; }
    kill $started 2>/dev/null || true
  done
  die "nginx does not start: $(cat error.log setup.log)"
}
start

emit TLS_DIR "$dir"
emit TLS_CA "$dir/root.pem"
emit TLS_CA_DIR "$dir/ca"
emit TLS_CERT "$dir/good.pem"
emit TLS_KEY "$dir/good.key"
emit TLS_CLIENT_CERT "$dir/client.pem"
emit TLS_CLIENT_KEY "$dir/client.key"
emit TLS_WWW "$dir/www"
emit TLS_LOG "$dir/access.log"
i=0
for name in GOOD EXPIRED WRONG_HOST SELF_SIGNED UNKNOWN_CA NO_CHAIN OLD MUTUAL SHORT; do
  emit TLS_$name "https://127.0.0.1:${ports[i]}"
  i=$((i + 1))
done
emit TLS_PLAIN "http://127.0.0.1:${ports[9]}"
