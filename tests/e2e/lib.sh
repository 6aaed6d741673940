# shellcheck shell=bash disable=SC2034 # what the scripts use
# lib.sh - shared by the end-to-end scripts; source it. Everything lives in a directory of its own, $work, which is
# removed at the end: SoftHSM2's configuration, tokens, PINs, the home directory, the PIN guard's state.
#
#   new_token LABEL                           a SoftHSM2 token with PIN $PIN (and SO PIN $SO_PIN)
#   check NAME STATUS PATTERN -- COMMAND...   runs it; the exit status must be STATUS, and PATTERN (grep -E; "" takes
#                                             anything) must be in what it printed. A failure must have an error with
#                                             a hint on standard error. Output stays in $work/out and /err.
#   ok NAME COMMAND...                        passes when the command succeeds; $work/out and /err stay as they are
#   skip NAME REASON
#   finish                                    the last line of a script
#
# Prints TAP.
set -u
umask 077
: "${HSMART_BIN:?the directory of the tools}"
KEY=$HSMART_BIN/hsmart-key
SMART=$HSMART_BIN/hsmart
PIN=648219
SO_PIN=12345678

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/home" "$work/tokens" "$work/state"
cd "$work" || exit 1

first_of() { # first_of PATH...: the first that exists
    local path
    for path; do [ -e "$path" ] && { echo "$path"; return; }; done
    return 1
}
MODULE=$(first_of /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so) ||
    { echo "needs SoftHSM2 (package softhsm2)"; exit 77; }
SPY=$(first_of /usr/lib/*/pkcs11/pkcs11-spy.so /usr/lib/*/pkcs11-spy.so /usr/lib/pkcs11-spy.so) || SPY=

export SOFTHSM2_CONF=$work/softhsm2.conf HOME=$work/home XDG_STATE_HOME=$work/state LC_ALL=C.UTF-8
unset HSMART_CONFIG XDG_CONFIG_HOME STATE_DIRECTORY PKCS11SPY PKCS11SPY_OUTPUT
cat >"$SOFTHSM2_CONF" <<END
directories.tokendir = $work/tokens
objectstore.backend = file
log.level = ERROR
END
printf '%s\n' "$PIN" >pin
printf '%s\n' "$SO_PIN" >so-pin
printf '111111\n' >wrong-pin

number=0
failed=0

pass() { number=$((number + 1)); echo "ok $number - $1"; }
fail() { # fail NAME WHY
    number=$((number + 1))
    failed=$((failed + 1))
    echo "not ok $number - $1"
    echo "  $2"
}
skip() { number=$((number + 1)); echo "ok $number - $1 # SKIP $2"; }

show_output() {
    sed 's/^/  stdout: /' "$work/out" | cut -c1-300 | head -40
    sed 's/^/  stderr: /' "$work/err" | cut -c1-300 | head -40
}

check() {
    local name=$1 status=$2 pattern=$3 got=0
    shift 4
    "$@" >"$work/out" 2>"$work/err" </dev/null || got=$?
    if [ "$got" != "$status" ]; then
        fail "$name" "exit status $got, not $status: $*"
        show_output
    elif [ "$status" != 0 ] && ! { grep -q 'error: ' "$work/err" && grep -q '^  hint: .' "$work/err"; } &&
        [ -z "${quiet_failure:-}" ]; then
        fail "$name" "no error with a hint: $*"
        show_output
    elif [ -n "$pattern" ] && ! cat "$work/out" "$work/err" | grep -qE -- "$pattern"; then
        fail "$name" "nothing like \"$pattern\" in what it printed: $*"
        show_output
    else
        pass "$name"
    fi
}

ok() {
    local name=$1
    shift
    if "$@" >"$work/ok.out" 2>&1 </dev/null; then # what check left in out and err stays there
        pass "$name"
    else
        fail "$name" "failed: $*"
        sed 's/^/  /' "$work/ok.out" | cut -c1-300 | head -40
    fi
}

finish() {
    echo "1..$number"
    [ "$failed" = 0 ]
    exit
}

new_token() {
    softhsm2-util --module "$MODULE" --init-token --free --label "$1" --so-pin "$SO_PIN" --pin "$PIN" >/dev/null
}

# The options that reach the token "e2e".
token=(--module "$MODULE" --token-uri pkcs11:token=e2e --pin-source "file:$work/pin")

lacks() { ! grep -q -- "$1" "$2"; } # lacks PATTERN FILE

# header FILE, claims FILE: of the assertion in FILE, as JSON.
part() { # part FILE INDEX
    /usr/bin/python3 - "$1" "$2" <<'END'
import base64, sys
part = open(sys.argv[1]).read().strip().split(".")[int(sys.argv[2])]
sys.stdout.buffer.write(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
END
}
header() { part "$1" 0; }
claims() { part "$1" 1; }
