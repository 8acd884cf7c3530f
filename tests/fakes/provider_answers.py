"""OpenAI's chat answers for a scripted provider, and the prefix cache behind their usage."""

import json
from collections.abc import Iterator, Mapping
from time import monotonic
from typing import Any

from fakes.provider_script import Script

CHARACTERS_PER_TOKEN = 4


def count_tokens(text: str) -> int:
    """Count tokens as this provider does."""
    return max(1, len(text) // CHARACTERS_PER_TOKEN)


class PrefixCache:
    """Which beginnings of conversations are warm; each use keeps one for `ttl_s` longer."""

    def __init__(self, ttl_s: float) -> None:
        self.ttl_s = ttl_s
        self._warm_until: dict[tuple[str, ...], float] = {}

    def cached_tokens(self, model: str, texts: list[str]) -> int:
        """Count the tokens of the longest warm beginning."""
        now = monotonic()
        for length in range(len(texts), 0, -1):
            if self._warm_until.get((model, *texts[:length]), 0.0) > now:
                return sum(map(count_tokens, texts[:length]))
        return 0

    def warm(self, model: str, texts: list[str]) -> None:
        """Keep all beginnings of a conversation."""
        until = monotonic() + self.ttl_s
        for length in range(1, len(texts) + 1):
            self._warm_until[(model, *texts[:length])] = until


class ChatAnswer:
    """The answer to one chat request, whole or as a stream."""

    def __init__(
        self, script: Script, request: Mapping[str, Any], cache: PrefixCache, number: int
    ) -> None:
        self._script = script
        self._request = request
        self._common = {
            "id": f"chatcmpl-{number:08d}",
            "created": 1_700_000_000 + number,
            "model": request.get("model", "unnamed"),
            **script.extra,
        }
        self._usage = self._count_usage(cache)

    @property
    def streamed(self) -> bool:
        """Whether the request asked for a stream."""
        return self._script.events is not None or bool(self._request.get("stream"))

    def whole(self) -> bytes:
        """Render a `chat.completion`."""
        message = {"role": "assistant", "content": self._script.text, "refusal": None}
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self._script.finish_reason,
        }
        answer: dict[str, Any] = {**self._common, "object": "chat.completion", "choices": [choice]}
        if self._script.usage != "missing":
            answer["usage"] = self._usage
        return json.dumps(answer).encode()

    def stream(self) -> Iterator[bytes]:
        """Render the stream, one event after another."""
        script = self._script
        events = self._chunks() if script.events is None else iter(script.events)
        for event in events:
            yield self._event(event if isinstance(event, str) else json.dumps(event))
        if script.done and script.events is None and script.error is None:
            yield self._event("[DONE]")

    def _event(self, payload: str) -> bytes:
        newline = self._script.newline
        comment = f": {self._script.comment}{newline}{newline}" if self._script.comment else ""
        return f"{comment}data: {payload}{newline}{newline}".encode()

    def _chunks(self) -> Iterator[Mapping[str, Any]]:
        script = self._script
        every = script.usage == "every"
        yield self._chunk(
            {"role": "assistant", "content": ""}, usage=self._part(0) if every else {}
        )
        for number, content in enumerate(_split(script.text, script.chunks), start=1):
            if script.error is not None and number > script.error_after:
                break
            yield self._chunk({"content": content}, usage=self._part(number) if every else {})
        if script.error is not None:
            yield {**self._chunk({"content": ""}, finish="error"), "error": script.error}
            return
        at_finish = script.usage in {"finish", "twice", "every"}
        yield self._chunk(
            {}, finish=script.finish_reason, usage={"usage": self._usage} if at_finish else {}
        )
        options = self._request.get("stream_options") or {}
        asked = script.usage == "asked" and options.get("include_usage")
        if asked or script.usage in {"last", "twice"}:
            yield {**self._chunk({}), "choices": [], "usage": self._usage}

    def _chunk(
        self,
        delta: Mapping[str, Any],
        finish: str | None = None,
        usage: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        kind = {"object": "chat.completion.chunk"}
        return {**self._common, **kind, "choices": [choice], **(usage or {})}

    def _part(self, number: int) -> Mapping[str, Any]:
        total = self._usage["completion_tokens"]
        return {"usage": {**self._usage, "completion_tokens": min(number, total)}}

    def _count_usage(self, cache: PrefixCache) -> Mapping[str, Any]:
        if self._script.usage_tokens is not None:
            return self._script.usage_tokens
        model = str(self._common["model"])
        texts = [json.dumps(message) for message in self._request.get("messages", [])]
        prompt = sum(map(count_tokens, texts))
        # Real servers compute at least the last token anew.
        cached = min(cache.cached_tokens(model, texts), max(prompt - 1, 0))
        answer = json.dumps({"role": "assistant", "content": self._script.text})
        cache.warm(model, [*texts, answer])
        completion = count_tokens(self._script.text)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }


def _split(text: str, parts: int) -> list[str]:
    """Cut a text into so many parts of about the same length."""
    return [
        text[len(text) * part // parts : len(text) * (part + 1) // parts] for part in range(parts)
    ]
