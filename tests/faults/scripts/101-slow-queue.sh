#!/usr/bin/env bash
# The service accepts one connection after another, a second each, and forty wait before ours.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import socket,time
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64)
while True:
    c,_=s.accept(); c.recv(99); time.sleep(1)
    try: c.sendall(b"HTTP/1.0 200 OK\r\n\r\nhi")
    except OSError: pass
    c.close()' & SRV=$!; wait_for listening
$PY -c 'import socket,time
k=[]
for i in range(40):
    s=socket.create_connection(("127.0.0.1",62893),2); s.sendall(b"GET / HTTP/1.0\r\n\r\n"); k.append(s)
open("/proc/self/comm","w").write("crowd"); time.sleep(600)' & wait_for named crowd; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show ss -tlnp "sport = :$P"; }

fault "$@"
