#!/usr/bin/env bash
# Small requests work, large ones hang: packets over some size are dropped (MTU black hole, VPN).
. "$(dirname "$0")/../lib.sh"

SEEN='small -> answered.*|large -> no answer'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet pmtu { chain in { type filter hook input priority 0; tcp dport $P meta length > 1400 counter drop;
 }
}
N
}
symptom(){ show $PY -c 'import socket
for name,n in (("small",100),("large",9000)):
    s=socket.create_connection(("127.0.0.1",62893)); s.settimeout(2); s.sendall(b"GET /"+b"x"*n+b"\r\n\r\n")
    try: print(name,"-> answered",s.recv(15))
    except OSError: print(name,"-> no answer",flush=True)'; ( $PY -c 'import socket,time
s=socket.create_connection(("127.0.0.1",62893)); s.send(b"x"*9000); time.sleep(9)' & ) ; sleep 1.5; }
evidence(){ show ss -tnoi "dport = :$P and dst 127.0.0.1"; show nft list ruleset; show ip link show lo; }

fault "$@"
