#!/usr/bin/env bash
# Http_proxy is set and no_proxy does not name localhost: the client never dials the port.
. "$(dirname "$0")/../lib.sh"

SEEN='port 3128|:3128'
setup(){ serve 127.0.0.1 $P; export http_proxy=http://127.0.0.1:3128; unset no_proxy NO_PROXY; }
symptom(){ show curl -sS --max-time 3 http://127.0.0.1:$P/; show curl -sS --max-time 3 --noproxy '*' http://127.0.0.1:$P/; }
evidence(){ say; show sh -c 'env | grep -i proxy'; show ss -tlnp; }

fault "$@"
