#!/usr/bin/env bash
# The service process is stopped (Ctrl-Z, SIGSTOP): connects fine, never answers.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; kill -STOP $SRV; wait_for in_state $SRV T; }
symptom(){ show probe 127.0.0.1 $P 2; }
evidence(){ show ss -tlnp "sport = :$P"; show grep -E 'State|PPid' /proc/$SRV/status; show sh -c "cat /proc/$SRV/wchan; echo"; }

fault "$@"
