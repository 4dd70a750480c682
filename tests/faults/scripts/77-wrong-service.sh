#!/usr/bin/env bash
# The port answers, but with another protocol than expected (here an SSH banner instead of HTTP).
. "$(dirname "$0")/../lib.sh"

SEEN='SSH-2.0'
setup(){ $PY -c 'import socket
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen(64)
while True:
    c,_=s.accept(); c.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"); c.settimeout(1)
    try: c.recv(999); c.sendall(b"Invalid SSH identification string.\r\n")
    except OSError: pass
    c.close()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P; show curl -sS --max-time 3 http://127.0.0.1:$P/; }
evidence(){ show ss -tlnp "sport = :$P"; }

fault "$@"
