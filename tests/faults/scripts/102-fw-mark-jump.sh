#!/usr/bin/env bash
# A rule drops by a mark that another chain has set, in a chain that is jumped to.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet f {
 chain marker { type route hook output priority -150; tcp dport $P meta mark set 0x7;
 }
 chain check { meta mark 0x7 counter drop;
 }
 chain in { type filter hook input priority 0; jump check;
 }
}
N
}
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show nft list ruleset; }

fault "$@"
