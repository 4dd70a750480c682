#!/usr/bin/env bash
# A rule answers with a TCP reset: looks exactly like not running, but a listener exists.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet site { chain in { type filter hook input priority 0; tcp dport $P counter reject with tcp reset comment "corp policy";
 }
}
N
}
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show nft list ruleset; }

fault "$@"
