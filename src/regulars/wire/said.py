"""What an answer says in words, out of its bytes: for those who keep it, never on a request's path."""

from typing import Any, Final

import msgspec

from regulars.wire.sse import EventCutter, EventTooLargeError

Said = tuple[str | None, str | None]
"""(completion, reasoning); None: not a word."""

_CHOICES: Final = msgspec.json.Decoder(list[dict[str, Any]])
_CHUNK: Final = msgspec.json.Decoder(dict[str, Any])
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, EventTooLargeError)


def said_whole(choices: bytes) -> Said:
    """Read the first of an answer's choices; what was cut is given as it stands."""
    try:
        listed = _CHOICES.decode(choices)
    except _UNREADABLE:
        return choices.decode(errors="replace"), None
    message = listed[0].get("message") if listed else None
    if not isinstance(message, dict):
        return None, None
    return _text(message.get("content")), _text(message.get("reasoning"))


def said_in_frames(frames: bytes) -> Said:
    """Put a stream's first choice together from its frames; a last one that is cut is left out."""
    completion: list[str] = []
    reasoning: list[str] = []
    try:
        for data in EventCutter().feed(frames):
            delta = _delta(data)
            completion.append(_text(delta.get("content")) or "")
            reasoning.append(_text(delta.get("reasoning")) or "")
    except _UNREADABLE:
        pass  # what came before is what can be told
    return "".join(completion) or None, "".join(reasoning) or None


def _delta(data: bytes) -> dict[str, Any]:
    if data == b"[DONE]":
        return {}
    choices = _CHUNK.decode(data).get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or first.get("index", 0) != 0:
        return {}
    delta = first.get("delta")
    return delta if isinstance(delta, dict) else {}


def _text(value: object) -> str | None:
    """Return a content's text; of one in parts, that of its parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(text for text in texts if isinstance(text, str)) or None
    return None
