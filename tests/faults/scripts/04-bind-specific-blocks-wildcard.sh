#!/usr/bin/env bash
# Someone listens on one address only; binding the wildcard fails, another loopback address works.
. "$(dirname "$0")/../lib.sh"

SEEN='0.0.0.0 62893 reuseaddr=1 -> EADDRINUSE'
setup(){ serve 127.0.0.1 $P; export FAULT_ADDR=0.0.0.0; }
symptom(){ show trybind 0.0.0.0 $P; show trybind 127.0.0.2 $P; show trybind :: $P; }
evidence(){ show ss -tlnp "sport = :$P"; }

fault "$@"
