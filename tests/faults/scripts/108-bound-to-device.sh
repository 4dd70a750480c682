#!/usr/bin/env bash
# The service listens on every address, yet for one interface only (SO_BINDTODEVICE).
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ ip link add d0 type veth peer name d1; ip addr add 10.200.9.1/24 dev d0; ip link set d0 up; ip link set d1 up; $PY -c 'import socket
s=socket.socket(); s.setsockopt(1,25,b"d0"); s.bind(("0.0.0.0",62893)); s.listen()
while True: c,_=s.accept(); c.close()' & wait_for listening; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show ss -tlnp "sport = :$P"; }

fault "$@"
