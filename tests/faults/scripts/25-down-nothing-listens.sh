#!/usr/bin/env bash
# No process listens on the target port.
. "$(dirname "$0")/../lib.sh"

SEEN='ECONNREFUSED'
setup(){ :; }
symptom(){ show probe 127.0.0.1 $P; }
evidence(){ show ss -tlnp "sport = :$P"; show nstat -az TcpOutRsts; }

fault "$@"
