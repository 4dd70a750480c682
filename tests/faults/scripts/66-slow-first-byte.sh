#!/usr/bin/env bash
# The service works but needs longer than the caller's time limit.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import socket,time,threading
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64)
def one(c): c.recv(999); time.sleep(4); c.sendall(b"HTTP/1.0 200 OK\r\n\r\nlate"); c.close()
while True: c,_=s.accept(); threading.Thread(target=one,args=(c,),daemon=True).start()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 2; show probe 127.0.0.1 $P 6; }
evidence(){ show ss -tlnp "sport = :$P"; show ss -tip "sport = :$P"; }

fault "$@"
