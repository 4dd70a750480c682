#!/usr/bin/env bash
# The listener asks for TCP-MD5 signatures (BGP style): unsigned SYNs are dropped without any firewall rule.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import socket,struct
s=socket.socket(); s.setsockopt(1,2,1)
k=struct.pack("=H2s4s120x",2,b"\0\0",socket.inet_aton("127.0.0.1"))+struct.pack("=BBHi80s",0,0,6,0,b"secret")
s.setsockopt(6,14,k); s.bind(("127.0.0.1",62893)); s.listen(64)
while True: c,_=s.accept(); c.close()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 2.5; }
evidence(){ show ss -tlnpei "sport = :$P"; show nft list ruleset; show tc qdisc show dev lo; show nstat -az TcpExtTCPMD5NotFound TcpExtTCPMD5Unexpected TcpExtListenDrops; }

fault "$@"
