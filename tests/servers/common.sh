# shellcheck shell=bash disable=SC2034 # what the scripts use
# common.sh - shared by the server scripts; source it, do not run it.
# Every script:  NAME.sh DIR       start a fresh server with its files in DIR (wiped first), print `export ...` lines
#                                  for eval
#                NAME.sh DIR down  stop what the script started there (by pid file only)
# Exit status 77: something that the server needs is not installed; the last line on stderr says what. A test takes
# care to see it:  lines=$(tests/servers/NAME.sh DIR) || exit $?; eval "$lines"
#
# Every server listens on 127.0.0.1, on ports that the system chose, and ends by itself after SERVERS_LIFETIME_S
# seconds (900). Servers with TLS take their certificates from PKI_DIR (pki.sh), or make some in DIR/pki.
set -euo pipefail
umask 077
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export SERVERS_LIFETIME_S=${SERVERS_LIFETIME_S:-900}

die() { echo "$(basename "$0"): $*" >&2; exit 1; }
skip() { echo "$(basename "$0"): skipped: $*" >&2; exit 77; }
need() { # need COMMAND PACKAGE...: pairs
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null 2>&1 || skip "needs $1 (package $2)"
        shift 2
    done
}
emit() { local name=$1; shift; printf 'export %s=%q\n' "$name" "$*"; }

stop_pid() { # stop_pid FILE: end the process whose pid is in FILE, if it is still the one that works in $dir
    local pid
    [ -s "$1" ] || return 0
    pid=$(tr -cd 0-9 <"$1")
    if [ -n "$pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "$dir"; then
        kill "$pid" 2>/dev/null || true
        wait_for 2 gone "$pid" || kill -9 "$pid" 2>/dev/null || true
    fi
    rm -f "$1"
}
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null; }
wait_for() { # wait_for SECONDS COMMAND...: poll until it succeeds
    local n=$(($1 * 20))
    shift
    while ! "$@" >/dev/null 2>&1; do
        n=$((n - 1))
        [ $n -gt 0 ] || return 1
        sleep 0.05
    done
}
fresh() { # wipe DIR, but only one that is empty or that a server script made
    [ -z "$(ls -A "$dir")" ] || [ -e "$dir/.server" ] || die "$dir is not empty and was not made by a server script"
    stop_pid "$dir/pid"
    find "$dir" -mindepth 1 -delete
    : >"$dir/.server"
}
pki() { # certificates: those of PKI_DIR, else new ones
    local lines
    [ -n "${PKI_DIR:-}" ] && [ -n "${PKI_CA:-}" ] && [ -s "$PKI_DIR/good.pem" ] && return 0
    lines=$("$here/pki.sh" "$dir/pki") || exit $?
    eval "$lines"
    printf '%s\n' "$lines"
}
start() { # start SECONDS COMMAND...: a server that writes $dir/exports when it is ready
    local seconds=$1
    shift
    setsid "$@" >"$dir/output" 2>&1 </dev/null &
    echo $! >"$dir/pid"
    if ! wait_for "$seconds" test -s "$dir/exports"; then
        stop_pid "$dir/pid"
        die "did not start: $(tail -n 5 "$dir/output")"
    fi
    cat "$dir/exports"
}
find_node() { # sets $node to a Node.js that runs oidc-provider: the system's, else the one that npm/install fetched
    local one
    for one in "$(command -v node || true)" "$here"/node/node_modules/node-linux-*/bin/node; do
        if [ -x "$one" ] && "$one" -e 'process.exit(URL.parse && require("crypto").hash ? 0 : 1)' 2>/dev/null; then
            node=$one
            return 0
        fi
    done
    skip "needs Node.js 20.12 or newer (run tests/servers/npm/install, which needs a network once)"
}

dir=${1:?usage: $(basename "$0") DIR [down]}
command=${2:-up}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
