#!/usr/bin/env bash
# The service listens on every address of a container, joined to this machine by a veth.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ mount -t tmpfs t /run; ip netns add box; ip link add c0 type veth peer name c1 netns box; ip addr add 10.200.7.1/24 dev c0; ip link set c0 up; ip -n box addr add 10.200.7.2/24 dev c1; ip -n box link set c1 up; ip -n box link set lo up; ip netns exec box $PY "$D/serve.py" 0.0.0.0 $P & SRV=$!; wait_for ip netns exec box sh -c "ss -Htln 'sport = :$P' | grep -q ."; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show ip netns exec box ss -tlnp; }

fault "$@"
