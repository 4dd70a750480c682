#!/usr/bin/env bash
# Plain reject (ICMP port unreachable) is also reported as refused.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ serve 127.0.0.1 $P; iptables-nft -A INPUT -p tcp --dport $P -j REJECT; }
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show iptables-nft -L INPUT -nv; show nstat -az IcmpInDestUnreachs; }

fault "$@"
