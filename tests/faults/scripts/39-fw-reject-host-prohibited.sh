#!/usr/bin/env bash
# Reject with icmp-host-prohibited (the RHEL default) shows as No route to host.
. "$(dirname "$0")/../lib.sh"

SEEN='EHOSTUNREACH'
setup(){ serve 127.0.0.1 $P; iptables-nft -A INPUT -p tcp --dport $P -j REJECT --reject-with icmp-host-prohibited; }
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show ip route get 127.0.0.1; show iptables-nft -L INPUT -nv; }

fault "$@"
