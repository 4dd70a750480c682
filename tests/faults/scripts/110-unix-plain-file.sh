#!/usr/bin/env bash
# The path is a plain file.
. "$(dirname "$0")/../lib.sh"

SEEN='connect ->'
setup(){ echo x >"$D/a.sock"; export FAULT_ADDR=unix:$D/a.sock; }
symptom(){ show $PY -c "
import os,socket
try: socket.socket(1).connect(os.environ[\"FAULT_ADDR\"][5:]); print(\"OK\")
except OSError as e: print(\"connect ->\",type(e).__name__,e)"; }
evidence(){ show ls -l "$D/a.sock"; }

fault "$@"
