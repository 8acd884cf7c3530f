"""Which addresses a provider may not have: link-local ones and those of cloud metadata services.

What listens there hands out the machine's own credentials, so a name that leads there is a mistake
or an attack. Loopback and private ranges are allowed: model servers live there.
"""

import ipaddress
from typing import Final

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORBIDDEN: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local: the metadata of AWS, Azure, Google Cloud, OpenStack
        "fe80::/10",  # link-local
        "fd00:ec2::/32",  # AWS metadata over IPv6
        "fd20:ce::/32",  # Google Cloud metadata over IPv6
        "100.100.100.200/32",  # Alibaba Cloud metadata
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.192/32",  # Oracle Cloud metadata
    )
)
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


def is_forbidden(host: str) -> bool:
    """Tell whether a literal address may not be connected to; a name is not one, so never."""
    address = _literal(host)
    if address is None:
        return False
    return any(one in network for one in (address, _inner(address)) for network in _FORBIDDEN)


def _literal(host: str) -> Ip | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _inner(address: Ip) -> Ip:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
