#!/usr/bin/env bash
# The service is in an endless loop: 100 % of a core, nothing accepted.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ nice -n 15 $PY -c 'import socket,time
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64); e=time.time()+100
while time.time()<e: pass' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 1.5; }
evidence(){ show sh -c "awk '{print \"state\",\$3,\"ticks\",\$14+\$15}' /proc/$SRV/stat; sleep .5; awk '{print \"state\",\$3,\"ticks\",\$14+\$15}' /proc/$SRV/stat"; show ss -tlnp "sport = :$P"; }

fault "$@"
