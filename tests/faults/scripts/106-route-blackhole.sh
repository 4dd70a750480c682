#!/usr/bin/env bash
# A black hole in the routing table swallows what is sent there.
. "$(dirname "$0")/../lib.sh"

SEEN='EINVAL'
setup(){ ip route add blackhole 10.200.10.0/24; export FAULT_ADDR=10.200.10.5; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show ip route; }

fault "$@"
