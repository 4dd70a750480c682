#!/usr/bin/env bash
# No rule takes the packet, and the chain's policy drops it.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet f {
 chain in { type filter hook input priority 0; policy drop; ct state established,related accept; tcp dport 22 accept;
 }
}
N
}
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show nft list ruleset; }

fault "$@"
