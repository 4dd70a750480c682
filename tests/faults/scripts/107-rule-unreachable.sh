#!/usr/bin/env bash
# A routing rule declares the address unreachable before any table is asked.
. "$(dirname "$0")/../lib.sh"

SEEN='ENETUNREACH'
setup(){ ip rule add pref 10 to 10.200.10.0/24 unreachable; export FAULT_ADDR=10.200.10.5; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show ip rule; }

fault "$@"
