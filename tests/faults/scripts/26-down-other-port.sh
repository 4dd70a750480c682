#!/usr/bin/env bash
# The service runs, but on a neighbouring port (configuration mismatch).
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ serve 127.0.0.1 62894; }
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnp; }

fault "$@"
