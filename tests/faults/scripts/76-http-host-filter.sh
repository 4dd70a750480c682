#!/usr/bin/env bash
# The HTTP service answers only for one Host name (allowedHosts, ALLOWED_HOSTS, virtual hosts): through the forward the name differs.
. "$(dirname "$0")/../lib.sh"

SEEN='421|403|400'
setup(){ $PY -c 'import socket,threading,re
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen(64)
def one(c):
    h=re.search(rb"(?i)\r\nhost: *([^\r\n]*)",c.recv(4096)); ok=h and h[1]==b"app.test"
    b=b"welcome" if ok else b"Blocked request. This host is not allowed."
    c.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"%(b"200 OK" if ok else b"403 Forbidden",len(b),b)); c.close()
while True: c,_=s.accept(); threading.Thread(target=one,args=(c,),daemon=True).start()' & SRV=$!; wait_for listening; }
symptom(){ show curl -sS -i --max-time 3 http://127.0.0.1:$P/; }
evidence(){ show curl -sS -i --max-time 3 -H 'Host: localhost' http://127.0.0.1:$P/; show curl -sS -i --max-time 3 -H 'Host: app.test' http://127.0.0.1:$P/; }

fault "$@"
