#!/usr/bin/env bash
# The old server closed first; its connections sit in TIME_WAIT, and the new one does not set SO_REUSEADDR.
. "$(dirname "$0")/../lib.sh"

SEEN='reuseaddr=0 -> EADDRINUSE'
setup(){ $PY -c 'import socket
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(); c=socket.create_connection(("127.0.0.1",62893)); a,_=s.accept(); a.close(); c.recv(1); c.close(); s.close()'; wait_for sh -c "ss -Htan state time-wait 'sport = :$P' | grep -q ."; }
symptom(){ show trybind 127.0.0.1 $P; }
evidence(){ show ss -tanpe "sport = :$P"; show grep -i ":$(printf %04X $P) " /proc/net/tcp; }

fault "$@"
