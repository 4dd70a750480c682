#!/usr/bin/env bash
# A verdict map drops a range of ports.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet f {
 chain in { type filter hook input priority 0; tcp dport vmap { 80 : accept, 62800-62899 : drop };
 }
}
N
}
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show nft list ruleset; }

fault "$@"
