#!/usr/bin/env bash
# TCP_DEFER_ACCEPT on a service whose client waits for a greeting: both sides wait.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import socket
s=socket.socket(); s.setsockopt(1,2,1); s.setsockopt(6,9,30); s.bind(("127.0.0.1",62893)); s.listen(64)
while True: c,_=s.accept(); c.sendall(b"220 hello\r\n"); c.close()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 2 ""; show probe 127.0.0.1 $P 2 "EHLO x"; ( probe 127.0.0.1 $P 2 "" >/dev/null & ); sleep .7; }
evidence(){ show sh -c "ss -tanp '( sport = :$P or dport = :$P )' | grep -v -i time-wait"; }

fault "$@"
