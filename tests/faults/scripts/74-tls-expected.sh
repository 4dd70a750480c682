#!/usr/bin/env bash
# The service speaks TLS, the client speaks plain HTTP.
. "$(dirname "$0")/../lib.sh"

SEEN='x15.x03|400|EOF|ECONNRESET'
setup(){ openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$D/k" -out "$D/c" -days 2 -subj /CN=localhost >/dev/null 2>&1
export D; $PY -c 'import socket,ssl,os,threading
x=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); x.load_cert_chain(os.environ["D"]+"/c",os.environ["D"]+"/k")
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen(64)
def one(c):
    try: t=x.wrap_socket(c,server_side=True); t.recv(999); t.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nsecure"); t.close()
    except OSError: c.close()
while True: c,_=s.accept(); threading.Thread(target=one,args=(c,),daemon=True).start()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P; show curl -sS --max-time 3 http://127.0.0.1:$P/; }
evidence(){ show curl -skS --max-time 3 https://127.0.0.1:$P/; say; show sh -c "echo | openssl s_client -connect 127.0.0.1:$P 2>/dev/null | grep -E '^subject|Protocol|^New'"; }

fault "$@"
