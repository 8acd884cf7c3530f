"""A whole answer of the common dialect: read once, rendered once it has a price."""

from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from regulars.model.errors import UpstreamProtocolError
from regulars.model.money import ReportedCost
from regulars.model.tokens import Usage
from regulars.providers.openai.charged import read_cost, read_service_tier, read_usage_tier
from regulars.providers.openai.choices import FINISH_REASONS, finish_reason, polish
from regulars.providers.openai.failure import read_stream_failure, said_error
from regulars.providers.openai.kept import kept_id, kept_name
from regulars.providers.openai.usage import read_usage
from regulars.wire.answers import Label, json_text
from regulars.wire.large import LARGE_BYTES, check_utf8, holds
from regulars.wire.mend import mended

_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
_CHOICES: Final = msgspec.json.Decoder(list[dict[str, Raw]])
_CHOICE: Final = msgspec.json.Decoder(dict[str, Any])
_ANY: Final = msgspec.json.Decoder(Any)
_OBJECT: Final = Raw(b'"chat.completion"')
_NULL: Final = Raw(b"null")
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_REASONING: Final = b'"reasoning_content"'
_PLAIN_ENDS: Final = {f'"{reason}"'.encode(): reason for reason in FINISH_REASONS}
"""Ends that need no translation, as they stand in the JSON."""


class WholeAnswer(Struct, frozen=True):
    """One whole answer. `fields` are the upstream's own bytes, choices already polished."""

    fields: dict[str, Raw]
    upstream_id: str | None
    usage: Usage | None
    finish_reason: str | None
    native_finish_reason: str | None
    content_bytes: int
    cost: ReportedCost | None
    service_tier: str | None
    counted_early: bool = False

    def render(self, label: Label, usage: bytes) -> bytes:
        """Write the client's answer: our id, model and provider, the priced usage."""
        fields = self.fields
        fields["id"] = Raw(json_text(label.id))
        fields["object"] = _OBJECT
        fields["model"] = Raw(json_text(label.model))
        fields["provider"] = Raw(json_text(label.provider))
        fields["usage"] = Raw(usage)
        fields.setdefault("system_fingerprint", _NULL)
        if not bytes(fields.get("created", _NULL)).isdigit():
            fields["created"] = Raw(str(label.created).encode())
        return msgspec.json.encode(fields)


_SILENT: Final = WholeAnswer({}, None, None, None, None, 0, None, None)


def read_whole(provider: str, body: bytes) -> WholeAnswer:
    """Read a whole answer.

    Raises:
        UpstreamProtocolError: not a chat completion.
        UpstreamStatusError: an error object under status 200.
    """
    try:
        return _read(provider, body)
    except _UNREADABLE as exc:
        better, cause = mended(body), exc
    try:
        if better is not None:
            return _read(provider, better)
    except _UNREADABLE as exc:
        cause = exc
    raise UpstreamProtocolError(f"{provider} answered 200 with no chat completion") from cause


def read_failed(body: bytes) -> WholeAnswer:
    """Read what an answer that is an error, or none at all, says was used; nothing where it is silent."""
    try:
        fields = _FIELDS.decode(body)
        upstream_id = _ANY.decode(fields.get("id", _NULL))
    except _UNREADABLE:
        return _SILENT
    usage = fields.get("usage", _NULL)
    return WholeAnswer(
        fields={},
        upstream_id=kept_id(upstream_id),
        usage=read_usage(usage),
        finish_reason=None,
        native_finish_reason=None,
        content_bytes=0,
        cost=read_cost(usage),
        service_tier=read_service_tier(fields.get("service_tier")) or read_usage_tier(usage),
    )


def _read(provider: str, body: bytes) -> WholeAnswer:
    if not body.isascii():
        # Most of it is passed on as it came.
        body.decode() if len(body) <= LARGE_BYTES else check_utf8(body)
    fields = _FIELDS.decode(body)
    error = said_error(fields)
    if error:
        raise read_stream_failure(provider, error)
    choices = _CHOICES.decode(fields.get("choices", _NULL))
    natives = _polish(choices)
    upstream_id = _ANY.decode(fields.get("id", _NULL))
    fields["choices"] = Raw(msgspec.json.encode(choices))
    native = natives[0] if natives else None
    usage = fields.get("usage")
    return WholeAnswer(
        fields=fields,
        upstream_id=kept_id(upstream_id),
        usage=None if usage is None else read_usage(usage),
        finish_reason=None if native is None else finish_reason(native),
        native_finish_reason=kept_name(native),
        content_bytes=len(memoryview(fields["choices"])),
        cost=None if usage is None else read_cost(usage),
        service_tier=read_service_tier(fields.get("service_tier"))
        or (None if usage is None else read_usage_tier(usage)),
    )


def _polish(choices: list[dict[str, Raw]]) -> list[str | None]:
    """Bring choices into OpenRouter's shape, in place; return their native finish reasons.

    The message, nearly all of an answer, stays the upstream's own bytes where its form allows.
    """
    natives: list[str | None] = []
    for number, choice in enumerate(choices):
        native = _PLAIN_ENDS.get(bytes(choice.get("finish_reason", _NULL)))
        message = bytes(choice.get("message", _NULL))
        thinks = (
            message.find(_REASONING) >= 0
            if len(message) <= LARGE_BYTES
            else holds(message, _REASONING)
        )
        if native is None or thinks or message.find(b'"role"') < 0:
            whole = _CHOICE.decode(msgspec.json.encode(choice))
            native = polish(whole, body="message")
            choices[number] = {
                name: Raw(msgspec.json.encode(value)) for name, value in whole.items()
            }
        else:
            choice["native_finish_reason"] = choice["finish_reason"]
        natives.append(native)
    return natives
