"""What a scripted provider does with one request, as data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

UsagePlace = Literal["asked", "last", "finish", "twice", "every", "missing"]
"""Where a stream reports usage: `last` is a chunk of its own without choices, `asked` is that
if the request has `stream_options.include_usage`, `every` counts up in each chunk."""

Framing = Literal["length", "chunked", "close"]
"""How the end of a body is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """One answer, and all that goes wrong with it. Times in seconds, positions in bytes.

    Without `body`, `events` or `raw` it is a valid OpenAI answer of `text`: a stream if the
    request asks for one. Positions (`cuts`, `…_after`) count bytes of the whole response, head
    included.
    """

    # what is said
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str = "Hello from the scripted provider."
    finish_reason: str = "stop"
    usage: UsagePlace = "asked"
    usage_tokens: Mapping[str, Any] | None = None
    """Replaces the usage object we would count."""
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """More top-level fields of an answer and of each of its chunks."""
    body: bytes | None = None
    """Sent instead of an OpenAI answer."""
    events: Sequence[Mapping[str, Any] | str] | None = None
    """Data of the SSE events, sent instead of an OpenAI stream."""
    raw: bytes | None = None
    """Written to the socket instead of an HTTP response; then the connection is closed."""
    interim: bytes = b""
    """1xx responses sent ahead, raw."""

    # how a stream looks
    chunks: int = 4
    """How many chunks carry content."""
    newline: Literal["\n", "\r\n"] = "\n"
    comment: str | None = None
    """A comment line before each event."""
    events_per_write: int = 1
    done: bool = True
    """Whether `data: [DONE]` ends it."""
    error: Mapping[str, Any] | None = None
    """The `error` object of a last chunk that ends the stream after `error_after` chunks."""
    error_after: int = 1

    # how it is carried
    framing: Framing | None = None
    """None: chunked for a stream, else by length."""
    http: Literal["1.1", "1.0"] = "1.1"
    compress: Literal["gzip", "deflate", "raw-deflate"] | None = None
    endless: bool = False
    """Repeats the body until the client leaves."""
    keep_alive: bool = True
    """False: says `connection: close` and does so."""
    close_quietly: bool = False
    """Closes after the answer without having said so."""
    answer_early: bool = False
    """Answers without ever reading the request's body, then closes."""

    # when, and how far
    head_delay_s: float = 0.0
    body_delay_s: float = 0.0
    """Between the head and the first piece of the body."""
    chunk_delay_s: float = 0.0
    cuts: Sequence[int] = ()
    """Where the response is cut into separate writes, `cut_pause_s` apart."""
    cut_every: int | None = None
    cut_pause_s: float = 0.002
    stall_after: int | None = None
    """Sends this much, then nothing, until the client leaves."""
    close_after: int | None = None
    reset_after: int | None = None


def error_script(
    status: int,
    message: str,
    *,
    code: str | None = None,
    kind: str = "invalid_request_error",
    headers: Mapping[str, str] | None = None,
) -> Script:
    """Answer with an error body of OpenAI's form."""
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Script(status=status, body=json.dumps(body).encode(), headers=headers or {})
