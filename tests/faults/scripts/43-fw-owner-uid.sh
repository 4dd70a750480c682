#!/usr/bin/env bash
# The rule matches the user id: root connects, the service account is refused.
. "$(dirname "$0")/../lib.sh"

SEEN='other user.*ECONNREFUSED'
setup(){ serve 127.0.0.1 $P; chmod 755 "$D"; nft -f - <<N
table inet egress { chain out { type filter hook output priority 0; meta skuid 65534 tcp dport $P counter reject with tcp reset;
 }
}
N
}
wrap(){ setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
symptom(){ show probe 127.0.0.1 $P; show sh -c "echo -n 'other user: '; setpriv --reuid=65534 --regid=65534 --clear-groups $PY -c 'import socket,errno
try: socket.create_connection((\"127.0.0.1\",62893),2); print(\"OK\")
except OSError as e: print(errno.errorcode[e.errno])'"; }
evidence(){ show nft list ruleset; }

fault "$@"
