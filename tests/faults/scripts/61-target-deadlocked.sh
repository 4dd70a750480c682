#!/usr/bin/env bash
# The service accepts but its threads wait on a lock: request read by nobody.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import socket,threading
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64); L=threading.Lock(); L.acquire(); k=[]
def one(c): L.acquire(); c.recv(99)
while True: c,_=s.accept(); k.append(c); threading.Thread(target=one,args=(c,),daemon=True).start()' & SRV=$!; wait_for listening; }
symptom(){ show probe 127.0.0.1 $P 2; $PY -c 'import socket,time
s=socket.create_connection(("127.0.0.1",62893)); s.send(b"GET / HTTP/1.0\r\n\r\n"); time.sleep(60)' & sleep .5; }
evidence(){ show ss -tanp "sport = :$P"; show sh -c "for t in /proc/$SRV/task/*; do echo \$(cat \$t/wchan) syscall \$(cut -d' ' -f1 \$t/syscall); done"; show awk '{print "state",$3,"utime",$14,"stime",$15}' /proc/$SRV/stat; }

fault "$@"
