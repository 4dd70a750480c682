#!/usr/bin/env bash
# The holder belongs to another user: without root its descriptors cannot be read, only its uid is known.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ setpriv --reuid=33 --regid=33 --clear-groups $PY "$D/serve.py" 127.0.0.1 $P & SRV=$!; wait_for listening; }
wrap(){ setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "$@"; }
symptom(){ cat >"$D/t.py" <<'PY'
import socket,errno,os
try: socket.socket().bind(("127.0.0.1",62893)); print("OK")
except OSError as e: print("bind ->",errno.errorcode[e.errno])
PY
show wrap $PY "$D/t.py"; show wrap ss -tlnpe "sport = :$P"; show wrap lsof -nP -iTCP:$P; show wrap ls /proc/$SRV/fd; show wrap cat /proc/$SRV/cmdline; }
evidence(){ show wrap grep -i ":$(printf %04X $P) " /proc/net/tcp; say "(8th column: uid)"; }

fault "$@"
