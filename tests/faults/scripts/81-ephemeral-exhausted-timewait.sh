#!/usr/bin/env bash
# Many short connections: the local ports are all in TIME_WAIT.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRNOTAVAIL'
setup(){ echo "40000 40019" >/proc/sys/net/ipv4/ip_local_port_range; sysctl -qw net.ipv4.tcp_tw_reuse=0; $PY -c 'import socket
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64)
while True: c,_=s.accept(); c.recv(9); c.close()' & SRV=$!; wait_for listening; $PY -c 'import socket,time
try:
    for i in range(40): s=socket.create_connection(("127.0.0.1",62893)); s.shutdown(1); s.recv(9); s.close()
except OSError: pass'; }
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show sh -c "ss -Htan 'dport = :$P' | awk '{print \$1}' | sort | uniq -c"; show sysctl net.ipv4.ip_local_port_range net.ipv4.tcp_tw_reuse net.ipv4.tcp_max_tw_buckets; show cat /proc/net/sockstat; }

fault "$@"
