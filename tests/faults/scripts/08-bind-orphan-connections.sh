#!/usr/bin/env bash
# The old server is dead but a forked worker still serves one of its accepted connections.
. "$(dirname "$0")/../lib.sh"

SEEN='reuseaddr=0 -> EADDRINUSE'
gone(){ ! listening; }
setup(){ cat >"$D/f.py" <<'PY'
import socket,os,time
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen()
c,_=s.accept()
if os.fork()==0: s.close(); open("/proc/self/comm","w").write("old-worker"); time.sleep(600)
os._exit(0)
PY
$PY "$D/f.py" & wait_for listening; $PY -c 'import socket,time;s=socket.create_connection(("127.0.0.1",62893));time.sleep(600)' & wait_for named old-worker; wait_for gone; }
symptom(){ show trybind 127.0.0.1 $P; }
evidence(){ say "listeners:"; show ss -tlnp "sport = :$P"; say "all:"; show ss -tanp "sport = :$P"; }

fault "$@"
