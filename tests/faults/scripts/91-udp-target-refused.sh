#!/usr/bin/env bash
# UDP: send works, the refusal comes back later as an ICMP error on the next call.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ :; }
symptom(){ show $PY -c 'import socket,errno
s=socket.socket(2,2); s.connect(("127.0.0.1",62893)); print("send ->",s.send(b"x")); s.settimeout(1)
try: s.recv(9)
except OSError as e: print("recv ->",errno.errorcode.get(e.errno,e))'; }
evidence(){ show ss -ulnp "sport = :$P"; show ss -tlnp "sport = :$P"; show nstat -az UdpNoPorts IcmpOutDestUnreachs; }

fault "$@"
