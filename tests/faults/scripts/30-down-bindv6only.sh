#!/usr/bin/env bash
# [::]:PORT usually serves IPv4 as well, but bindv6only=1 (or IPV6_V6ONLY) stops that.
. "$(dirname "$0")/../lib.sh"

SEEN='127.0.0.1 62893 -> ECONNREFUSED'
setup(){ sysctl -qw net.ipv6.bindv6only=1; $PY -c 'import socket
s=socket.socket(socket.AF_INET6); s.bind(("::",62893)); s.listen()
while True: c,_=s.accept(); c.close()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P; show probe ::1 $P; }
evidence(){ show ss -tlnpe "sport = :$P"; show sysctl net.ipv6.bindv6only; }

fault "$@"
