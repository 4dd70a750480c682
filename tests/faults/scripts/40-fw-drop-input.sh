#!/usr/bin/env bash
# A rule drops the SYN silently: connect hangs.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet site { chain in { type filter hook input priority 0; policy accept; tcp dport $P counter drop;
 }
}
N
}
symptom(){ show probe 127.0.0.1 $P 2.5; }
evidence(){ show ss -tlnp "sport = :$P"; ( probe 127.0.0.1 $P 3 >/dev/null & ); sleep 1.3; show ss -tnpo state syn-sent; show nft list ruleset; show nstat -az TcpExtTCPSynRetrans TcpExtListenDrops TcpExtTCPTimeouts; }

fault "$@"
