"""Spend limits: a key that has spent its limit is refused before any upstream is asked."""

import json
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from msgspec.structs import replace as with_fields

from conformance.stores.ledgers import generation
from fakes.provider import Script, ScriptedProvider
from fakes.running_gateway import HELLO, MODEL, Answer, RunningGateway, running_gateway
from regulars.config.settings import LedgerSettings
from regulars.http.auth import CACHE_S
from regulars.model.caller import KeyTerms
from regulars.model.generation import Outcome
from regulars.model.money import Cost
from regulars.stores.sqlite import SqliteStore, open_store

USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
COST = 1_000_000  # 1000 x 0.6 + 500 x 0.8 micro-USD, in nano-USD
CHAT = "/api/v1/chat/completions"


@pytest.fixture
def provider() -> Generator[ScriptedProvider]:
    with ScriptedProvider(default=Script(usage_tokens=USAGE)) as running:
        yield running


@pytest.fixture
def gateway(provider: ScriptedProvider, tmp_path: Path) -> Generator[RunningGateway]:
    with running_gateway(tmp_path, [provider]) as running:
        yield running


def with_store(gateway: RunningGateway, work: Callable[[SqliteStore], object]) -> None:
    store = open_store(gateway.settings.store.url)
    try:
        work(store)
    finally:
        store.close()


def limited(gateway: RunningGateway, **fields: object) -> tuple[str, str]:
    """Make a key with these fields: (hash, secret)."""
    body = json.dumps({"name": "limited", **fields}).encode()
    made = gateway.request("POST", "/api/v1/keys", body, key=gateway.management_key).json
    return made["data"]["hash"], made["key"]


def ask(gateway: RunningGateway, secret: str, *, stream: bool = False) -> Answer:
    body = json.dumps({"model": MODEL, "messages": HELLO, "stream": stream}).encode()
    return gateway.request("POST", CHAT, body, key=secret)


def test_a_key_serves_until_its_limit_is_spent(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    _, secret = limited(gateway, limit=0.003)

    answers = [ask(gateway, secret, stream=number % 2 == 1) for number in range(5)]

    assert [got.status for got in answers] == [200, 200, 200, 402, 402]
    assert len(provider.requests) == 3
    rows = gateway.rows()
    assert [row.outcome for row in rows] == [Outcome.COMPLETED] * 3 + [Outcome.REFUSED] * 2
    assert [(row.status, row.error, row.cost) for row in rows[3:]] == [
        (402, "payment_required", None)
    ] * 2
    error = answers[3].json["error"]
    assert (error["code"], error["metadata"]["error_type"]) == (402, "payment_required")
    assert "0.003 USD" in error["message"]
    seen = gateway.get("/api/v1/key", key=secret).json["data"]
    assert (seen["limit_remaining"], seen["usage"], seen["usage_daily"]) == (0, 0.003, 0.003)


def test_a_limit_of_nothing_serves_nothing(
    gateway: RunningGateway, provider: ScriptedProvider
) -> None:
    _, secret = limited(gateway, limit=0)

    assert ask(gateway, secret).status == 402
    assert provider.requests == []


def test_only_the_present_window_counts(gateway: RunningGateway) -> None:
    now = datetime.now(UTC)
    week = (now - timedelta(days=now.weekday())).date()
    times = {
        "daily": now - timedelta(days=1),
        "weekly": datetime.combine(week, datetime.min.time(), UTC) - timedelta(hours=1),
        "monthly": now.replace(day=1, hour=0) - timedelta(hours=2),
    }
    secrets: dict[str | None, str] = {}
    for number, (reset, before) in enumerate({**times, None: now}.items()):
        key_hash, secrets[reset] = limited(gateway, limit=0.001, limit_reset=reset)
        row = generation(
            number, key_hash=key_hash, created_at_us=int(before.timestamp() * 1_000_000)
        )
        spent = with_fields(row, cost=Cost(COST, COST, 0, 0))
        with_store(gateway, lambda store, spent=spent: store.append([spent]))

    first = {reset: ask(gateway, secret).status for reset, secret in secrets.items()}
    second = {reset: ask(gateway, secret).status for reset, secret in secrets.items()}

    assert first == {"daily": 200, "weekly": 200, "monthly": 200, None: 402}
    assert second == {"daily": 402, "weekly": 402, "monthly": 402, None: 402}


def test_what_is_billed_elsewhere_counts_only_where_it_is_to(gateway: RunningGateway) -> None:
    statuses: list[int] = []
    for number, counts in enumerate((False, True)):
        key_hash, secret = limited(gateway, limit=0.001, include_byok_in_limit=counts)
        row = generation(number, key_hash=key_hash, cost=Cost(COST, COST, 0, 0, byok=COST))
        with_store(gateway, lambda store, row=row: store.append([row]))
        statuses.append(ask(gateway, secret).status)

    assert statuses == [200, 402]


def test_rows_of_other_processes_are_heard_of(gateway: RunningGateway) -> None:
    key_hash, secret = limited(gateway, limit=0.01)
    assert ask(gateway, secret).status == 200
    row = generation(1, key_hash=key_hash, cost=Cost(10 * COST, 10 * COST, 0, 0))

    with_store(gateway, lambda store: store.append([row]))

    assert eventually(lambda: ask(gateway, secret).status == 402)


def test_a_raised_limit_is_in_force_soon(gateway: RunningGateway) -> None:
    key_hash, secret = limited(gateway, limit=0.001)
    assert [ask(gateway, secret).status for _ in range(2)] == [200, 402]

    body = b'{"limit": 1}'
    gateway.request("PATCH", f"/api/v1/keys/{key_hash}", body, key=gateway.management_key)

    assert eventually(lambda: ask(gateway, secret).status == 200)


def test_an_expired_key_is_refused(gateway: RunningGateway) -> None:
    key_hash, secret = limited(gateway, expires_at="2999-01-01T00:00:00Z")
    over = KeyTerms(expires_at_ms=int(time.time() * 1000) - 1)

    with_store(
        gateway, lambda store: store.change_key(key_hash, lambda key: replace(key, terms=over))
    )
    refused = ask(gateway, secret)

    assert refused.status == 401
    assert "expired at" in refused.json["error"]["message"]
    listed = gateway.get("/api/v1/keys").json["data"]
    with_expired = gateway.get("/api/v1/keys?include_expired=true").json["data"]
    assert key_hash not in [key["hash"] for key in listed]
    assert key_hash in [key["hash"] for key in with_expired]


def test_a_limit_counts_without_a_ledger_too(provider: ScriptedProvider, tmp_path: Path) -> None:
    off = LedgerSettings(enabled=False)
    with running_gateway(tmp_path, [provider], ledger=off) as gateway:
        _, secret = limited(gateway, limit=0.002, limit_reset="daily")
        statuses = [ask(gateway, secret).status for _ in range(3)]

    assert statuses == [200, 200, 402]


def eventually(holds: Callable[[], bool]) -> bool:
    """Ask until it holds, for as long as changes may take."""
    pause, until_s = Event(), time.monotonic() + 3 * CACHE_S
    while time.monotonic() < until_s:
        if holds():
            return True
        pause.wait(0.2)
    return False
