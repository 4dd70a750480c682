#!/usr/bin/env bash
# The connection-tracking table is full: new connections are dropped.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ serve 127.0.0.1 $P; nft -f - <<N
table inet t { chain in { type filter hook input priority 0; ct state invalid counter;
 }
}
N
M=$(cat /proc/sys/net/netfilter/nf_conntrack_max)
$PY - $M >"$D/ct" <<'PY'
import sys
n=int(sys.argv[1])+50; i=0
for a in range(256):
    for p in range(1024,1024+60000):
        if i>=n: raise SystemExit
        print(f"-A -t 900 -u SEEN_REPLY,ASSURED -s 10.9.{a}.1 -d 10.9.{a}.2 -p tcp --sport {p} --dport 9 --state ESTABLISHED"); i+=1
PY
nice -n -10 conntrack -R "$D/ct" >/dev/null 2>&1 || :   # it ends where the table is full
[ "$(cat /proc/sys/net/netfilter/nf_conntrack_count)" -ge "$M" ]; rm -f "$D/ct"; }
symptom(){ show probe 127.0.0.1 $P 2.5; }
evidence(){ show sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max; show conntrack -S; show sh -c 'dmesg 2>/dev/null | grep -a "table full" | tail -1'; }

fault "$@"
