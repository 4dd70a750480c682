#!/usr/bin/env bash
# A rule rejects the ports of a named set, counted by a named counter.
. "$(dirname "$0")/../lib.sh"

SEEN='EHOSTUNREACH'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet f {
 set bad { type inet_service; flags interval; elements = { 100-200, $P };
 }
 counter cnt { }
 chain in { type filter hook input priority 0; tcp dport @bad counter name cnt reject with icmpx admin-prohibited;
 }
}
N
}
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show nft list ruleset; }

fault "$@"
