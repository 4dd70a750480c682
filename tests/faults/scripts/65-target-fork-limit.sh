#!/usr/bin/env bash
# A forking service cannot make a process (RLIMIT_NPROC or pids.max): accepts, then closes.
. "$(dirname "$0")/../lib.sh"

SEEN='EOF|ECONNRESET'
setup(){ cat >"$D/fk.py" <<'PY'
import socket,os,resource
os.setgid(43210); os.setuid(43210); resource.setrlimit(resource.RLIMIT_NPROC,(1,1))
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen(64)
while True:
    c,_=s.accept()
    try:
        if os.fork()==0: c.sendall(b"hello"); os._exit(0)
    except OSError as e: print("service log: fork:",e,flush=True)
    c.close()
PY
$PY "$D/fk.py" >"$D/log" & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 2; }
evidence(){ show cat "$D/log"; show grep processes /proc/$SRV/limits; show sh -c "ps -o pid= -u 43210 | wc -l"; }

fault "$@"
