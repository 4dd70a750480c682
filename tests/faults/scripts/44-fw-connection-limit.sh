#!/usr/bin/env bash
# Works for the first connections, then refused: a rule caps the number of connections.
. "$(dirname "$0")/../lib.sh"

SEEN='4 -> ECONNREFUSED'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet cap { chain in { type filter hook input priority 0; tcp dport $P ct state new ct count over 3 counter reject with tcp reset;
 }
}
N
$PY -c 'import socket,time
k=[]
for i in range(1,5):
    try: k.append(socket.create_connection(("127.0.0.1",62893),2)); print("connection",i,"-> OK",flush=True)
    except OSError as e: print("connection",i,"->","ECONNREFUSED" if e.errno==111 else e,flush=True)
time.sleep(600)' >"$D/o" & wait_for grep -q '4 -> ' "$D/o"; }
symptom(){ show cat "$D/o"; show probe 127.0.0.1 $P; }
evidence(){ show nft list ruleset; show ss -tnH "sport = :$P"; }

fault "$@"
