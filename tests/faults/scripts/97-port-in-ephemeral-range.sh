#!/usr/bin/env bash
# Warning, not an error: the chosen port lies in the range from which outgoing connections draw, so it will be taken sooner or later.
. "$(dirname "$0")/../lib.sh"

SEEN='taken [1-9]'
setup(){ echo "62801 62999" >/proc/sys/net/ipv4/ip_local_port_range; serve 127.0.0.1 5432; }   # connect() first draws ports of the parity of the lower bound
symptom(){ show $PY -c 'import socket
t=0
for r in range(4):
    k=[]
    for i in range(99):
        s=socket.socket(); s.connect(("127.0.0.1",5432)); k.append(s); t+= s.getsockname()[1]==62893
    for s in k: s.close()
print("taken",t,"times in 396 outgoing connections")'; echo $P >/proc/sys/net/ipv4/ip_local_reserved_ports; say "with ip_local_reserved_ports=$P:"; show $PY -c 'import socket
k=[]; t=0
for i in range(199):
    try: s=socket.socket(); s.connect(("127.0.0.1",5432)); k.append(s); t+= s.getsockname()[1]==62893
    except OSError: break
print("drawn",t,"times in",len(k))'; }
evidence(){ show cat /proc/sys/net/ipv4/ip_local_port_range; show cat /proc/sys/net/ipv4/ip_local_reserved_ports; }

fault "$@"
