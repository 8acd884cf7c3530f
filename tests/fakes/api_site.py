"""What the tests of the JSON API share: a gateway over the sample's rows, and ways to read it."""

import json
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from time import time
from typing import Any

from msgspec.structs import replace

from fakes.provider import ScriptedProvider
from fakes.running_gateway import RunningGateway, running_gateway
from fakes.sample_ledger import sample_keys, sample_rows
from regulars.model.generation import Generation
from regulars.stores.sqlite import open_store

NOW_S = time()
BYOK_EVERY = 7
"""Of so many rows of the sample one has a half billed to a key of our own."""


def _some_billed_elsewhere(rows: list[Generation]) -> list[Generation]:
    return [
        replace(row, cost=replace(row.cost, byok=row.cost.total // 2))
        if row.cost is not None and number % BYOK_EVERY == 0
        else row
        for number, row in enumerate(rows)
    ]


SAMPLE = _some_billed_elsewhere(sample_rows(NOW_S, days=40, count=600))
ALWAYS = "from=1970-01-01&to=9998-12-31"

SUMMED = {
    "usage": "total_cost",
    "byok_usage_inference": "upstream_inference_cost",
    "prompt_tokens": "native_tokens_prompt",
    "completion_tokens": "native_tokens_completion",
    "reasoning_tokens": "native_tokens_reasoning",
    "cached_tokens": "native_tokens_cached",
    "cache_write_tokens": "native_tokens_cache_write",
}
"""An activity item's sums, and the generation's field that each adds up."""


@contextmanager
def api_site(folder: Path) -> Generator[RunningGateway]:
    """Run a gateway with the sample's rows and some of its own; tests only read from it."""
    with (
        ScriptedProvider() as one,
        ScriptedProvider() as two,
        running_gateway(folder, [one, two]) as gateway,
    ):
        add_rows(gateway, SAMPLE)
        for number in range(8):
            gateway.chat(user=f"live_{number % 4}", stream=number % 2 == 0)
        gateway.chat()
        yield gateway


@contextmanager
def fresh_gateway(folder: Path) -> Generator[RunningGateway]:
    with ScriptedProvider() as provider, running_gateway(folder, [provider]) as gateway:
        yield gateway


def add_rows(gateway: RunningGateway, rows: list[Generation]) -> None:
    """Put rows in behind the gateway's back, with the sample's keys."""
    store = open_store(gateway.settings.store.url)
    try:
        known = {key.hash for key in store.list_keys()}
        for key in sample_keys():
            if key.hash not in known:
                store.create_key(key)
        store.append(rows)
    finally:
        store.close()


def exact(gateway: RunningGateway, path: str) -> list[dict[str, Any]]:
    """The items of an answer, with money as Decimal from the answer's own digits."""
    got = gateway.get(f"/api/v1{path}")
    assert got.status == 200, got.body
    return json.loads(got.body, parse_float=Decimal)["data"]


def walk(gateway: RunningGateway, query: str = ALWAYS, *, limit: int = 100) -> list[dict[str, Any]]:
    """All generations of a query, page after page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(len(SAMPLE)):
        got = gateway.get(f"/api/v1/generations?{query}&limit={limit}{cursor}")
        page = json.loads(got.body, parse_float=Decimal)
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
    raise AssertionError("the walk does not end")


def added_up(generations: list[dict[str, Any]], *, by_user: bool) -> dict[tuple[Any, ...], Any]:
    """What the activity report must say of these generations."""
    groups: dict[tuple[Any, ...], Counter[str]] = {}
    for each in generations:
        key = (each["created_at"][:10], each["model"], each["provider_name"])
        group = groups.setdefault((*key, each["external_user"]) if by_user else key, Counter())
        group["requests"] += 1
        group["failed_requests"] += each["outcome"] != "completed"
        group["unpriced_requests"] += each["price_status"] == "unknown"
        for name, field in SUMMED.items():
            group[name] += each[field] or 0
    return {key: dict(group) for key, group in groups.items()}


def reported(items: list[dict[str, Any]], *, by_user: bool) -> dict[tuple[Any, ...], Any]:
    names = ["requests", "failed_requests", "unpriced_requests", *SUMMED]
    keys = ["date", "model", "provider_name", *(["user"] if by_user else [])]
    return {tuple(item[k] for k in keys): {n: item[n] for n in names} for item in items}
