"""One request, whatever its provider said: the same tokens and money in every place that shows them."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, RunningGateway, running_gateway
from regulars.model.generation import Generation
from regulars.model.money import NANO, Cost, Price
from regulars.model.tokens import Usage
from regulars.stores.sqlite import open_store

MILLION = Decimal(1_000_000)
PRICE = Price(
    prompt=Decimal("0.60") / MILLION,
    completion=Decimal("0.80") / MILLION,
    cache_read=Decimal("0.06") / MILLION,
    cache_write=Decimal("0.75") / MILLION,
    cache_write_1h=Decimal("1.20") / MILLION,
    audio=Decimal(6) / MILLION,
    audio_output=Decimal(8) / MILLION,
    request=Decimal("0.000001"),
)
BROKEN = {"error": {"message": "overloaded", "code": 500}}


@dataclass(frozen=True, slots=True)
class Said:
    """What a provider says it used, and what that is: tokens and nano-USD by hand."""

    usage: Mapping[str, Any]
    tokens: Usage
    cost: Cost


# nano-USD a token: 600 fresh, 800 out, 60 read, 750 written, 1200 for an hour; 1000 a request
SAID = {
    "openai": Said(
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 4},
        },
        Usage(100, 20, 40, reasoning_tokens=5, audio_tokens=10, audio_output_tokens=4),
        # 60 x 600 + 40 x 60 + 10 x 5400 + 1000; 20 x 800 + 4 x 7200
        Cost(138_200, 93_400, 44_800, 21_600),
    ),
    "anthropic": Said(
        {
            "input_tokens": 10,
            "output_tokens": 20,
            "cache_read_input_tokens": 50,
            "cache_creation_input_tokens": 40,
            "cache_creation": {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 10},
        },
        Usage(100, 20, 50, 40, 10),
        # 10 x 600 + 50 x 60 + 30 x 750 + 10 x 1200 + 1000; 20 x 800; 50 x 540 - 30 x 150 - 10 x 600
        Cost(60_500, 44_500, 16_000, 16_500),
    ),
    "google, thought beside": Said(
        {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 150},
        Usage(100, 50, reasoning_tokens=30),
        Cost(101_000, 61_000, 40_000, 0),
    ),
    "deepseek": Said(
        {"prompt_tokens": 100, "completion_tokens": 20, "prompt_cache_hit_tokens": 64},
        Usage(100, 20, 64),
        # 36 x 600 + 64 x 60 + 1000
        Cost(42_440, 26_440, 16_000, 34_560),
    ),
    "portkey": Said(
        {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 120,
            "cache_read_input_tokens": 90,
        },
        Usage(100, 20, 90),
        Cost(28_400, 12_400, 16_000, 48_600),
    ),
    "bedrock": Said(
        {"inputTokens": 10, "outputTokens": 20, "cacheReadInputTokens": 90},
        Usage(100, 20, 90),
        Cost(28_400, 12_400, 16_000, 48_600),
    ),
    "more cached than asked": Said(
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 5000},
        },
        Usage(100, 20, 100),
        Cost(23_000, 7_000, 16_000, 54_000),
    ),
    "odd": Said(
        {"prompt_tokens": "100", "completion_tokens": 20.9, "cached_tokens": -4},
        Usage(100, 20, 0),
        Cost(77_000, 61_000, 16_000, 0),
    ),
    "openrouter": Said(
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "cost": 0.00001,
            "is_byok": True,
            "cost_details": {"upstream_inference_cost": 0.00005},
        },
        Usage(100, 20),
        # 60,000 split as 61,000 to 16,000 by our list
        Cost(60_000, 47_532, 12_468, 0, 50_000),
    ),
}


def every_place(answer: dict[str, Any]) -> tuple[int, ...]:
    """Tokens and nano-USD of an answer's usage, in the order of `figures_of`."""
    usage = answer["usage"]
    details = usage["cost_details"]
    return (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage["prompt_tokens_details"].get("cache_write_tokens", 0),
        nano(usage["cost"]),
        nano(details["upstream_inference_prompt_cost"]),
        nano(details["upstream_inference_completions_cost"]),
        nano(details["upstream_inference_cost"] or 0),
    )


def of_view(view: dict[str, Any]) -> tuple[int, ...]:
    details = view["cost_details"]
    return (
        view["native_tokens_prompt"],
        view["native_tokens_completion"],
        view["native_tokens_reasoning"] or 0,
        view["native_tokens_cached"] or 0,
        view["native_tokens_cache_write"] or 0,
        nano(view["total_cost"]),
        nano(details["upstream_inference_prompt_cost"]),
        nano(details["upstream_inference_completions_cost"]),
        nano(view["upstream_inference_cost"] or 0),
    )


def of_row(row: Generation) -> tuple[int, ...]:
    assert row.usage is not None
    assert row.cost is not None
    usage, cost = row.usage, row.cost
    return (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.reasoning_tokens or 0,
        usage.cached_tokens or 0,
        usage.cache_write_tokens or 0,
        cost.total,
        cost.prompt,
        cost.completion,
        cost.byok or 0,
    )


EXPORTED = (
    "tokens_prompt",
    "tokens_completion",
    "tokens_reasoning",
    "tokens_cached",
    "tokens_cache_write",
    "cost_total",
    "cost_prompt",
    "cost_completion",
    "byok_usage_inference",
)


IN_CSV = (0, 1, 2, 3, 5, 8)
"""Of these; a CSV has no more than OpenRouter's columns."""


def of_export(line: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(
        nano(line[name] or 0) if name.startswith(("cost", "byok")) else int(line[name] or 0)
        for name in EXPORTED
        if name in line
    )


def as_exported(figures: dict[str, tuple[int, ...]]) -> list[dict[str, tuple[int, ...]]]:
    """What `exports` gives where all agree."""
    in_csv = {id_: tuple(each[n] for n in IN_CSV) for id_, each in figures.items()}
    return [in_csv, figures, figures]


def nano(usd: Decimal | str | int) -> int:
    return int(Decimal(usd) * NANO)


def exact(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


def exports(gateway: RunningGateway, folder: Path) -> list[dict[str, tuple[int, ...]]]:
    """Figures by id, of each format that holds every request."""
    path = "/api/v1/activity/export?format="
    text = gateway.get(f"{path}csv").body.decode()
    as_csv = list(csv.DictReader(io.StringIO(text, newline="")))
    lines = [exact(line) for line in gateway.get(f"{path}jsonl").body.splitlines()]
    (folder / "all.parquet").write_bytes(gateway.get(f"{path}parquet").body)
    with duckdb.connect() as connection:
        names = ("generation_id", *EXPORTED)
        query = f"SELECT {', '.join(names)} FROM read_parquet(?)"
        found = connection.execute(query, [f"{folder}/all.parquet"]).fetchall()
    as_parquet = [dict(zip(names, row, strict=True)) for row in found]
    return [
        {line["generation_id"]: of_export(line) for line in every if "generation_id" in line}
        for every in (as_csv, lines, as_parquet)
    ]


def reported(gateway: RunningGateway) -> tuple[int, int, int]:
    """Tokens and cost of the activity report, which asks rollups."""
    days = exact(gateway.get(f"/api/v1/activity?date={datetime.now(UTC):%Y-%m-%d}").body)["data"]
    return (
        sum(day["prompt_tokens"] for day in days),
        sum(day["completion_tokens"] for day in days),
        sum(nano(day["usage"]) for day in days),
    )


def test_every_place_shows_what_the_provider_said(tmp_path: Path) -> None:
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], price=PRICE) as gateway,
    ):
        expected: dict[str, tuple[int, ...]] = {}
        for name, said in SAID.items():
            for stream in (False, True):
                for place in ("finish", "last", "twice", "every") if stream else ("last",):
                    script = Script(usage_tokens=said.usage, usage=place)
                    if place == "every":  # counts up: its own figures
                        script = Script(events=counting_up(said.usage))
                    provider.enqueue(script)
                    answer = gateway.chat(user=name, stream=stream)
                    told = exact(answer.data[-2] if stream else answer.body)
                    expected[told["id"]] = every_place(told)
                    row = gateway.wait_for_rows(len(expected))[-1]
                    assert (row.id, row.usage, row.cost) == (told["id"], said.tokens, said.cost)
        rows = gateway.rows()
        views = [exact(gateway.get(f"/api/v1/generation?id={name}").body) for name in expected]

        assert {row.id: of_row(row) for row in rows} == expected
        assert [of_view(view["data"]) for view in views] == list(expected.values())
        assert exports(gateway, tmp_path) == as_exported(expected)
        assert reported(gateway) == tuple(
            sum(figures[place] for figures in expected.values()) for place in (0, 1, 5)
        )
        assert differences(gateway) == []


def counting_up(usage: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Events that each say what was used up to them, as vLLM and Perplexity do; the last is right."""
    chunk = {"id": "up-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny"}
    small = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "cost": 0.9}
    counts = [small, small, usage]
    ends = [None, None, "stop"]
    return [
        {
            **chunk,
            "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": end}],
            "usage": count,
        }
        for count, end in zip(counts, ends, strict=True)
    ]


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_passed_over_provider_billed_is_in_every_export(
    tmp_path: Path, *, stream: bool
) -> None:
    used = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
    bill = json.dumps({"id": "up-1", "usage": used | {"cost": 0.00005}, **BROKEN}).encode()
    with (
        ScriptedProvider(default=Script(status=500, body=bill)) as failing,
        ScriptedProvider(default=Script(usage_tokens=used)) as healthy,
        running_gateway(tmp_path, [failing, healthy], price=PRICE) as gateway,
    ):
        answer = gateway.chat(user="u", stream=stream, provider={"order": ["p0", "p1"]})
        told = exact(answer.data[-2] if stream else answer.body)
        (row,) = gateway.wait_for_rows(1)
        found = exports(gateway, tmp_path)
        sums = reported(gateway)

    # 50 x 600 + 10 x 800 + 1000 of the last, and 50,000
    assert row.cost is not None
    assert row.cost.total == 39_000 + 50_000
    assert every_place(told) == of_row(row)
    assert found == as_exported({row.id: of_row(row)})
    assert sums == (50, 10, 89_000)


def test_a_bill_without_a_price_is_unknown_everywhere_and_listed(tmp_path: Path) -> None:
    used = {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60}
    bill = json.dumps({"id": "up-1", "usage": used, **BROKEN}).encode()
    with (
        ScriptedProvider(default=Script(status=500, body=bill)) as first,
        ScriptedProvider(default=Script(status=500, body=b"down")) as second,
        running_gateway(tmp_path, [first, second], price=None) as gateway,
    ):
        body = {"model": MODEL, "messages": HELLO, "provider": {"order": ["p0", "p1"]}}
        gateway.request(
            "POST", "/api/v1/chat/completions", json.dumps(body).encode(), key=gateway.key
        )
        (row,) = gateway.wait_for_rows(1)
        text = gateway.get("/api/v1/activity/export?format=csv").body.decode()
        (in_csv,) = csv.DictReader(io.StringIO(text, newline=""))
        (line,) = gateway.get("/api/v1/activity/export?format=jsonl").body.splitlines()
        store = open_store(gateway.settings.store.url)
        unpriced = store.unpriced()
        store.close()

    assert row.attempts[0].billed is not None
    assert (row.cost, row.cost_source, row.price_status) == (None, None, "unknown")
    assert in_csv["cost_total"] == ""
    assert (exact(line)["cost_total"], exact(line)["price_status"]) == (None, "unknown")
    assert [one.requests for one in unpriced] == [1]


def differences(gateway: RunningGateway) -> list[Any]:
    store = open_store(gateway.settings.store.url)
    try:
        return list(store.verify())
    finally:
        store.close()
