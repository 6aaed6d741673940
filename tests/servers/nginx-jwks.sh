#!/bin/bash
# nginx over TLS that serves what a test puts into JWKS_ROOT as application/json, as a hospital's web server would:
# no authentication, Cache-Control: max-age=JWKS_MAX_AGE_S (60). Its access log has one JSON object a line (./requests).
#   nginx-jwks.sh DIR max-age SECONDS   changes the max-age of the running server
. "$(dirname "$0")/common.sh"

configure() { # configure PORT MAX_AGE_S
    local user=
    [ "$(id -u)" -ne 0 ] || user='user root;'
    cat >"$dir/nginx.conf" <<CONF
$user
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 64; }
http {
    log_format lines escape=json '{"endpoint":"jwks","method":"\$request_method","path":"\$uri","status":\$status,'
        '"tls":"\$ssl_protocol","headers":{"accept":"\$http_accept","user-agent":"\$http_user_agent"},'
        '"authorization":\$authorization}';
    map \$http_authorization \$authorization { "" false; default true; }
    access_log $dir/log lines;
    client_body_temp_path $dir/tmp;
    proxy_temp_path $dir/tmp;
    fastcgi_temp_path $dir/tmp;
    uwsgi_temp_path $dir/tmp;
    scgi_temp_path $dir/tmp;
    default_type application/json;
    server {
        listen 127.0.0.1:$1 ssl;
        ssl_certificate $PKI_DIR/good.pem;
        ssl_certificate_key $PKI_DIR/good.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        root $dir/www;
        add_header Cache-Control "max-age=$2";
    }
}
CONF
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
started_or_gone() { gone "$(cat "$dir/pid")" || { [ -s "$dir/nginx.pid" ] && listens "$port"; }; }

case $command in
down)
    stop_pid "$dir/pid"
    exit 0
    ;;
max-age)
    port=$(cat "$dir/port")
    PKI_DIR=$(cat "$dir/pki-dir")
    configure "$port" "${3:?SECONDS}"
    kill -HUP "$(cat "$dir/nginx.pid")"
    sleep 0.2
    exit 0
    ;;
esac

PATH=$PATH:/usr/sbin:/sbin
need nginx nginx-light
fresh
pki
mkdir "$dir/www" "$dir/tmp"
echo "$PKI_DIR" >"$dir/pki-dir"
# nginx cannot be told to take any free port, so a port that was taken meanwhile means another try.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    port=$((20000 + RANDOM % 12000))
    listens "$port" && continue
    configure "$port" "${JWKS_MAX_AGE_S:-60}"
    setsid timeout "$SERVERS_LIFETIME_S" nginx -p "$dir" -c "$dir/nginx.conf" -g 'daemon off;' \
        >"$dir/output" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    wait_for 5 started_or_gone || true
    if ! gone "$(cat "$dir/pid")"; then
        echo "$port" >"$dir/port"
        break
    fi
    stop_pid "$dir/pid"
done
[ -s "$dir/port" ] || die "nginx did not start: $(tail -n 3 "$dir/output")"
emit JWKS_URL "https://localhost:$port/jwks.json"
emit JWKS_ROOT "$dir/www"
emit JWKS_LOG "$dir/log"
emit JWKS_PID "$(cat "$dir/pid")"
