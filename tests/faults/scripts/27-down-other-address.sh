#!/usr/bin/env bash
# The service listens on the right port but only on another address.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ ip link add va0 type veth peer name va1; ip addr add 10.200.1.1/24 dev va0; ip link set va0 up; ip link set va1 up; serve 10.200.1.1 $P; }
symptom(){ show probe 127.0.0.1 $P; show probe 10.200.1.1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show ip -br addr; }

fault "$@"
