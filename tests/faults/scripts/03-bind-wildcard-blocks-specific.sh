#!/usr/bin/env bash
# Someone listens on 0.0.0.0:PORT, so 127.0.0.1:PORT cannot be bound.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ serve 0.0.0.0 $P; }
symptom(){ show trybind 127.0.0.1 $P; show trybind 127.0.0.2 $P; show trybind ::1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show grep -i :$(printf %04X $P) /proc/net/tcp; }

fault "$@"
