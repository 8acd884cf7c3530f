"""A small blocking client of the gateway's chat API, for the demo's users."""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

ANSWER_TIMEOUT_S: Final = 60.0
ANSWER_BYTES_MAX: Final = 10_000_000
_LINE_BYTES_MAX: Final = 1_000_000


class ChatError(Exception):
    """The gateway cannot be reached or refused; the message is fit for people."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which gateway, with which key. `url` is its root, without a path."""

    url: str
    key: str
    model: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, as far as the demo looks at it; `cost_usd` None: no price known."""

    text: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: float | None


def ask(target: Target, body: Mapping[str, Any]) -> Answer:
    """Send one chat request and read all of its answer, streamed or whole.

    Raises:
        ChatError: with the gateway's own words where there are any.
    """
    parts = urlsplit(target.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=ANSWER_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"}
    try:
        payload = json.dumps({"model": target.model, **body})
        connection.request("POST", "/api/v1/chat/completions", payload, headers)
        answer = connection.getresponse()
        if answer.status != 200:
            raise ChatError(_refusal(answer))
        return _streamed(answer) if body.get("stream") else _whole(answer)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ChatError(
            f"no answer from {target.url}: {reason}; is the gateway running? (regulars serve)"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ChatError(f"{target.url} sent something that is no chat answer") from error
    finally:
        connection.close()


def _refusal(answer: http.client.HTTPResponse) -> str:
    raw = answer.read(_LINE_BYTES_MAX)
    try:
        message = json.loads(raw)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = raw[:200].decode(errors="replace")
    return f"the gateway answered {answer.status}: {message}"


def _whole(answer: http.client.HTTPResponse) -> Answer:
    document = json.loads(answer.read(ANSWER_BYTES_MAX))
    return _answer(document["choices"][0]["message"].get("content") or "", document.get("usage"))


def _streamed(answer: http.client.HTTPResponse) -> Answer:
    text: list[str] = []
    usage: Any = None
    for chunk in _chunks(answer):
        if "error" in chunk:
            raise ChatError(f"the stream broke: {chunk['error'].get('message')}")
        text += [c.get("delta", {}).get("content") or "" for c in chunk.get("choices", ())]
        usage = chunk.get("usage") or usage
    return _answer("".join(text), usage)


def _chunks(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    while line := answer.readline(_LINE_BYTES_MAX):
        if not line.startswith(b"data:"):
            continue  # blank lines and comments
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        yield json.loads(data)
    raise ChatError("the stream ended without [DONE]")


def _answer(text: str, usage: Any) -> Answer:
    counts: dict[str, Any] = usage or {}
    details: dict[str, Any] = counts.get("prompt_tokens_details") or {}
    return Answer(
        text=text,
        prompt_tokens=counts.get("prompt_tokens", 0),
        cached_tokens=details.get("cached_tokens") or 0,
        completion_tokens=counts.get("completion_tokens", 0),
        cost_usd=counts.get("cost"),
    )
