#!/usr/bin/env bash
# The service stands at a breakpoint: a debugger holds it in tracing stop.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; export SRV; $PY -c 'import ctypes,os,time
l=ctypes.CDLL(None,use_errno=True); p=int(os.environ["SRV"]); l.ptrace.argtypes=[ctypes.c_long]*4
assert l.ptrace(0x4206,p,0,0)==0; assert l.ptrace(0x4207,p,0,0)==0; open("/proc/self/comm","w").write("gdb"); time.sleep(600)' & wait_for in_state $SRV t; wait_for named gdb; }
symptom(){ show probe 127.0.0.1 $P 2; }
evidence(){ show grep -E 'State|TracerPid' /proc/$SRV/status; show cat /proc/$(awk '/TracerPid/{print $2}' /proc/$SRV/status)/comm; show ss -tlnp "sport = :$P"; }

fault "$@"
