#!/usr/bin/env bash
# The machine-wide file table (fs.file-max) is full; injected with strace so that the host is left alone.
. "$(dirname "$0")/../lib.sh"

SEEN='ENFILE'
setup(){ serve 127.0.0.1 $P; }
wrap(){ strace -f -qq -o /dev/null -e trace=socket -e inject=socket:error=ENFILE "$@"; }
symptom(){ export -f probe; export PY; show wrap bash -c "probe 127.0.0.1 $P"; }
evidence(){ show cat /proc/sys/fs/file-nr; show cat /proc/sys/fs/file-max; }

fault "$@"
