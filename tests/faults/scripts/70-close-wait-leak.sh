#!/usr/bin/env bash
# The service never closes finished connections: CLOSE_WAIT piles up until its descriptors run out.
. "$(dirname "$0")/../lib.sh"

SEEN='CLOSE-WAIT'
leaked(){ [ "$(ss -Htan state close-wait "sport = :$P" | wc -l)" -ge 40 ]; }
setup(){ $PY -c 'import socket
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64); k=[]
while True: c,_=s.accept(); c.sendall(b"hi"); k.append(c)' & SRV=$!; wait_for listening
$PY -c 'import socket
for i in range(40): s=socket.create_connection(("127.0.0.1",62893)); s.recv(9); s.close()'; wait_for leaked; }
symptom(){ show sh -c "ss -Htan 'sport = :$P' | awk '{print \$1}' | sort | uniq -c"; show probe 127.0.0.1 $P 2; }
evidence(){ show sh -c "ls /proc/$SRV/fd | wc -l"; show grep 'open files' /proc/$SRV/limits; show sh -c "ss -tanp state close-wait 'sport = :$P' | head -3"; }

fault "$@"
