#!/usr/bin/env bash
# Accepted, then RST (access list in the service, crash of a worker).
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNRESET'
setup(){ $PY -c 'import socket,struct
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64)
while True: c,_=s.accept(); c.setsockopt(1,13,struct.pack("ii",1,0)); c.close()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 2; }
evidence(){ show ss -tlnp "sport = :$P"; show nstat -az TcpEstabResets TcpOutRsts TcpExtTCPAbortOnData TcpExtTCPAbortOnClose; }

fault "$@"
