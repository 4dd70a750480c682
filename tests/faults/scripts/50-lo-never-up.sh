#!/usr/bin/env bash
# Fresh network namespace (minimal container, unshare -n): lo was never brought up: 127.0.0.1 is unreachable, although bind and listen succeed.
. "$(dirname "$0")/../lib.sh"

SEEN='ENETUNREACH'
setup(){ :; }
wrap(){ unshare --net -- "$@"; }
symptom(){ export -f probe trybind; export PY; show wrap bash -c "probe 127.0.0.1 $P 2; trybind 127.0.0.1 $P; trybind 0.0.0.0 $P"; }
evidence(){ show wrap ip -br addr; show wrap ip route show table local; show wrap cat /proc/net/fib_trie; }

fault "$@"
