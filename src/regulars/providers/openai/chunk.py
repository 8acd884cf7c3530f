"""One event of a stream: bytes → the parts of a chunk. Lenient where a strict reader would lose it."""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from regulars.providers.openai.failure import said_error
from regulars.wire.mend import BOM, mended

_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
_CHOICES: Final = msgspec.json.Decoder(list[dict[str, Any]] | None)
_ANY: Final = msgspec.json.Decoder(Any)
_NULL: Final = Raw(b"null")
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Chunk(Struct, frozen=True, gc=False):
    """What one event says. `data` are its bytes, mended where they had to be.

    `usage` is null where nothing was counted; it is no more among `fields`.
    """

    data: bytes
    fields: dict[str, Raw]
    choices: list[dict[str, Any]]
    upstream_id: object
    usage: Raw
    error: Any


def read_chunk(data: bytes) -> Chunk | None:
    """Read an event, None where it is no chunk."""
    try:
        return _read(data)
    except _UNREADABLE:
        better = mended(data)
    try:
        return None if better is None else _read(better)
    except _UNREADABLE:
        return None


def chunk_of_whole(body: bytes | bytearray) -> bytes | None:
    """Make the one event of an answer that came whole though a stream was asked for.

    None where it is no answer, and no error either. Some providers cannot stream every model,
    and many say their errors so, under 200.
    """
    body = bytes(body).strip().removeprefix(BOM)
    if not body.startswith(b"{"):
        return None
    try:
        fields = _FIELDS.decode(body)
        choices = _CHOICES.decode(fields.get("choices", _NULL)) or []
    except _UNREADABLE:
        better = mended(body)
        return None if better is None or better == body else chunk_of_whole(better)
    for choice in choices:
        choice["delta"] = _delta(choice.pop("message", None))
    if choices:
        fields["choices"] = Raw(msgspec.json.encode(choices))
    return msgspec.json.encode(fields) if choices or said_error(fields) else None


def _delta(message: Any) -> Any:
    """Number the tool calls of a message, as deltas have them."""
    calls: Any = message.get("tool_calls") if isinstance(message, dict) else None
    if isinstance(calls, list):
        message["tool_calls"] = [
            {"index": number, **call} if isinstance(call, dict) else call
            for number, call in enumerate(calls)
        ]
    return message


def _read(data: bytes) -> Chunk:
    fields = _FIELDS.decode(data)
    error = said_error(fields)
    raw = fields.get("choices")
    choices = [] if raw is None else _CHOICES.decode(raw) or []
    upstream_id = _ANY.decode(fields.get("id", _NULL))
    usage = fields.pop("usage", _NULL)
    if usage == _NULL and data.find(b'"usage"') >= 0:
        usage = _usage_elsewhere(fields, choices)
    return Chunk(data, fields, choices, upstream_id, usage, error)


def _usage_elsewhere(fields: dict[str, Raw], choices: list[dict[str, Any]]) -> Raw:
    """Take `usage` from where Moonshot (inside a choice) and Groq (`x_groq`) say it."""
    for choice in choices:
        usage = choice.pop("usage", None)
        if usage is not None:
            return Raw(msgspec.json.encode(usage))
    try:
        groq = _FIELDS.decode(fields.get("x_groq", _NULL))
    except msgspec.DecodeError:
        return _NULL
    usage = groq.pop("usage", _NULL)
    fields["x_groq"] = Raw(msgspec.json.encode(groq))
    return usage
