#!/usr/bin/env bash
# Fe80:: address without %interface.
. "$(dirname "$0")/../lib.sh"

SEEN='EINVAL'
setup(){ export FAULT_ADDR=fe80::62; ip link add vl0 type veth peer name vl1; sysctl -qw net.ipv6.conf.vl0.accept_dad=0; ip link set vl0 up; ip link set vl1 up; ip addr add fe80::62/64 dev vl0 nodad; }
symptom(){ show trybind fe80::62 $P; show trybind fe80::62%vl0 $P; show probe fe80::62 $P 1; }
evidence(){ show ip -br -6 addr; }

fault "$@"
