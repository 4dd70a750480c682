#!/usr/bin/env bash
# Nobody listens: an outgoing connection uses the port as its own (ephemeral) source port.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ echo "62800 62999" >/proc/sys/net/ipv4/ip_local_port_range; serve 127.0.0.1 5432 
cat >"$D/c.py" <<'PY'
import socket,time
k=[]
while True:   # connect(2) prefers one parity, yet gives each port of the range before it gives up
    s=socket.socket(); s.connect(("127.0.0.1",5432)); k.append(s)
    if s.getsockname()[1]==62893: break
for x in k[:-1]: x.close()
open("/proc/self/comm","w").write("db-client"); time.sleep(600)
PY
$PY "$D/c.py" & SRV=$!; wait_for named db-client; }
symptom(){ show trybind 127.0.0.1 $P; show trybind 0.0.0.0 $P; }
evidence(){ say "listeners:"; show ss -tlnp "sport = :$P"; say "all states:"; show ss -tanp "sport = :$P"; show cat /proc/sys/net/ipv4/ip_local_port_range; show cat /proc/sys/net/ipv4/ip_local_reserved_ports; }

fault "$@"
