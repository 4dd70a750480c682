#!/usr/bin/env bash
# The hosts file has no localhost line and no resolver answers.
. "$(dirname "$0")/../lib.sh"

SEEN='gaierror'
setup(){ printf '# empty\n' >"$D/hosts"; printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' >"$D/resolv"; printf 'hosts: files dns\n' >"$D/nss"; mount --bind "$D/hosts" /etc/hosts; mount --bind "$D/resolv" /etc/resolv.conf; [ -e /etc/nsswitch.conf ] && mount --bind "$D/nss" /etc/nsswitch.conf; serve 127.0.0.1 $P; export FAULT_ADDR=localhost; }
symptom(){ show $PY -c 'import socket,time
t=time.time()
try: socket.create_connection(("localhost",62893),3)
except OSError as e: print(type(e).__name__,e,"after %.1f s"%(time.time()-t))'; }
evidence(){ show getent ahosts localhost; show cat /etc/hosts /etc/resolv.conf /etc/nsswitch.conf; }

fault "$@"
