#!/usr/bin/env bash
# A DNAT from outside to 127.0.0.1:PORT is dropped as martian unless route_localnet=1.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ mount -t tmpfs t /run; serve 127.0.0.1 $P; ip netns add far; ip link add h0 type veth peer name h1 netns far; ip addr add 10.200.3.1/24 dev h0; ip link set h0 up; ip -n far addr add 10.200.3.2/24 dev h1; ip -n far link set h1 up; ip -n far link set lo up
nft -f - <<N
table ip natp { chain pre { type nat hook prerouting priority -100; ip daddr 10.200.3.1 tcp dport $P counter dnat to 127.0.0.1:$P;
 }
}
N
export FAULT_ADDR=10.200.3.1; wait_for sh -c "ip -br link show h0 | grep -q ' UP '"; }
wrap(){ ip netns exec far "$@"; }
symptom(){ export -f probe; export PY; say "from the other host:"; show ip netns exec far bash -c "probe 10.200.3.1 $P 2.5"; }
evidence(){ show ss -tlnp "sport = :$P"; show nft list ruleset; show sysctl net.ipv4.conf.h0.route_localnet net.ipv4.conf.all.rp_filter; show $PY -c 'r=[l.split() for l in open("/proc/net/stat/rt_cache")]
for i,h in enumerate(r[0]):
    if "martian" in h: print(h,sum(int(x[i],16) for x in r[1:]))'; show nstat -az IpExtInNoRoutes TcpExtIPReversePathFilter; }

fault "$@"
