#!/usr/bin/env bash
# Warning: a service meant for this machine listens on 0.0.0.0 and answers the network.
. "$(dirname "$0")/../lib.sh"

SEEN='reachable from outside'
setup(){ mount -t tmpfs t /run; ip netns add far; ip link add x0 type veth peer name x1 netns far; ip addr add 10.200.6.1/24 dev x0; ip link set x0 up; ip -n far addr add 10.200.6.2/24 dev x1; ip -n far link set x1 up; serve 0.0.0.0 $P; sleep .5; }
symptom(){ show ip netns exec far $PY -c 'import socket
s=socket.create_connection(("10.200.6.1",62893),2); s.send(b"x\r\n\r\n"); print("reachable from outside:",s.recv(15))'; }
evidence(){ show ss -tlnp "sport = :$P"; show ip -br addr; show nft list ruleset; }

fault "$@"
