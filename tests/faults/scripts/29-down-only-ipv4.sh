#!/usr/bin/env bash
# The service listens on 127.0.0.1 only, we dial ::1 (what localhost means first).
. "$(dirname "$0")/../lib.sh"

SEEN='::1 62893 -> ECONNREFUSED'
setup(){ serve 127.0.0.1 $P; export FAULT_ADDR=::1; }
symptom(){ show probe ::1 $P; show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnpe "sport = :$P"; show $PY -c 'import socket; print([a[4][0] for a in socket.getaddrinfo("localhost",62893,type=1)])'; }

fault "$@"
