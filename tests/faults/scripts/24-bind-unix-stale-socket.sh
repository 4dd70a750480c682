#!/usr/bin/env bash
# The socket file is left over from a dead process: bind says in use, connect says refused.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ export FAULT_ADDR=unix:$D/app.sock; $PY -c "import socket; s=socket.socket(1); s.bind('$D/app.sock'); s.listen()"; }
symptom(){ show $PY -c "
import socket,errno
for f in ('bind','connect'):
    try: getattr(socket.socket(1),f)('$D/app.sock'); print(f,'OK')
    except OSError as e: print(f,'->',errno.errorcode[e.errno])"; }
evidence(){ show ls -l "$D/app.sock"; show sh -c "grep -c $D/app.sock /proc/net/unix"; show ss -xlp src "$D/app.sock"; }

fault "$@"
