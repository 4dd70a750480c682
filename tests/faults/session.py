#!/usr/bin/env python3
"""Opens sessions through a route inside a fault and waits for a verdict in Loopgate's log.

usage: NN-name.sh session.py LOOPGATE SCENARIO VERDICT [SECONDS]

$FAULT_ADDR and $FAULT_PORT are the target. SCENARIO is what the sessions do and what befalls them once they are open:
upload, leak, unplug, forget, kill, large, fetch, stop, flood. Prints the log; 0 when the verdict stands in a state line or in a
record, else 1.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

loopgate, scenario, verdict = sys.argv[1:4]
patience = float(sys.argv[4]) if len(sys.argv) > 4 else 60
address, port = os.environ["FAULT_ADDR"], int(os.environ["FAULT_PORT"])
target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

folder = tempfile.mkdtemp()
with open(f"{folder}/loopgate.toml", "w") as file:
    protocol = "udp" if scenario == "flood" else "tcp"
    route = f'listen = "127.0.0.1:0"\ntarget = "{target}"\nprotocol = "{protocol}"\n'
    file.write(f'[routes.fault]\n{route}[log]\nlevel = "debug"\n')
gate = subprocess.Popen([loopgate, "run", "-c", f"{folder}/loopgate.toml"], stderr=subprocess.PIPE, text=True)
lines, said = [], threading.Condition()


def read():
    for line in gate.stderr:
        with said:
            lines.append(line.rstrip())
            said.notify_all()


def wait_for(pattern, seconds):
    until = time.monotonic() + seconds
    with said:
        while True:
            for line in lines:
                if found := re.search(pattern, line):
                    return found
            if not said.wait(max(0.0, until - time.monotonic())):
                return None


def session():
    connection = socket.create_connection(front)
    connection.settimeout(20)
    return connection


def holder():
    """The process that listens on the target's port."""
    rows = subprocess.run(["ss", "-Htlnp", f"sport = :{port}"], capture_output=True, text=True).stdout
    return int(re.search(r"pid=(\d+)", rows)[1])


def answers():
    """Whether the target takes connections."""
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def upload():
    connection = session()
    connection.settimeout(1)
    try:
        while True:
            connection.send(b"x" * 65536)
    except TimeoutError:
        return connection


def leak():
    for _ in range(40):
        if wait_for(re.escape(f"[{verdict}]"), 0.5):
            return None
        connection = session()
        connection.recv(9)
        connection.close()


def unplug():
    subprocess.run("ip -n far link set p1 up", shell=True, check=True)
    while not answers():
        time.sleep(0.1)
    connection = session()
    time.sleep(0.5)  # So long the session is reached and well.
    subprocess.run("ip -n far link set p1 down", shell=True, check=True)
    connection.send(b"ping")
    return connection


def forget():
    connection = session()
    time.sleep(1.5)  # The idle time is the fault.
    subprocess.run(["conntrack", "-F"], capture_output=True)
    connection.send(b"GET / HTTP/1.0\r\n\r\n")
    return connection


def kill():
    wait_for("is held by", 30)
    connection = session()
    connection.send(b"GET / HTTP/1.0\r\n\r\n")
    connection.recv(99)
    os.kill(holder(), signal.SIGKILL)
    wait_for("DOWN refused", patience)  # A state line, which may come after the session's record.
    return connection


def large():
    connection = session()
    connection.send(b"GET /" + b"x" * 9000 + b"\r\n\r\n")
    return connection


def fetch():
    until = time.monotonic() + patience
    while time.monotonic() < until and not wait_for(re.escape(f"[{verdict}]"), 0.1):
        connection = session()
        connection.send(b"x")
        while connection.recv(65536):
            pass


def stop():
    wait_for("is held by", 30)
    os.kill(holder(), signal.SIGSTOP)
    connection = session()
    connection.send(b"GET / HTTP/1.0\r\n\r\n")
    return connection


def flood():
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    until = time.monotonic() + patience
    while time.monotonic() < until and not wait_for(re.escape(f"[{verdict}]"), 0.1):
        for _ in range(100):
            sender.sendto(b"x" * 500, front)


threading.Thread(target=read, daemon=True).start()
listening = wait_for(r"Forwarding ([0-9.]+):(\d+) ", 30)
front = (listening[1], int(listening[2]))
kept = globals()[scenario]()
found = wait_for(re.escape(f"[{verdict}]"), patience)
if kept:
    kept.close()
gate.send_signal(signal.SIGTERM)
time.sleep(0.2)
gate.send_signal(signal.SIGTERM)
gate.wait()
time.sleep(0.1)
print("\n".join(lines))
print("found" if found else f"no [{verdict}]")
sys.exit(0 if found else 1)
