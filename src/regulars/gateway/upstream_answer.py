"""An upstream's answer on its way into the exchange: read, refused, or reduced to what it said."""

from regulars.exchange.exchange import Answer
from regulars.model.errors import UpstreamError
from regulars.providers.openai.failure import ERROR_BODY_BYTES_MAX, read_failure
from regulars.providers.openai.stream import StreamReader
from regulars.providers.openai.whole import WholeAnswer
from regulars.upstream.client import Response


async def read_all(response: Response) -> bytes:
    """Read the whole body; its size is bounded by the upstream client."""
    first = await response.read()
    assert first is not None, "nobody nudges a whole answer"
    if not first or response.ended:
        return first
    pieces = [first]
    while piece := await response.read():
        pieces.append(piece)
    return first if len(pieces) == 1 else b"".join(pieces)


def failure(provider: str, response: Response, body: bytes) -> UpstreamError:
    """Turn an answer that is not 200 into the error it stands for."""
    retry_after = response.headers.get(b"retry-after")
    return read_failure(
        provider, response.status, body[:ERROR_BODY_BYTES_MAX], retry_after=retry_after
    )


def said(by: StreamReader | WholeAnswer) -> Answer:
    """Take from what was read what the ledger needs."""
    return Answer(
        by.upstream_id,
        by.usage,
        by.finish_reason,
        by.native_finish_reason,
        by.content_bytes,
        by.cost,
        by.service_tier,
        by.counted_early,
    )
