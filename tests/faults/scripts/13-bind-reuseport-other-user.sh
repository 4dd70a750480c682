#!/usr/bin/env bash
# Both set SO_REUSEPORT but run as different users, so the second one fails.
. "$(dirname "$0")/../lib.sh"

SEEN='same flag, uid 65534 -> EADDRINUSE'
setup(){ cat >"$D/rp.py" <<'PY'
import socket,sys,os,errno,time
os.setuid(int(sys.argv[1]))
s=socket.socket(); s.setsockopt(1,15,1)
try: s.bind(("127.0.0.1",62893)); s.listen(); print(f"same flag, uid {sys.argv[1]} -> OK"); time.sleep(int(sys.argv[2]))
except OSError as e: print(f"same flag, uid {sys.argv[1]} -> {errno.errorcode[e.errno]}")
PY
chmod 755 "$D"; $PY "$D/rp.py" 1 600 >/dev/null & wait_for listening; }
symptom(){ show $PY "$D/rp.py" 1 0; show $PY "$D/rp.py" 65534 0; }
evidence(){ show ss -tlnpe "sport = :$P"; }

fault "$@"
