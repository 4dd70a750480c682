#!/usr/bin/env bash
# A server with an event loop reads everything and answers nothing, as a collector of logs does: it is well.
. "$(dirname "$0")/../lib.sh"

SEEN='TIMEOUT'
setup(){ $PY -c 'import asyncio
async def one(r,w):
    while await r.read(4096): pass
    w.close()
async def main():
    async with await asyncio.start_server(one,"127.0.0.1",62893) as s: await s.serve_forever()
asyncio.run(main())' & SRV=$!; wait_for listening; }
symptom(){ show probe $FAULT_ADDR $P 2.5; }
evidence(){ show ss -tanp "sport = :$P"; show cat /proc/$SRV/syscall; }

fault "$@"
