#!/usr/bin/env bash
# The service stops reading in the middle: its window closes, our send buffer fills.
. "$(dirname "$0")/../lib.sh"

SEEN='sent [0-9]+ bytes, then blocked'
setup(){ $PY -c 'import socket,time
s=socket.socket(); s.setsockopt(1,8,4096); s.bind(("127.0.0.1",62893)); s.listen(64); k=[]
while True: c,_=s.accept(); c.recv(100); k.append(c)' & SRV=$!; wait_for listening; }
symptom(){ $PY -c 'import socket,time,sys
s=socket.create_connection(("127.0.0.1",62893)); s.settimeout(1.5); n=0
try:
    while True: n+=s.send(b"x"*65536)
except OSError: print(f"sent {n} bytes, then blocked",flush=True)
time.sleep(60)' >"$D/o" & sleep 3; show cat "$D/o"; }
evidence(){ show ss -tnoip "( sport = :$P or dport = :$P )"; show nstat -az TcpExtTCPToZeroWindowAdv TcpExtTCPFromZeroWindowAdv TcpExtTCPWinProbe; }

fault "$@"
