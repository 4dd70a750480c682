#!/usr/bin/env bash
# The forwarder itself is out of descriptors: the target is healthy.
. "$(dirname "$0")/../lib.sh"

SEEN='EMFILE'
setup(){ serve 127.0.0.1 $P; }
wrap(){ bash -c 'ulimit -n 24; exec "$@"' x "$@"; }
symptom(){ show wrap $PY -c 'import socket,errno
k=[]
try:
    while True: k.append(socket.create_connection(("127.0.0.1",62893)))
except OSError as e: print(len(k),"connections, then",errno.errorcode[e.errno])'; show probe 127.0.0.1 $P; }
evidence(){ show wrap grep 'open files' /proc/self/limits; show cat /proc/sys/fs/file-nr; }

fault "$@"
