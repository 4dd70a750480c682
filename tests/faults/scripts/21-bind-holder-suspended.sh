#!/usr/bin/env bash
# The earlier run was suspended with Ctrl-Z (SIGSTOP/SIGTSTP), not ended.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ serve 127.0.0.1 $P; kill -STOP $SRV; wait_for in_state $SRV T; }
symptom(){ show trybind 127.0.0.1 $P; }
evidence(){ show grep -E '^(State|Name|PPid)' /proc/$SRV/status; show ss -tlnp "sport = :$P"; }

fault "$@"
