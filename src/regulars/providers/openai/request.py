"""A client's request → what the upstream gets: the client's own bytes, but for the fields we own."""

from typing import Any, Final

import msgspec
from msgspec import Raw

from regulars.model.catalog import Disclosure
from regulars.model.errors import CallerError
from regulars.providers.openai.disclosure import Asker, disclose
from regulars.wire.chat import ChatRequest
from regulars.wire.large import LARGE_BYTES
from regulars.wire.pieces import Body, object_pieces

PATH: Final = "/chat/completions"

OURS: Final = frozenset(
    {
        "models",
        "plugins",
        "preset",
        "provider",
        "route",
        "safety_identifier",
        "session_id",
        "trace",
        "transforms",
        "usage",
        "user",
        "user_id",
    }
)
"""Fields that speak to the gateway. Identities among them never leave raw: `disclosure.py` tells."""

_INCLUDE_USAGE: Final = Raw(b'{"include_usage":true}')


def encode(
    request: ChatRequest, upstream_model: Raw, *, disclosure: Disclosure, asker: Asker
) -> Body:
    """Write the upstream body. `upstream_model` is the endpoint's model name as JSON.

    Usage is always asked for. `metadata` is OpenRouter's label for observability, which OpenAI
    takes only together with `store`: without `store` it stays here.
    """
    fields = dict(request.fields)
    for name in OURS & fields.keys():
        del fields[name]
    fields["model"] = upstream_model
    if "metadata" in fields and "store" not in fields:
        del fields["metadata"]
    disclose(fields, request, disclosure=disclosure, asker=asker)
    if request.stream:
        fields["stream_options"] = _stream_options(fields.get("stream_options"))
    else:
        fields.pop("stream_options", None)
    return (
        object_pieces(fields) if request.body_bytes > LARGE_BYTES else msgspec.json.encode(fields)
    )


def _stream_options(given: Raw | None) -> Raw:
    if given is None:
        return _INCLUDE_USAGE
    try:
        options: Any = msgspec.json.decode(given)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise CallerError("stream_options: is not an object") from exc
    if not isinstance(options, dict):
        return _INCLUDE_USAGE
    return Raw(msgspec.json.encode({**options, "include_usage": True}))
