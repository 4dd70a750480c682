#!/usr/bin/env bash
# The service starts, dies and is restarted: sometimes up, mostly refused, each time a new pid.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ cat >"$D/w.sh" <<SH
while :; do timeout .4 $PY $D/serve.py 127.0.0.1 $P; sleep .5; done
SH
bash "$D/w.sh" & SRV=$!; sleep .2; }
symptom(){ show bash -c "for i in 1 2 3 4 5 6 7 8; do timeout 1 bash -c 'echo >/dev/tcp/127.0.0.1/$P' 2>/dev/null && echo \"up   pid \$(pgrep -f 'serve.py 127' | tail -1)\" || echo 'ECONNREFUSED'; sleep .23; done"; }
evidence(){ show sh -c "pgrep -P $SRV -a | cut -c1-60"; }

fault "$@"
