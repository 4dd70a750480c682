#!/usr/bin/env bash
# The client starts TLS, the service speaks plain HTTP.
. "$(dirname "$0")/../lib.sh"

SEEN='HTTP/1.. 400|wrong version|SSL routines'
setup(){ $PY -c 'import socket,threading
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen(64)
def one(c):
    d=c.recv(999); c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok" if d[:1].isalpha() else b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"); c.close()
while True: c,_=s.accept(); threading.Thread(target=one,args=(c,),daemon=True).start()' & SRV=$!; wait_for listening; }
symptom(){ show curl -skS --max-time 3 https://127.0.0.1:$P/; }
evidence(){ show curl -sS -i --max-time 3 http://127.0.0.1:$P/; }

fault "$@"
