#!/usr/bin/env bash
# The service uses UDP on that port; we dial TCP.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ $PY -c 'import socket
s=socket.socket(2,2); s.bind(("127.0.0.1",62893))
while True: d,a=s.recvfrom(2000); s.sendto(d,a)' & SRV=$!; wait_for sh -c "ss -Huln 'sport = :$P' | grep -q ."; }
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show ss -ulnp "sport = :$P"; show grep -i :$(printf %04X $P) /proc/net/udp; }

fault "$@"
