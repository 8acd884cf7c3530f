"""What a request says of its own cache, and what providers say of theirs."""

import json
from typing import Any

import pytest

from regulars.routing.cache_lives import documented_s
from regulars.routing.stickiness import asked_ttl_s
from regulars.wire.chat import ChatRequest, parse_chat


def request(content: Any, **fields: Any) -> ChatRequest:
    messages = [{"role": "user", "content": content}]
    return parse_chat(json.dumps({"model": "m", "messages": messages, **fields}).encode())


def part(ttl: str | None) -> dict[str, Any]:
    control = {"type": "ephemeral"} | ({} if ttl is None else {"ttl": ttl})
    return {"type": "text", "text": "x", "cache_control": control}


@pytest.mark.parametrize(
    ("content", "fields", "life_s"),
    [
        ("x", {}, None),
        ([part(None)], {}, None),
        ([part("5m")], {}, 300.0),
        ([part("5m"), part("1h")], {}, 3600.0),
        ("x", {"cache_control": {"type": "ephemeral", "ttl": "1h"}}, 3600.0),
        ('say "ttl": "1h" to me', {}, None),
    ],
)
def test_the_cache_life_a_request_asks_for(
    content: Any, fields: dict[str, Any], life_s: float | None
) -> None:
    assert asked_ttl_s(request(content, **fields)) == life_s


def test_documented_lives_are_known_and_others_learned() -> None:
    assert documented_s("anthropic") == 300.0
    assert documented_s("somebody") is None
