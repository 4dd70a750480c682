#!/usr/bin/env bash
# The hosts file maps localhost to another address.
. "$(dirname "$0")/../lib.sh"

SEEN='localhost 62893 -> ECONNREFUSED'
setup(){ printf '127.0.0.7 localhost\n' >"$D/hosts"; mount --bind "$D/hosts" /etc/hosts; serve 127.0.0.1 $P; export FAULT_ADDR=localhost; }
symptom(){ show probe localhost $P; show probe 127.0.0.1 $P; }
evidence(){ show getent ahosts localhost; show grep -n localhost /etc/hosts; }

fault "$@"
