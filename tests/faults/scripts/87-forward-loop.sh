#!/usr/bin/env bash
# A forward points at itself (directly or through another one): one connection multiplies until descriptors run out.
. "$(dirname "$0")/../lib.sh"

SEEN='EOF|ECONNRESET|TIMEOUT|EMFILE'
setup(){ bash -c "ulimit -n 40 -u 4000; exec socat -d TCP-LISTEN:$P,bind=127.0.0.1,fork,reuseaddr,max-children=20 TCP:127.0.0.1:62894" 2>"$D/log1" & SRV=$!; bash -c "ulimit -n 40; exec socat -d TCP-LISTEN:62894,bind=127.0.0.1,fork,reuseaddr,max-children=20 TCP:127.0.0.1:$P" 2>"$D/log2" & wait_for listening; wait_for listening 62894; }
symptom(){ show probe 127.0.0.1 $P 2; ( probe 127.0.0.1 $P 3 >/dev/null & ) ; sleep .8; }
evidence(){ show sh -c "ss -Htanp '( sport = :$P or sport = :62894 )' | awk '{print \$1}' | sort | uniq -c"; show sh -c "pgrep -c socat"; }

fault "$@"
