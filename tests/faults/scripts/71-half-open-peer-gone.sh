#!/usr/bin/env bash
# The far end disappeared without FIN or RST: the connection stays ESTABLISHED and retransmits.
. "$(dirname "$0")/../lib.sh"

SEEN='no answer'
setup(){ mount -t tmpfs t /run; ip netns add far; ip link add p0 type veth peer name p1 netns far; ip addr add 10.200.4.1/24 dev p0; ip link set p0 up; ip -n far addr add 10.200.4.2/24 dev p1; ip -n far link set p1 up; ip -n far link set lo up; export FAULT_ADDR=10.200.4.2
ip netns exec far $PY "$D/serve.py" 10.200.4.2 $P & SRV=$!; wait_for ip netns exec far sh -c "ss -Htln 'sport = :$P' | grep -q ."; }
symptom(){ $PY -c 'import socket,time
s=socket.create_connection(("10.200.4.2",62893)); time.sleep(1.2)
for i in range(3): s.send(b"ping"); time.sleep(.3)
s.settimeout(1.5)
try: s.recv(9)
except OSError: print("established, sent 12 bytes: no answer, no error",flush=True)
time.sleep(60)' >"$D/o" & sleep .7; ip -n far link set p1 down; sleep 3.4; show cat "$D/o"; }
evidence(){ show ss -tnoip "dport = :$P"; show ip -br link show p0; show ip neigh show dev p0; show nstat -az TcpRetransSegs TcpExtTCPTimeouts; }

fault "$@"
