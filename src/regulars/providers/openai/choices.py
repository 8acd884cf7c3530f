"""Choices of an answer or a chunk, as OpenRouter shows them, and what they say of the end."""

from typing import Any, Final

FINISH_REASONS: Final = frozenset({"stop", "length", "tool_calls", "content_filter", "error"})

_NORMAL: Final = {
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "safety": "content_filter",
    "insufficient_system_resource": "error",
}
"""Native names of the end → OpenRouter's (openrouter-api.md section 1.5)."""


def finish_reason(native: str) -> str:
    """Map a provider's own word for the end; an unknown one is a plain stop."""
    if native in FINISH_REASONS:
        return native
    return _NORMAL.get(native.lower(), "stop")


def polish(choice: dict[str, Any], *, body: str) -> str | None:
    """Bring one choice into OpenRouter's shape, in place; return its native finish reason.

    `body` is `message` or `delta`.
    """
    choice.setdefault("index", 0)
    native = choice.get("finish_reason")
    if not isinstance(native, str) or not native:
        native = None
    choice["finish_reason"] = None if native is None else finish_reason(native)
    if native is not None:
        choice["native_finish_reason"] = native
    message = choice.get(body)
    if not isinstance(message, dict):
        message = {}
    if "reasoning_content" in message:
        reasoning = message.pop("reasoning_content")
        message.setdefault("reasoning", reasoning)
    if "role" in message or body == "message":
        message["role"] = "assistant"
    choice[body] = message
    return native


def has_content(delta: dict[str, Any]) -> bool:
    """Tell whether a delta gives the client anything beyond the role."""
    return any(value for name, value in delta.items() if name != "role")
