"""A whole answer of the common dialect: read once, rendered once it has a price."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from regulars.model.errors import UpstreamProtocolError
from regulars.model.tokens import Usage
from regulars.providers.openai.choices import polish
from regulars.providers.openai.failure import read_stream_failure
from regulars.providers.openai.usage import read_usage
from regulars.wire.answers import Label, json_text

_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
_CHOICES: Final = msgspec.json.Decoder(list[dict[str, Any]])
_OBJECT: Final = Raw(b'"chat.completion"')
_NULL: Final = Raw(b"null")


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """One whole answer. `fields` are the upstream's own bytes, choices already polished."""

    fields: dict[str, Raw]
    upstream_id: str | None
    usage: Usage | None
    finish_reason: str | None
    native_finish_reason: str | None
    content_bytes: int

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


def read_whole(provider: str, body: bytes) -> WholeAnswer:
    """Read a whole answer.

    Raises:
        UpstreamProtocolError: not a chat completion.
        UpstreamStatusError: an error object under status 200.
    """
    try:
        fields = _FIELDS.decode(body)
        error = fields.get("error")
        if error is not None and error != _NULL:
            raise read_stream_failure(provider, msgspec.json.decode(error))
        choices = _CHOICES.decode(fields.get("choices", _NULL))
        upstream_id = msgspec.json.decode(fields.get("id", _NULL))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise UpstreamProtocolError(f"{provider} answered 200 with no chat completion") from exc
    native = [polish(choice, body="message") for choice in choices]
    fields["choices"] = Raw(msgspec.json.encode(choices))
    return WholeAnswer(
        fields=fields,
        upstream_id=upstream_id if isinstance(upstream_id, str) else None,
        usage=read_usage(fields["usage"]) if "usage" in fields else None,
        finish_reason=choices[0]["finish_reason"] if choices else None,
        native_finish_reason=native[0] if native else None,
        content_bytes=len(memoryview(fields["choices"])),
    )
