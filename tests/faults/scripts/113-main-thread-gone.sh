#!/usr/bin/env bash
# The service's first thread has ended, and another serves on: a zombie that is well.
. "$(dirname "$0")/../lib.sh"

SEEN='200 OK'
setup(){ $PY -c 'import socket,threading,ctypes,platform
s=socket.socket(); s.bind(("127.0.0.1",62893)); s.listen(64)
def one():
    while True: c,_=s.accept(); c.recv(99); c.sendall(b"HTTP/1.0 200 OK\r\n\r\nhi"); c.close()
threading.Thread(target=one).start()
ctypes.CDLL(None).syscall(93 if platform.machine()=="aarch64" else 60,0)' & SRV=$!; wait_for listening; wait_for in_state $SRV Z; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show grep State /proc/$SRV/status; }

fault "$@"
