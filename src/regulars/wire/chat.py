"""A chat request as bytes → the few fields we act on, and the untouched rest.

Only top-level keys are looked at: their values stay the very bytes the client sent
(`msgspec.Raw`) until something is needed of one. Source: openrouter-api.md section 1.1.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from regulars.model.errors import CallerError
from regulars.wire.large import LARGE_BYTES, check_utf8, names_cache_control
from regulars.wire.mend import BOM

FIELDS_MAX: Final = 512
"""Top-level keys of a request; the API knows about fifty."""

FALLBACKS_MAX: Final = 20

OPENER_BYTES_MAX: Final = 32_768
"""How much of `messages` is looked at to tell one conversation from another: 20 pages of text."""

_T = TypeVar("_T")


class ChatRequest(Struct, frozen=True):
    """One chat request. `fields` holds every top-level key as the client's own bytes.

    `fallbacks` are the models to try when `model` cannot, in order.
    """

    model: str
    stream: bool
    user: str | None
    session: str | None
    fallbacks: tuple[str, ...]
    fields: Mapping[str, Raw]
    body_bytes: int
    names_cache_control: bool = False
    """Whether a `cache_control` stands anywhere in it: nearly no request has one."""


class _Message(Struct):
    role: str = ""
    content: Raw = Raw(b"")


_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
_TEXT: Final = msgspec.json.Decoder(str | None)
_TEXTS: Final = msgspec.json.Decoder(list[str] | None)
_BOOL: Final = msgspec.json.Decoder(bool | None)
_MESSAGES: Final = msgspec.json.Decoder(list[_Message])
_TOOLS: Final = msgspec.json.Decoder(list[dict[str, Any]])
_LONE_SURROGATE: Final = re.compile(
    rb"(?i)\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\u....)\\ud[c-f][0-9a-f]{2}"
)
_GZIP: Final = b"\x1f\x8b"
_SPACE: Final = b" \t\r\n"


def parse_chat(body: bytes | bytearray) -> ChatRequest:
    """Read a chat request.

    Raises:
        CallerError: not JSON, not an object, no model, no messages, or a field of the wrong
            type. The message names the field and never quotes content.
    """
    fields = _decode_fields(body)
    _require_messages(fields)
    return ChatRequest(
        model=_model(fields),
        stream=_optional(fields, "stream", _BOOL, "true or false") or False,
        user=_optional(fields, "user", _TEXT, "a string"),
        session=_optional(fields, "session_id", _TEXT, "a string"),
        fallbacks=_fallbacks(fields) if "models" in fields else (),
        fields=fields,
        body_bytes=len(body),
        names_cache_control=b'"cache_control"' in body
        if len(body) <= LARGE_BYTES
        else names_cache_control(body),
    )


def prompt_cache_key(request: ChatRequest) -> str | None:
    """Return the request's `prompt_cache_key`, None when absent or null."""
    return _optional(request.fields, "prompt_cache_key", _TEXT, "a string")


def service_tier(request: ChatRequest) -> str | None:
    """Return the service tier asked for, None when absent or null.

    Raises:
        CallerError: it is no string.
    """
    return _optional(request.fields, "service_tier", _TEXT, "a string")


def opener(request: ChatRequest) -> tuple[bytes, bytes]:
    """Return what tells conversations apart: (system text and tool names, first other message).

    Looks at the first messages only and at no more than OPENER_BYTES_MAX of them.
    """
    messages = _first_messages(request.fields["messages"])
    shared: list[bytes] = []
    first = b""
    for message in messages:
        if message.role in ("system", "developer"):
            shared.append(bytes(message.content))
        else:
            first = message.role.encode() + b"\0" + bytes(message.content)
            break
    shared.extend(_tool_names(request.fields))
    return b"\0".join(shared), first


def _decode_fields(body: bytes | bytearray) -> dict[str, Raw]:
    if not body.isascii():
        try:
            check_utf8(body)
        except UnicodeDecodeError as exc:
            if body.startswith(_GZIP):
                raise CallerError("body: is compressed; send JSON in UTF-8") from exc
            raise CallerError(f"body: byte {exc.start} is not UTF-8; send JSON in UTF-8") from exc
    try:
        fields = _FIELDS.decode(body)
    except RecursionError as exc:
        raise CallerError("body: nested too deeply; flatten it") from exc
    except msgspec.ValidationError as exc:
        raise CallerError('body: not a JSON object; send {"model": …, "messages": […]}') from exc
    except msgspec.DecodeError as exc:
        if body.startswith(BOM) and not body.startswith(BOM, len(BOM)):
            return _decode_fields(body[len(BOM) :])
        raise CallerError(f"body: not valid JSON ({_why_not(body, exc)})") from exc
    if len(fields) > FIELDS_MAX:
        raise CallerError(f"body: has {len(fields)} top-level fields; send at most {FIELDS_MAX}")
    return fields


def _why_not(body: bytes | bytearray, error: msgspec.DecodeError) -> str:
    if body.find(0, 0, 4) >= 0:
        return "it is in UTF-16 or UTF-32; send UTF-8"
    return "a lone surrogate escape" if _LONE_SURROGATE.search(body) else str(error)


def _model(fields: Mapping[str, Raw]) -> str:
    model = _optional(fields, "model", _TEXT, "a string")
    if model is None and (listed := _listed_models(fields)):
        model = listed[0]
    if not model:
        raise CallerError("model: is missing; GET /api/v1/models lists what is served here")
    return model


def _fallbacks(fields: Mapping[str, Raw]) -> tuple[str, ...]:
    listed = _listed_models(fields)
    if len(listed) > FALLBACKS_MAX:
        raise CallerError(f"models: has {len(listed)} entries; send at most {FALLBACKS_MAX}")
    first = _model(fields)
    return tuple(dict.fromkeys(model for model in listed if model != first))


def _listed_models(fields: Mapping[str, Raw]) -> list[str]:
    return _optional(fields, "models", _TEXTS, "a list of strings") or []


def _require_messages(fields: Mapping[str, Raw]) -> None:
    messages = fields.get("messages")
    if messages is None:
        raise CallerError("messages: is missing; send a list with at least one message")
    head = bytes(memoryview(messages)[:64])
    if head.startswith(b"[{"):  # as nearly every client writes it
        return
    head = head.lstrip(_SPACE)
    if not head.startswith(b"[") or head[1:].lstrip(_SPACE).startswith(b"]"):
        raise CallerError("messages: is not a list with at least one message")


def _optional(
    fields: Mapping[str, Raw], name: str, decoder: msgspec.json.Decoder[_T], wanted: str
) -> _T | None:
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise CallerError(f"{name}: is not {wanted}") from exc


def _first_messages(messages: Raw) -> list[_Message]:
    if len(memoryview(messages)) > OPENER_BYTES_MAX:
        return _cut_messages(bytes(memoryview(messages)[:OPENER_BYTES_MAX]))
    try:
        return _MESSAGES.decode(messages)
    except msgspec.DecodeError as exc:
        raise CallerError("messages: each must be an object with a role") from exc
    except RecursionError as exc:
        # The body as a whole was read, but by a shorter stack: a nest may just fit there.
        raise CallerError("messages: nested too deeply; flatten them") from exc


def _cut_messages(head: bytes) -> list[_Message]:
    """Read the messages that lie wholly in `head`; the one that is cut stands for itself."""
    text = head.decode(errors="ignore")
    read = json.JSONDecoder(strict=False).raw_decode
    found: list[_Message] = []
    at = text.index("[") + 1
    while True:
        at = _skip(text, at)
        try:
            message, at = read(text, at)
        except (json.JSONDecodeError, RecursionError):
            found.append(_Message(role="", content=Raw(text[at:].encode())))
            return found
        if not isinstance(message, dict):
            raise CallerError("messages: each must be an object with a role")
        content = msgspec.json.encode(message.get("content"))
        found.append(_Message(role=str(message.get("role", "")), content=Raw(content)))
        if found[-1].role not in ("system", "developer"):
            return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _tool_names(fields: Mapping[str, Raw]) -> list[bytes]:
    raw = fields.get("tools")
    if raw is None:
        return []
    try:
        tools = _TOOLS.decode(raw) or []
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        # The upstream judges tools; for telling conversations apart their bytes serve as well.
        return [bytes(memoryview(raw)[:OPENER_BYTES_MAX])]
    return [_tool_name(tool).encode() for tool in tools]


def _tool_name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else tool.get("type")
    return str(name)
