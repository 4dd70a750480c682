#!/usr/bin/env bash
# The service answers, but it is the old build: its program file was replaced while it kept running.
. "$(dirname "$0")/../lib.sh"

SEEN='\(deleted\)'
setup(){ mkdir "$D/app"; cp "$(readlink -f $PY)" "$D/app/server"; PYTHONHOME=/usr "$D/app/server" "$D/serve.py" 127.0.0.1 $P old-build & SRV=$!; wait_for listening; rm "$D/app/server"; printf '#!/bin/sh\necho new\n' >"$D/app/server"; chmod +x "$D/app/server"; }
symptom(){ show probe 127.0.0.1 $P; show readlink /proc/$SRV/exe; }
evidence(){ show ss -tlnp "sport = :$P"; show sh -c "stat -c '%y %n' $D/app/server"; }

fault "$@"
