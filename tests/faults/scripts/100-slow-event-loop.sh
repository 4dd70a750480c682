#!/usr/bin/env bash
# An event loop answers after four seconds: its thread waits for events like one that has nothing to do.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import asyncio
async def one(r,w):
    await r.read(4096); await asyncio.sleep(4); w.write(b"HTTP/1.0 200 OK\r\n\r\nlate"); await w.drain(); w.close()
async def main():
    async with await asyncio.start_server(one,"127.0.0.1",62893) as s: await s.serve_forever()
asyncio.run(main())' & SRV=$!; wait_for listening; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show ss -tanp "sport = :$P"; show cat /proc/$SRV/syscall; }

fault "$@"
