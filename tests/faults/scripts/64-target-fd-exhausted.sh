#!/usr/bin/env bash
# The service cannot accept: its own descriptor limit is reached.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ bash -c "ulimit -n 12; exec $PY -c 'import socket,time
s=socket.socket(); s.bind((\"127.0.0.1\",62893)); s.listen(64); k=[]
while True:
    try: k.append(s.accept()[0])
    except OSError: time.sleep(.2)'" & SRV=$!; wait_for listening
$PY -c 'import socket,time
k=[socket.create_connection(("127.0.0.1",62893)) for i in range(14)]; time.sleep(600)' & wait_for queued 5; }
symptom(){ show probe 127.0.0.1 $P 2; }
evidence(){ show ss -tlnp "sport = :$P"; show sh -c "ls /proc/$SRV/fd | wc -l"; show grep 'open files' /proc/$SRV/limits; }

fault "$@"
