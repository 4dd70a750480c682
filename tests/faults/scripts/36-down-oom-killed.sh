#!/usr/bin/env bash
# The service was killed by the kernel for memory; now the port is refused.
. "$(dirname "$0")/../lib.sh"

SEEN='oom_kill [1-9]'
setup(){ M=/sys/fs/cgroup/memory; if [ -d $M ]; then CG=$M/fault-oom-$$-$RANDOM; mkdir $CG; echo 30M >$CG/memory.limit_in_bytes; EV=$CG/memory.oom_control; else CG=/sys/fs/cgroup/fault-oom-$RANDOM; mkdir $CG; echo 30M >$CG/memory.max; echo 0 >$CG/memory.swap.max; EV=$CG/memory.events; fi
cleanup(){ sleep .2; rmdir $CG; }
bash -c "echo 0 >$CG/cgroup.procs; exec $PY -c 'import socket,time
s=socket.socket(); s.setsockopt(1,2,1); s.bind((\"127.0.0.1\",62893)); s.listen(); time.sleep(.4); x=bytearray(90<<20); time.sleep(60)'" & SRV=$!; RC=0; wait $SRV || RC=$?; [ $RC = 137 ]; }
symptom(){ show echo "exit status of the service: $RC (137 = SIGKILL)"; show probe 127.0.0.1 $P; }
evidence(){ show cat $EV; show sh -c 'grep oom_kill /proc/vmstat'; show sh -c 'dmesg 2>/dev/null | grep -a "Killed process" | tail -1'; }

fault "$@"
