#!/usr/bin/env bash
# A [::] listener without IPV6_V6ONLY takes the IPv4 port too; /proc/net/tcp shows nothing.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ cat >"$D/d.py" <<'PY'
import socket
s=socket.socket(socket.AF_INET6); s.setsockopt(1,2,1); s.setsockopt(41,26,0); s.bind(("::",62893)); s.listen(); 
while True: c,_=s.accept(); c.close()
PY
$PY "$D/d.py" & SRV=$!; wait_for listening; }
symptom(){ show trybind 127.0.0.1 $P; show trybind 0.0.0.0 $P; show trybind ::1 $P; }
evidence(){ say "/proc/net/tcp:"; show grep -i :$(printf %04X $P) /proc/net/tcp; say "/proc/net/tcp6:"; show grep -i :$(printf %04X $P) /proc/net/tcp6; show ss -6tlnpe "sport = :$P"; }

fault "$@"
