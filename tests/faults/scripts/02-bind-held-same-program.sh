#!/usr/bin/env bash
# The first copy of the very same program still runs and holds the port. $LOOPGATE names the program.
. "$(dirname "$0")/../lib.sh"

SEEN='already running'
LOOPGATE=$(readlink -f "${LOOPGATE:-$(command -v loopgate)}")
setup(){ "$LOOPGATE" $P:9 2>/dev/null & SRV=$!; wait_for listening; }
symptom(){ show timeout 3 "$LOOPGATE" $P:9; show trybind 127.0.0.1 $P; }
evidence(){ show readlink /proc/$SRV/exe; show stat -L -c 'exe dev:inode %d:%i' /proc/$SRV/exe "$LOOPGATE"; show ss -tlnp "sport = :$P"; }

fault "$@"
