"""Where a request comes from: the connection's other end, or what a trusted proxy says of it."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

FORWARDED: Final = b"x-forwarded-for"
HOPS_MAX: Final = 10
HEADER_BYTES_MAX: Final = 1024
ADDRESSES_MAX: Final = 10_000


class Peers:
    """Finds addresses. `trusted` are networks of proxies whose word counts."""

    def __init__(self, trusted: Sequence[str]) -> None:
        networks = [ip_network(one) for one in trusted]

        @lru_cache(ADDRESSES_MAX)
        def is_proxy(address: str) -> bool:
            try:
                at = ip_address(address)
            except ValueError:
                return False
            return any(at in network for network in networks)

        self._is_proxy = is_proxy

    def address(self, client: Any, headers: Mapping[bytes, bytes]) -> str | None:
        """Return the client's address; `client` is the connection's (host, port), if it has any.

        Of a chain of proxies the last address that is no proxy of ours counts: what stands
        before it anybody may have written.
        """
        if not client:
            return None
        address = str(client[0])
        forwarded = headers.get(FORWARDED)
        if forwarded is None or not self._is_proxy(address):
            return address
        hops = forwarded[-HEADER_BYTES_MAX:].decode("latin-1").split(",")[-HOPS_MAX:]
        for hop in reversed(hops):
            named = hop.strip()
            if not self._is_proxy(named):
                return named or address
            address = named
        return address
