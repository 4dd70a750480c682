#!/usr/bin/env bash
# A Landlock sandbox (or SELinux port label) forbids the port; it is free and unprivileged.
. "$(dirname "$0")/../lib.sh"

SEEN='EACCES'
setup(){ cat >"$D/ll.py" <<'PY'
import ctypes,os,struct,sys
l=ctypes.CDLL(None,use_errno=True)
a=ctypes.create_string_buffer(struct.pack("QQ",0,1)); fd=l.syscall(444,a,16,0)   # handle LANDLOCK_ACCESS_NET_BIND_TCP
assert fd>=0, "no landlock"
r=ctypes.create_string_buffer(struct.pack("QQ",1,8080)); assert l.syscall(445,fd,2,r,0)==0  # allow 8080 only
l.prctl(38,1,0,0,0); assert l.syscall(446,fd,0)==0
os.execvp(sys.argv[1],sys.argv[1:])
PY
}
wrap(){ $PY "$D/ll.py" "$@"; }
symptom(){ export -f trybind; export PY; show wrap bash -c "trybind 127.0.0.1 $P; trybind 127.0.0.1 8080"; }
evidence(){ show ss -tanp "sport = :$P"; show cat /proc/sys/net/ipv4/ip_unprivileged_port_start; show wrap grep -E 'NoNewPrivs|Seccomp|CapEff' /proc/self/status; show cat /proc/self/attr/current; }

fault "$@"
