#!/usr/bin/env bash
# Our own process is out of file descriptors, so no socket can be made.
. "$(dirname "$0")/../lib.sh"

SEEN='EMFILE'
setup(){ serve 127.0.0.1 $P; }
wrap(){ bash -c 'ulimit -n 24; for i in $(seq 3 23); do eval "exec $i</dev/null" 2>/dev/null; done; exec "$@"' x "$@"; }
symptom(){ show bash -c 'ulimit -n 8; exec '$PY' -c "
import socket,errno
k=[]
try:
    while True: k.append(socket.socket())
except OSError as e: print(len(k),errno.errorcode[e.errno],e.strerror)"'; }
evidence(){ show bash -c 'ulimit -n 8; grep "open files" /proc/self/limits'; show cat /proc/sys/fs/file-nr; }

fault "$@"
