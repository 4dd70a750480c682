#!/usr/bin/env bash
# 127.0.0.0/8 lost its local route or the address was removed from lo.
. "$(dirname "$0")/../lib.sh"

SEEN='ENETUNREACH|EHOSTUNREACH|TIMEOUT'
setup(){ serve 0.0.0.0 $P; ip addr del 127.0.0.1/8 dev lo; }
symptom(){ show probe 127.0.0.1 $P 1.5; show trybind 127.0.0.1 62999; }
evidence(){ show ip -br addr show lo; show ip route get 127.0.0.1; show ip route show table local; }

fault "$@"
