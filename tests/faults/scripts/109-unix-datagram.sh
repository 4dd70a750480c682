#!/usr/bin/env bash
# The socket behind the path takes datagrams; a stream is dialled.
. "$(dirname "$0")/../lib.sh"

SEEN='connect ->'
setup(){ export S=$D/a.sock; $PY -c 'import socket,os
s=socket.socket(1,2); s.bind(os.environ["S"])
while True: s.recv(99)' & wait_for test -S "$S"; export FAULT_ADDR=unix:$S; }
symptom(){ show $PY -c "
import os,socket
try: socket.socket(1).connect(os.environ[\"FAULT_ADDR\"][5:]); print(\"OK\")
except OSError as e: print(\"connect ->\",type(e).__name__,e)"; }
evidence(){ show ss -xap; }

fault "$@"
