#!/usr/bin/env bash
# The server died, but a child it started (here: sleep) inherited the listening descriptor.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ $PY -c 'import socket,os,subprocess
s=socket.socket(); s.setsockopt(1,2,1); s.bind(("127.0.0.1",62893)); s.listen(); os.set_inheritable(s.fileno(),True)
subprocess.Popen(["sleep","600"],close_fds=False)' ; wait_for listening; }
symptom(){ show trybind 127.0.0.1 $P; show probe 127.0.0.1 $P 1; }
evidence(){ show ss -tlnp "sport = :$P"; K=$(pgrep -x sleep | head -1); show readlink /proc/$K/exe; show grep -E 'PPid|State' /proc/$K/status; show ls -l /proc/$K/fd; }

fault "$@"
