#!/usr/bin/env bash
# Accepted, then closed without a byte.
. "$(dirname "$0")/../lib.sh"

SEEN='EOF'
setup(){ $PY -c 'import socket
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64)
while True: c,_=s.accept(); c.recv(9999); c.close()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 2; }
evidence(){ show ss -tlnp "sport = :$P"; }

fault "$@"
