#!/usr/bin/env bash
# The service was killed or restarted while a connection was in use.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNRESET'
setup(){ cat >"$D/m.py" <<'PY'
import socket,time,os
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen(64); k=[]
while True:
    c,_=s.accept(); c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\nfirst bytes"); k.append(c)
PY
$PY "$D/m.py" & SRV=$!; wait_for listening; }
symptom(){ export SRV; show $PY -c 'import socket,os,time,errno
s=socket.create_connection(("127.0.0.1",62893)); s.sendall(b"GET / HTTP/1.0\r\n\r\n"); time.sleep(.2); print("read ->",s.recv(99)[-11:])
os.kill(int(os.environ["SRV"]),9); time.sleep(.2)
try: d=s.recv(99); print("read ->", d or "EOF (990 bytes missing)")
except OSError as e: print("read ->",errno.errorcode[e.errno])
try: s.sendall(b"more"); time.sleep(.1); s.sendall(b"more"); print("write -> ok")
except OSError as e: print("write ->",errno.errorcode[e.errno])'; show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show nstat -az TcpEstabResets TcpExtTCPAbortOnClose; }

fault "$@"
