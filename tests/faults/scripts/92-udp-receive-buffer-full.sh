#!/usr/bin/env bash
# UDP: the service reads too slowly, the kernel drops datagrams without an error.
. "$(dirname "$0")/../lib.sh"

SEEN='received 0*[0-9]+ of 2000'
setup(){ $PY -c 'import socket,time
s=socket.socket(2,2); s.setsockopt(1,8,4096); s.bind(("127.0.0.1",62893)); time.sleep(2.2); s.settimeout(.5); n=0
try:
    while True: s.recv(2000); n+=1
except OSError: print(f"received {n} of 2000",flush=True)
time.sleep(60)' >"$D/o" & SRV=$!; wait_for sh -c "ss -Huln 'sport = :$P' | grep -q ."; }
symptom(){ $PY -c 'import socket
s=socket.socket(2,2); s.connect(("127.0.0.1",62893))
for i in range(2000): s.send(b"x"*500)'; sleep 3.2; show cat "$D/o"; }
evidence(){ show sh -c "head -1 /proc/net/udp; grep -i :$(printf %04X $P) /proc/net/udp"; show ss -ulnpm "sport = :$P"; show nstat -az UdpRcvbufErrors UdpInErrors; }

fault "$@"
