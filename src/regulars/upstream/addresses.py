"""How a connection to a provider begins: look its name up, judge the addresses, connect.

Judged is what is connected to, not the name: a name may lead elsewhere at each look.
"""

import asyncio
import socket
from typing import Final

from regulars.model.addresses import is_forbidden

SocketAddress = tuple[str, int] | tuple[str, int, int, int]

ADDRESSES_MAX: Final = 16
"""How many addresses of one name are tried."""


class ForbiddenAddressError(OSError):
    """A name leads to an address nobody allowed; nothing has been sent there."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


async def open_socket(host: str, port: int, *, allow_link_local: bool) -> socket.socket:
    """Connect by TCP to the first address of `host` that answers; the caller closes the socket.

    Raises:
        ForbiddenAddressError: an address of the host is link-local or a metadata service's.
        OSError: unknown or unreachable, with the reason of the last address tried.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses: list[tuple[int, SocketAddress]] = [(info[0], info[4]) for info in found]  # pyright: ignore[reportAssignmentType] - only AF_INET and AF_INET6 carry SOCK_STREAM here
    if not allow_link_local:
        # One bad address of several is no accident: none of them is trusted.
        for _, address in addresses:
            if is_forbidden(address[0]):
                raise ForbiddenAddressError(address[0])
    last: OSError = OSError(f"{host!r} has no address")
    for family, address in addresses[:ADDRESSES_MAX]:
        try:
            return await _connect(loop, family, address)
        except OSError as exc:
            last = exc
    raise last


async def _connect(
    loop: asyncio.AbstractEventLoop, family: int, address: SocketAddress
) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made
