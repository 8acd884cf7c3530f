"""Where a request comes from, with and without proxies that are trusted."""

import pytest

from regulars.http.peer import Peers

TRUSTING = Peers(("10.0.0.0/8", "::1/128"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("198.51.100.7", None, "198.51.100.7"),
        ("198.51.100.7", "203.0.113.1", "198.51.100.7"),  # anybody may write that
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "203.0.113.1", "203.0.113.1"),
        ("10.0.0.1", "192.0.2.9, 203.0.113.1", "203.0.113.1"),  # what stands before is a claim
        ("10.0.0.1", "203.0.113.1, 10.0.0.2", "203.0.113.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "unknown", "unknown"),
        ("10.0.0.1", "," * 5000 + "203.0.113.1", "203.0.113.1"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: str | None, address: str) -> None:
    headers = {} if forwarded is None else {b"x-forwarded-for": forwarded.encode()}

    assert TRUSTING.address((peer, 1234), headers) == address


def test_a_connection_without_an_address_has_none() -> None:
    assert TRUSTING.address(None, {}) is None
