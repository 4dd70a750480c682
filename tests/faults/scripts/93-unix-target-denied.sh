#!/usr/bin/env bash
# The Unix socket exists but its mode or a parent directory forbids us.
. "$(dirname "$0")/../lib.sh"

SEEN='EACCES'
setup(){ mkdir -p "$D/u"; export S="$D/u/app.sock"; $PY -c 'import socket,os
s=socket.socket(1); s.bind(os.environ["S"]); os.chmod(os.environ["S"],0o660); s.listen()
while True: c,_=s.accept(); c.close()' & SRV=$!; wait_for test -S "$S"; chmod 755 "$D" "$D/u"; export FAULT_ADDR=unix:$S; }
wrap(){ setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
symptom(){ show wrap $PY -c "
import socket,errno
for p in ('$S','$S.gone'):
    try: socket.socket(1).connect(p); print('OK')
    except OSError as e: print('connect ->',errno.errorcode[e.errno])"; }
evidence(){ show ls -l "$S"; show ls -ld "$D/u" "$D"; show ss -xlp src "$S"; }

fault "$@"
