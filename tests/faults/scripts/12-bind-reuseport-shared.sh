#!/usr/bin/env bash
# NO error: old and new copy both set SO_REUSEPORT, the kernel splits the connections between them.
. "$(dirname "$0")/../lib.sh"

SEEN='new.*old|old.*new'
setup(){ cat >"$D/rp.py" <<'PY'
import socket,sys
s=socket.socket(); s.setsockopt(1,15,1); s.bind(("127.0.0.1",62893)); s.listen()
open("/proc/self/comm","w").write("srv-"+sys.argv[1])
while True: c,_=s.accept(); c.sendall(sys.argv[1].encode()); c.close()
PY
$PY "$D/rp.py" old & wait_for named srv-old; $PY "$D/rp.py" new & wait_for named srv-new; }
symptom(){ show sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do nc -N -w1 127.0.0.1 62893 </dev/null; printf " "; done'; show trybind 127.0.0.1 $P; }
evidence(){ show ss -tlnpe "sport = :$P"; }

fault "$@"
