#!/usr/bin/env bash
# Master and workers share one listening socket: killing one process does not free the port.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ cat >"$D/p.py" <<'PY'
import socket,os,time
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen()
for i in range(3):
    if os.fork()==0:
        open("/proc/self/comm","w").write("worker%d"%i)
        while True: c,_=s.accept(); c.close()
open("/proc/self/comm","w").write("master"); time.sleep(600)
PY
$PY "$D/p.py" & SRV=$!; wait_for listening; wait_for named master; for i in 0 1 2; do wait_for named worker$i; done; }
symptom(){ say "kill the first holder, then bind:"; kill $SRV; sleep .3; show trybind 127.0.0.1 $P; }
evidence(){ show ss -tlnpe "sport = :$P"; }

fault "$@"
