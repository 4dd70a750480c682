# What every fault shares. A script sources this file, defines setup and what else it needs, and ends in `fault "$@"`.
#
#   NN-name.sh              make the fault, show its symptom and its evidence, exit 1 if it was not to be seen
#   NN-name.sh COMMAND…     make the fault and run COMMAND inside it, with $FAULT_ADDR and $FAULT_PORT set
#
# A script may define:
#   setup      makes the fault; required
#   wrap       runs a command inside what the fault narrows (a user, a limit, a sandbox)
#   trigger    of a fault of a running session: makes it once the session stands; exported to COMMAND
#   symptom, evidence   show it to a person; SEEN is what must be in their output
#   cleanup    undoes what the namespaces do not undo by themselves
#
# Needs root, python3, iproute2, nftables, iptables, conntrack, socat, netcat-openbsd, curl, openssl, strace, util-linux.
set -u
if [ -z "${IN_FAULT:-}" ]; then   # own network, mount and process namespace: all of it vanishes at exit
  exec env IN_FAULT=1 nice -n 5 unshare --net --mount --pid --fork --kill-child --mount-proc -- bash "$0" "$@"
fi
export FAULT_ADDR=127.0.0.1 FAULT_PORT=62893 PYTHONUNBUFFERED=1 LC_ALL=C
P=$FAULT_PORT PY=/usr/bin/python3; [ -x $PY ] || PY=$(command -v python3)
D=$(mktemp -d); chmod 755 "$D"; trap 'cleanup; rm -rf "$D"' EXIT; : >"$D/out"
cleanup(){ :; }; wrap(){ "$@"; }; evidence(){ :; }
ip link set lo up
say(){ printf '%s\n' "$*"; }
show(){ printf '$ %s\n' "$*"; "$@" 2>&1 | sed 's/^/    /' | tee -a "$D/out"; }   # run, print, remember
not_made(){ say "SETUP FAILED: $*"; exit 70; }   # nothing was asked; the caller may make the fault again
wait_for(){ local end=$((SECONDS+30)); until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || not_made "$@"; sleep .05; done; }
listening(){ ss -Htln "sport = :${1:-$P}" | grep -q .; }
queued(){ [ "$(ss -Htln "sport = :$P" | awk '{print $2}')" -ge "$1" ]; }   # so many wait to be accepted
named(){ [ "$(cat /proc/[0-9]*/comm 2>/dev/null | grep -cx "$1")" -ge "${2:-1}" ]; }   # so many processes have the name
in_state(){ [ "$(sed 's/.*) //; s/ .*//' "/proc/$1/stat")" = "$2" ]; }
expect(){ if grep -Eq -- "$1" "$D/out"; then say "REPRODUCED: saw /$1/"; else say "NOT REPRODUCED: no /$1/"; exit 1; fi; }
# probe ADDR PORT [TIMEOUT_S [TEXT]]: connect, send TEXT, read once; prints the errno or the bytes, and the time
probe(){ $PY - "$@" <<'PY'
import socket,sys,errno,time
a,p=sys.argv[1],int(sys.argv[2]); t=float(sys.argv[3]) if len(sys.argv)>3 else 2
msg=(sys.argv[4] if len(sys.argv)>4 else "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").encode()
def ms(): return f"after {1000*(time.time()-t0):.0f} ms"
def nm(e): return (errno.errorcode.get(e.errno,"?")+f" ({e.strerror})") if isinstance(e,OSError) and e.errno else ("TIMEOUT" if isinstance(e,TimeoutError) else type(e).__name__+": "+str(e))
t0=time.time(); s=None
try:
    s=socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET); s.settimeout(t); s.connect((a,p))
except OSError as e: print(f"connect {a} {p} -> {nm(e)} {ms()}"); sys.exit()
print(f"connect {a} {p} -> OK {ms()} local port {s.getsockname()[1]}")
try:
    if msg: s.sendall(msg)
    d=s.recv(200); print(f"read -> {d[:90]!r} {ms()}" if d else f"read -> EOF (closed, no data) {ms()}")
except OSError as e: print(f"read -> {nm(e)} {ms()}")
PY
}
# trybind ADDR PORT: bind+listen without and with SO_REUSEADDR
trybind(){ $PY - "$@" <<'PY'
import socket,sys,errno
a,p=sys.argv[1],int(sys.argv[2])
for r in (0,1):
    try:
        ai=socket.getaddrinfo(a,p,type=socket.SOCK_STREAM,flags=socket.AI_NUMERICHOST)[0]
        s=socket.socket(ai[0]); s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,r)
        if ai[0]==socket.AF_INET6: s.setsockopt(41,26,1)
        s.bind(ai[4]); s.listen(); print(f"bind {a} {p} reuseaddr={r} -> OK"); s.close()
    except OSError as e: print(f"bind {a} {p} reuseaddr={r} -> {errno.errorcode.get(e.errno,e.errno)} ({e.strerror})")
PY
}
# serve ADDR PORT [NAME]: a tiny HTTP server that answers 200 with NAME
cat >"$D/serve.py" <<'PY'
import socket,sys,threading
a,p=sys.argv[1],int(sys.argv[2]); n=(sys.argv[3] if len(sys.argv)>3 else "ok").encode()
s=socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET); s.setsockopt(1,2,1); s.bind((a,p)); s.listen(64)
def one(c):
    try: c.recv(4096); c.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s"%(len(n),n)); c.close()
    except OSError: pass
while True: c,_=s.accept(); threading.Thread(target=one,args=(c,),daemon=True).start()
PY
serve(){ $PY "$D/serve.py" "$@" & SRV=$!; wait_for listening "$2"; }

fault(){
  set -E; trap 'not_made "$BASH_COMMAND"' ERR
  setup
  set +E; trap - ERR
  if [ $# -gt 0 ]; then
    if declare -F trigger >/dev/null; then export D P PY; export -f trigger; fi
    wrap "$@"; exit
  fi
  say "== $(basename "$0" .sh)"; symptom; say "-- evidence"; evidence; expect "$SEEN"
}
