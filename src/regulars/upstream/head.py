"""What the head of an answer may say. Pure."""

from collections.abc import Mapping

from regulars.config.settings import UpstreamSettings
from regulars.model.errors import UpstreamProtocolError, UpstreamTooLargeError


def body_ends_with_connection(
    status: int,
    headers: Mapping[bytes, bytes],
    *,
    peer: str,
    seen_bytes: int,
    limits: UpstreamSettings,
) -> bool:
    """Check a head; tell whether nothing but the connection's end will end its body.

    `seen_bytes` came of the answer so far; only a head that may be too large is added up.

    Raises:
        UpstreamProtocolError: a status that is no answer's, or a coding we cannot read.
        UpstreamTooLargeError: the head, or the body it promises, is over its limit.
    """
    if not 200 <= status <= 599:
        raise UpstreamProtocolError(f"{peer} answered with status {status}, which nobody asked for")
    if seen_bytes > limits.header_limit_bytes:
        size = sum(len(name) + len(value) for name, value in headers.items())
        if size > limits.header_limit_bytes:
            raise too_large(peer, "a response head", limits.header_limit_bytes)
    length = headers.get(b"content-length")
    coding = headers.get(b"transfer-encoding")
    if coding is not None and coding.lower() != b"chunked":
        raise UpstreamProtocolError(
            f"{peer} answered with transfer-encoding {coding[:40]!r}; chunked can be read"
        )
    if length is not None and int(length) > limits.body_limit_bytes:
        raise too_large(peer, "a body", limits.body_limit_bytes)
    return length is None and coding is None


def too_large(peer: str, what: str, limit_bytes: int) -> UpstreamTooLargeError:
    """Make the error of an answer whose part is over its limit."""
    return UpstreamTooLargeError(f"{peer} sent {what} of more than {limit_bytes} bytes")
