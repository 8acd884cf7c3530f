"""Opens the socket that all workers share."""

import errno
import socket
from typing import Final

BACKLOG: Final = 2048


class ListenError(Exception):
    """The address cannot be listened on; the message names it and the fix."""


def listen(host: str, port: int) -> socket.socket:
    """Listen on host and port (0 picks one).

    Raises:
        ListenError: taken, not allowed, or not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ListenError(f"cannot listen on {host!r}: {error.strerror}; set --host") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(_explained(host, port, error)) from error
    listener.setblocking(False)
    return listener


def address_for_people(host: str, port: int) -> str:
    """The URL by which this machine reaches the gateway."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - a look-up, not a bind
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _explained(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} on {host} is in use: stop the program that holds it,"
                f" or choose another with --port or REGULARS_SERVER__PORT"
            )
        case errno.EACCES:
            return f"port {port} on {host} is not allowed: choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine: set --host, like 127.0.0.1"
        case _:
            return f"cannot listen on {host}:{port}: {error.strerror}"
