#!/usr/bin/env bash
# Ports under ip_unprivileged_port_start need CAP_NET_BIND_SERVICE.
. "$(dirname "$0")/../lib.sh"

SEEN='EACCES'
setup(){ export FAULT_PORT=80; P=80; chmod 755 "$D"; }
wrap(){ setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all "$@"; }
symptom(){ cat >"$D/t.py" <<'PY'
import socket,errno
try: socket.socket().bind(("127.0.0.1",80)); print("OK")
except OSError as e: print("bind 127.0.0.1 80 ->",errno.errorcode[e.errno],e.strerror)
PY
show wrap $PY "$D/t.py"; }
evidence(){ show cat /proc/sys/net/ipv4/ip_unprivileged_port_start; show wrap grep Cap /proc/self/status; }

fault "$@"
