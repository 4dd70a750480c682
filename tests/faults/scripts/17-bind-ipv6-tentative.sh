#!/usr/bin/env bash
# The IPv6 address is still in duplicate address detection (service started too early).
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRNOTAVAIL'
setup(){ export FAULT_ADDR=fd00:62::5; ip link add vt0 type veth peer name vt1; sysctl -qw net.ipv6.conf.vt0.accept_dad=1 net.ipv6.conf.vt0.dad_transmits=120; ip link set vt0 up; ip link set vt1 up; ip addr add fd00:62::5/64 dev vt0; }
symptom(){ show trybind fd00:62::5 $P; }
evidence(){ show ip -6 addr show dev vt0; show cat /proc/net/if_inet6; say "(column 5: flags, 40 = tentative)"; }

fault "$@"
