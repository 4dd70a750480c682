#!/usr/bin/env bash
# All local ports towards this target are in use by open connections.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRNOTAVAIL'
setup(){ echo "40000 40019" >/proc/sys/net/ipv4/ip_local_port_range; serve 127.0.0.1 $P; $PY -c 'import socket,time
k=[]
try:
    while True: k.append(socket.create_connection(("127.0.0.1",62893)))
except OSError: pass
open("/proc/self/comm","w").write("leaky-app"); time.sleep(600)' & wait_for named leaky-app; }
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show cat /proc/sys/net/ipv4/ip_local_port_range; show sh -c "ss -Htanp 'dport = :$P' | awk '{print \$1,\$NF}' | sort | uniq -c | sort -rn | sed 's/,fd=[0-9]*//' | awk '{c[\$2\" \"\$3]+=\$1} END{for(k in c) print c[k],k}'"; show sh -c "ss -tan | wc -l"; }

fault "$@"
