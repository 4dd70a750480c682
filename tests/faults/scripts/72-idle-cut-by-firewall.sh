#!/usr/bin/env bash
# An idle connection is forgotten by a stateful firewall; later packets are dropped as invalid.
. "$(dirname "$0")/../lib.sh"

SEEN='no answer|TIMEOUT|ECONNRESET'
setup(){ serve 127.0.0.1 $P; sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0; nft -f - <<N
table inet st { chain in { type filter hook input priority 0; policy accept; tcp dport $P ct state established,related counter accept; tcp dport $P tcp flags & (syn|ack) == syn ct state new counter accept; tcp dport $P ct state invalid,new counter drop;
 }
}
N
}
symptom(){ $PY -c 'import socket,time
s=socket.create_connection(("127.0.0.1",62893)); time.sleep(1.5); s.send(b"GET / HTTP/1.0\r\n\r\n"); s.settimeout(2)
try: print("answer",s.recv(30))
except OSError as e: print("after idling: no answer",type(e).__name__,flush=True)
time.sleep(60)' >"$D/o" & sleep .8; conntrack -F 2>/dev/null; sleep 3.2; show cat "$D/o"; show probe 127.0.0.1 $P 2; }
evidence(){ show nft list ruleset; show ss -tnoi "dport = :$P"; show sysctl net.netfilter.nf_conntrack_tcp_timeout_established; }

fault "$@"
