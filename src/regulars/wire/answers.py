"""What clients get of an answer: whole, chunk by chunk, and the usage that closes both.

Source: openrouter-api.md sections 1.5 and 1.6. Written by hand where it is on every request.
"""

from typing import Any

import msgspec
from msgspec import Struct

from regulars.model.money import Cost, usd_text
from regulars.model.tokens import Usage


class Label(Struct, frozen=True, gc=False):
    """What every frame of one answer says of itself. `provider` is a display name."""

    id: str
    created: int
    model: str
    provider: str


def json_text(text: str) -> bytes:
    """Quote a string as JSON."""
    return msgspec.json.encode(text)


def usage_json(usage: Usage, cost: Cost | None) -> bytes:
    """Render `usage` with cost and cost details; an unknown cost is null, never 0."""
    written = heard = spoken = ""
    if usage.cache_write_tokens is not None:
        written = f',"cache_write_tokens":{usage.cache_write_tokens}'
    if usage.audio_tokens is not None:
        heard = f',"audio_tokens":{usage.audio_tokens}'
    if usage.audio_output_tokens is not None:
        spoken = f',"audio_tokens":{usage.audio_output_tokens}'
    return (
        f'{{"prompt_tokens":{usage.prompt_tokens},"completion_tokens":{usage.completion_tokens},'
        f'"total_tokens":{usage.prompt_tokens + usage.completion_tokens},"prompt_tokens_details":{{'
        f'"cached_tokens":{usage.cached_tokens or 0}{written}{heard}}},'
        f'"completion_tokens_details":{{"reasoning_tokens":{usage.reasoning_tokens or 0}{spoken}}},'
        f"{_cost_text(cost)}}}"
    ).encode()


def _cost_text(cost: Cost | None) -> str:
    if cost is None:
        return '"cost":null,"cost_details":null,"is_byok":false'
    byok = "null" if cost.byok is None else usd_text(cost.byok)
    return (
        f'"cost":{usd_text(cost.total)},"cost_details":{{"upstream_inference_cost":{byok},'
        f'"upstream_inference_prompt_cost":{usd_text(cost.prompt)},'
        f'"upstream_inference_completions_cost":{usd_text(cost.completion)}}},'
        f'"is_byok":{"false" if cost.byok is None else "true"}'
    )


def usage_frame(label: Label, usage: bytes | None, more: bytes = b"") -> bytes:
    """Render the chunk that closes a stream: no choices, the usage (when there is any).

    `more` are further keys, each with a comma before it.
    """
    head = (
        f'data: {{"id":"{label.id}","object":"chat.completion.chunk","created":{label.created},'
    ).encode()
    tail = b"" if usage is None else b',"usage":' + usage
    return b"".join(
        (
            head,
            b'"model":',
            json_text(label.model),
            b',"provider":',
            json_text(label.provider),
            b',"choices":[]',
            tail,
            more,
            b"}\n\n",
        )
    )


def error_frame(
    label: Label, *, status: int, code: str, message: str, metadata: bytes | None = None
) -> bytes:
    """Render the chunk that ends a stream which failed in the middle."""
    frame: dict[str, Any] = {
        "id": label.id,
        "object": "chat.completion.chunk",
        "created": label.created,
        "model": label.model,
        "provider": label.provider,
        "error": {"code": status, "message": message, "metadata": {"error_type": code}},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }
    if metadata is not None:
        frame["openrouter_metadata"] = msgspec.Raw(metadata)
    return b"data: " + msgspec.json.encode(frame) + b"\n\n"
