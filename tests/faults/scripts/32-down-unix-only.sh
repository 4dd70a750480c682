#!/usr/bin/env bash
# The service listens on a Unix socket only (PostgreSQL with listen_addresses empty).
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ mkdir -p "$D/run"; export SOCK="$D/run/.s.PGSQL.$P"; $PY -c 'import socket,os
s=socket.socket(1); s.bind(os.environ["SOCK"]); s.listen(); open("/proc/self/comm","w").write("postgres")
while True: c,_=s.accept(); c.close()' & SRV=$!; wait_for named postgres; }
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show ss -xlp src "*$P*"; show grep -c "PGSQL.$P" /proc/net/unix; }

fault "$@"
