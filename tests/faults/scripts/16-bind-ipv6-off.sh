#!/usr/bin/env bash
# Disable_ipv6=1: ::1 does not exist.
. "$(dirname "$0")/../lib.sh"

SEEN='EADDRNOTAVAIL'
setup(){ export FAULT_ADDR=::1; sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.lo.disable_ipv6=1; }
symptom(){ show trybind ::1 $P; show trybind :: $P; show probe ::1 $P 1; }
evidence(){ show sysctl net.ipv6.conf.all.disable_ipv6 net.ipv6.conf.lo.disable_ipv6; show cat /proc/net/if_inet6; show ip -br addr show lo; }

fault "$@"
