#!/usr/bin/env bash
# Connect succeeds (the kernel does that), but the service never calls accept().
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import socket,time
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64); time.sleep(600)' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 2; }
evidence(){ show ss -tlnp "sport = :$P"; show ss -tanp "sport = :$P"; show sh -c "cat /proc/$SRV/wchan; echo"; show grep State /proc/$SRV/status; show cat /proc/$SRV/syscall; }

fault "$@"
