#!/usr/bin/env bash
# The socket is open to everybody, and its folder to nobody.
. "$(dirname "$0")/../lib.sh"

SEEN='connect ->'
setup(){ mkdir -m 700 "$D/u"; export S="$D/u/app.sock"; $PY -c 'import socket,os
s=socket.socket(1); s.bind(os.environ["S"]); os.chmod(os.environ["S"],0o777); s.listen()
while True: c,_=s.accept(); c.close()' & wait_for test -S "$S"; export FAULT_ADDR=unix:$S; }
wrap(){ setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
symptom(){ show wrap $PY -c "
import os,socket
try: socket.socket(1).connect(os.environ['S']); print('OK')
except OSError as e: print('connect ->',type(e).__name__,e)"; }
evidence(){ show ls -ld "$D/u"; }

fault "$@"
