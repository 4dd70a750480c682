#!/usr/bin/env bash
# The rule drops our own outgoing SYN (egress policy).
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT|EPERM'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet egress { chain out { type filter hook output priority 0; tcp dport $P counter drop;
 }
}
N
}
symptom(){ show probe 127.0.0.1 $P 2.5; }
evidence(){ show nft list ruleset; ( probe 127.0.0.1 $P 3 >/dev/null & ); sleep 1.3; show ss -tnpo state syn-sent; }

fault "$@"
