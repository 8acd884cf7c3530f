"""The public port's protocol by itself: what comes between two turns of the loop."""

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from regulars.config.settings import ServerSettings
from regulars.http.asgi import Receive, Scope, Send
from regulars.http.server import BODY, CONNECTION, CYCLE, EdgeProtocol, edge_protocol

WAIT_S = 5.0
HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\nContent-Length: %d\r\n\r\n%b"


def request(who: bytes, body: bytes) -> bytes:
    return HEAD % (who, len(body), body)


def test_heads_that_come_before_the_first_is_served_are_not_mistaken() -> None:
    served: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()
    got: list[tuple[bytes, bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        connection: EdgeProtocol = scope.pop(CONNECTION)
        scope.pop(CYCLE)
        connection.repeats(scope, app)
        body = scope.pop(BODY, None) or (await receive())["body"]
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        served.put_nowait((dict(scope["headers"])[b"authorization"], body))

    async def converse() -> None:
        protocol = made(app)
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, sock=ours)
        # Both are here before a task of the first has run.
        protocol.data_received(request(b"ann", b"1"))
        protocol.data_received(request(b"bob", b"22"))
        async with asyncio.timeout(WAIT_S):
            got.extend([await served.get(), await served.get()])
            for who, body in ((b"bob", b"333"), (b"ann", b"4444"), (b"ann", b"55555")):
                protocol.data_received(request(who, body))
                got.append(await served.get())
        protocol.transport.close()
        theirs.close()
        await asyncio.sleep(0)

    asyncio.run(converse())

    assert got == [
        (b"ann", b"1"),
        (b"bob", b"22"),
        (b"bob", b"333"),
        (b"ann", b"4444"),
        (b"ann", b"55555"),
    ]


def made(app: Any) -> EdgeProtocol:
    config = uvicorn.Config(app, lifespan="off", log_config=None, proxy_headers=False)
    config.load()
    return edge_protocol(ServerSettings())(config, ServerState(), {})
