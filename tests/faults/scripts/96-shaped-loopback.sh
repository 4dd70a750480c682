#!/usr/bin/env bash
# Simulated network conditions left on: a queueing discipline on lo slows everything (tc tbf; netem where the kernel has it).
. "$(dirname "$0")/../lib.sh"

SEEN='bytes in'
setup(){ $PY -c 'import socket
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen(64)
while True: c,_=s.accept(); c.recv(999); c.sendall(b"x"*60000); c.close()' & SRV=$!; wait_for listening; tc qdisc add dev lo root tbf rate 200kbit burst 70kb latency 2s; }
symptom(){ show $PY -c 'import socket,time
for i in range(2):
    t=time.time(); s=socket.create_connection(("127.0.0.1",62893)); s.send(b"x"); n=0
    while d:=s.recv(65536): n+=len(d)
    print(n,"bytes in %.1f s"%(time.time()-t))'; }
evidence(){ show tc -s qdisc show dev lo; }

fault "$@"
