#!/usr/bin/env bash
# Listeners have every source port that a connection could draw.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRNOTAVAIL'
setup(){ echo "40000 40003" >/proc/sys/net/ipv4/ip_local_port_range; serve 127.0.0.1 $P; $PY -c 'import socket,time
k=[]
for i in range(4):
    s=socket.socket(); s.bind(("127.0.0.1",40000+i)); s.listen(); k.append(s)
open("/proc/self/comm","w").write("squatter"); time.sleep(600)' & wait_for named squatter; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show ss -tlnp; }

fault "$@"
