#!/usr/bin/env bash
# Unix socket with a full queue: EAGAIN (nonblocking) or a hang.
. "$(dirname "$0")/../lib.sh"

SEEN='EAGAIN'
setup(){ export S="$D/b.sock"; $PY -c 'import socket,os,time
s=socket.socket(1); s.bind(os.environ["S"]); s.listen(1); k=[]
for i in range(2): c=socket.socket(1); c.connect(os.environ["S"]); k.append(c)
time.sleep(600)' & SRV=$!; wait_for sh -c "ss -Hxl src '$S' | awk 'BEGIN{few=1} \$3>=2{few=0} END{exit few}'"; export FAULT_ADDR=unix:$S; }
symptom(){ show $PY -c "
import socket,errno
s=socket.socket(1); s.setblocking(False)
try: s.connect('$S'); print('OK')
except OSError as e: print('connect ->',errno.errorcode[e.errno],e.strerror)"; }
evidence(){ show ss -xlp src "$S"; }

fault "$@"
