#!/usr/bin/env bash
# The service runs and listens on 127.0.0.1:PORT, but inside another network namespace (container without a published port).
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ unshare --net --mount -- sh -c "ip link set lo up; exec $PY $D/serve.py 127.0.0.1 $P inside" & SRV=$!; wait_for nsenter -t $SRV -n -- sh -c "ss -Htln 'sport = :$P' | grep -q ."; }
symptom(){ show probe 127.0.0.1 $P; show nsenter -t $SRV -n -- $PY -c 'import socket; s=socket.create_connection(("127.0.0.1",62893)); s.send(b"x"); print("inside its own namespace:",s.recv(99)[-6:])'; }
evidence(){ show ss -tlnp "sport = :$P"; show readlink /proc/self/ns/net /proc/$SRV/ns/net; show grep -i ":$(printf %04X $P) .* 0A" /proc/$SRV/net/tcp; show tr '\0' ' ' </proc/$SRV/cmdline; }

fault "$@"
