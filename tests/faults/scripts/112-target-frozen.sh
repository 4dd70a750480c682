#!/usr/bin/env bash
# The service's control group is frozen.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; V1=/sys/fs/cgroup/freezer; if [ -d $V1 ]; then CG=$V1/fault-$$-$RANDOM; else CG=/sys/fs/cgroup/fault-$$-$RANDOM; fi; mkdir $CG; echo $SRV >$CG/cgroup.procs
if [ -d $V1 ]; then echo FROZEN >$CG/freezer.state; else echo 1 >$CG/cgroup.freeze; fi; }
cleanup(){ if [ -d $V1 ]; then echo THAWED >$CG/freezer.state; else echo 0 >$CG/cgroup.freeze; fi; kill -9 $SRV; wait $SRV 2>/dev/null; wait_for rmdir $CG; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show grep State /proc/$SRV/status; }

fault "$@"
