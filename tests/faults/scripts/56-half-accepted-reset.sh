#!/usr/bin/env bash
# The queue filled between SYN and ACK: the client believes it is connected, then gets a reset (tcp_abort_on_overflow=1) or silence (0).
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNRESET|EPIPE'
setup(){ sysctl -qw net.ipv4.tcp_abort_on_overflow=1; $PY -c 'import socket,time
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(2); time.sleep(600)' & SRV=$!; wait_for listening
nft -f - <<N
table inet z { chain in { type filter hook input priority 0; tcp dport $P tcp sport 50001 tcp flags & (syn|ack) == ack drop;
 }
}
N
cat >"$D/c.py" <<'PY'
import socket,time,subprocess,errno
a=socket.socket(); a.bind(("127.0.0.1",50001)); a.connect(("127.0.0.1",62893)); print("connect -> OK (client side ESTABLISHED)")
k=[]
for i in range(4):
    s=socket.socket(); s.settimeout(.2); k.append(s)
    try: s.connect(("127.0.0.1",62893))
    except OSError: pass
print(subprocess.run("ss -Htan '( sport = :62893 or dport = :62893 )' | awk '{print $1,$4,$5}'",shell=True,capture_output=True,text=True).stdout)
subprocess.run(["nft","flush","ruleset"]); a.settimeout(4)
try:
    a.sendall(b"hello"); print("read ->",a.recv(9))
except OSError as e: print("read ->",errno.errorcode.get(e.errno,type(e).__name__))
PY
}
symptom(){ show $PY "$D/c.py"; }
evidence(){ show ss -tlnp "sport = :$P"; show nstat -az TcpExtListenOverflows TcpExtTCPAbortOnOverflow TcpExtTCPReqQFullDrop TcpEstabResets; }

fault "$@"
