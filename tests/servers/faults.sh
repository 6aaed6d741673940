#!/bin/bash
# The fault server (faults.py): what a real server cannot be made to do. README.md lists its scenarios.
. "$(dirname "$0")/common.sh"
if [ "$command" = down ]; then
    stop_pid "$dir/pid"
    exit 0
fi
need /usr/bin/python3 python3
fresh
pki
start 10 /usr/bin/python3 "$here/faults.py" "$dir" "$PKI_DIR"
emit FAULTS_PID "$(cat "$dir/pid")"
