#!/usr/bin/env bash
# The address in the configuration is on no interface of this machine (or namespace).
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRNOTAVAIL'
setup(){ export FAULT_ADDR=10.200.0.7; ip link add vf0 type veth peer name vf1; ip addr add 10.200.0.1/24 dev vf0; ip link set vf0 up; ip link set vf1 up; }
symptom(){ show trybind $FAULT_ADDR $P; }
evidence(){ show ip -br addr; show ip route get $FAULT_ADDR; show cat /proc/sys/net/ipv4/ip_nonlocal_bind; show cat /proc/net/fib_trie; }

fault "$@"
