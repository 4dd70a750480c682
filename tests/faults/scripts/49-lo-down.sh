#!/usr/bin/env bash
# The loopback interface was set down: connect hangs although the service listens and 127.0.0.1 is still assigned.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; ip link set lo down; }
symptom(){ show probe 127.0.0.1 $P; show probe ::1 $P; show trybind 127.0.0.1 62999; }
evidence(){ show ip -br link show lo; show ip -br addr show lo; show ss -tlnp "sport = :$P"; show ip route show table local; show ip route get 127.0.0.1; }

fault "$@"
