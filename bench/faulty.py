"""An upstream with bad days: most answers are good, some are late, cut, refused or nonsense.

Runs as `python -m bench.faulty PORT SEED`.
"""

import asyncio
import contextlib
import json
import random
import re
import socket
import struct
import sys

import uvloop

from bench.origin import ASKS_STREAM, stream_pieces, whole_answer

CHUNKS = 30
CHUNK_S = 0.01
STALL_S = 3.0
LENGTH = re.compile(rb"(?i)content-length: (\d+)")
FAULTS = (
    ("good", 900),
    ("slow", 30),
    ("refused-503", 20),
    ("refused-429", 1),  # rare: the endpoint rests after it, and all that is tested rests with it
    ("garbage", 10),
    ("reset", 15),
    ("cut", 15),
    ("stall", 4),
    ("error-inside", 5),
)
REFUSED_503 = (
    b"HTTP/1.1 503 No\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<h1>busy</h1>\r\n"
)
REFUSED_429 = (
    b"HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 32\r\n\r\n"
    b'{"error":{"message":"too many"}}'
)


async def serve(port: int, seed: int) -> None:
    """Listen on loopback until the process is ended."""
    rng = random.Random(seed)
    whole = whole_answer()
    pieces = stream_pieces(CHUNKS)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # RuntimeError is how uvloop says that the gateway has left meanwhile.
        with contextlib.suppress(OSError, RuntimeError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                found = LENGTH.search(head)
                body = await reader.readexactly(int(found[1]) if found else 0)
                streamed = ASKS_STREAM.search(body) is not None
                names, weights = zip(*FAULTS, strict=True)
                fault = rng.choices(names, weights)[0]
                if not await _answer(writer, fault, pieces if streamed else [whole], rng):
                    break
        writer.transport.abort()

    server = await asyncio.start_server(converse, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


async def _answer(
    writer: asyncio.StreamWriter, fault: str, pieces: list[bytes], rng: random.Random
) -> bool:
    """Answer one request; False when the connection is over."""
    match fault:
        case "refused-503" | "refused-429":
            writer.write(REFUSED_503 if fault == "refused-503" else REFUSED_429)
            return True
        case "garbage":
            writer.write(rng.randbytes(200))
            await writer.drain()
            return False
        case "error-inside" if len(pieces) > 1:
            event = b"data: " + json.dumps({"error": {"message": "broke"}}).encode() + b"\n\n"
            writer.write(pieces[0] + b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event))
            return True
        case _:
            pass
    last = rng.randrange(len(pieces)) if fault in {"reset", "cut", "stall"} else len(pieces)
    for number, piece in enumerate(pieces):
        if number == last:
            await _break_off(writer, fault, piece[: rng.randrange(len(piece))])
            return False
        writer.write(piece)
        await writer.drain()
        if len(pieces) > 1:
            await asyncio.sleep(CHUNK_S * (5 if fault == "slow" else 1))
    return True


async def _break_off(writer: asyncio.StreamWriter, fault: str, part: bytes) -> None:
    writer.write(part or b"H")
    await writer.drain()
    if fault == "stall":
        await asyncio.sleep(STALL_S)
    elif fault == "reset":
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
