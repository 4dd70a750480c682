#!/usr/bin/env bash
# The service is stuck in the kernel (state D, e.g. dead NFS or disk): kill does not help.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import socket,ctypes,time,os,platform
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64); time.sleep(.3)
ctypes.CDLL(None).syscall(220 if platform.machine()=="aarch64" else 56,0x4000|17,0,0,0,0)   # clone(CLONE_VFORK): parent waits in D
s.close(); time.sleep(600)' & SRV=$!; wait_for listening; wait_for in_state $SRV D; }
symptom(){ show probe 127.0.0.1 $P 2; }
evidence(){ show grep State /proc/$SRV/status; show sh -c "cat /proc/$SRV/wchan; echo"; show sh -c "cat /proc/$SRV/stack"; show ss -tlnp "sport = :$P"; }

fault "$@"
