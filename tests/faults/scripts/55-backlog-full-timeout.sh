#!/usr/bin/env bash
# The listener's accept queue is full: SYNs are dropped, connect times out, the port is listening.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import socket,time
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(2); time.sleep(600)' & SRV=$!; wait_for listening
$PY -c 'import socket,time
k=[]
for i in range(6):
    s=socket.socket(); s.settimeout(.25); k.append(s)
    try: s.connect(("127.0.0.1",62893))
    except OSError: pass
time.sleep(600)' & wait_for queued 3; }
symptom(){ show probe 127.0.0.1 $P 2.5; }
evidence(){ show ss -tlnp "sport = :$P"; say "(LISTEN: Recv-Q = waiting in the accept queue, Send-Q = its limit)"; show nstat -az TcpExtListenOverflows TcpExtListenDrops; show cat /proc/sys/net/core/somaxconn; show cat /proc/sys/net/ipv4/tcp_abort_on_overflow; }

fault "$@"
