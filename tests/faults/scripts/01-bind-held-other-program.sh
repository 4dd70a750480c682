#!/usr/bin/env bash
# Another program already listens on exactly this address and port.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRINUSE'
setup(){ serve 127.0.0.1 $P; }
symptom(){ show trybind $FAULT_ADDR $P; }
evidence(){ show ss -tlnpe "sport = :$P"; show cat /proc/$SRV/cmdline; show awk '{print "starttime(ticks):",$22}' /proc/$SRV/stat; show cat /proc/$SRV/cgroup; show ls -l /proc/$SRV/fd; }

fault "$@"
