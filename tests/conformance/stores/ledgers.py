"""Ledgers for the store suite: single rows, random ones, and the slow truth about them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from regulars.model.generation import Attempt, Billed, CostSource, Generation, Outcome, UsageSource
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.stores.base import Filter, Sums

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOON_US = 1_760_000_000_000_000 // DAY_US * DAY_US + 12 * HOUR_US


def generation(number: int = 0, **fields: Any) -> Generation:
    """Make a plain completed row; later numbers are a second later."""
    plain: dict[str, Any] = {
        "id": f"gen-{number:08d}",
        "created_at_us": NOON_US + number * 1_000_000,
        "account": "default",
        "key_hash": "key-1",
        "outcome": Outcome.COMPLETED,
        "status": 200,
        "model": "meta/llama",
        "streamed": True,
        "end_user": "ann",
        "provider": "alpha",
        "endpoint": "alpha/llama",
        "usage": Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=40),
        "usage_source": UsageSource.REPORTED,
        "cost": Cost(total=1500, prompt=1000, completion=500, cache_saving=60),
        "cost_source": CostSource.COMPUTED,
        "duration_ms": 12.5,
    }
    return Generation(**(plain | fields))


FULL = generation(
    7,
    session="talk-1",
    upstream_model="llama-x",
    upstream_id="chatcmpl-9",
    finish_reason="stop",
    native_finish_reason="end_turn",
    usage=Usage(100, 50, 40, 20, 10, 30, 5, 2),
    usage_source=UsageSource.ESTIMATED,
    cost=Cost(total=1500, prompt=1000, completion=500, cache_saving=60, byok=1400),
    cost_source=CostSource.REPORTED,
    price="prompt 0.6 completion 0.8",
    service_tier="flex",
    ttft_ms=3.25,
    error="timeout",
    app="Shop",
    referer="https://shop.example/",
    user_agent="curl/8 ü \u0000 é",
    attempts=(
        Attempt(
            "beta/llama",
            "beta",
            "warm",
            503,
            "provider_unavailable",
            0.5,
            2.0,
            Billed("x-8", Usage(9, 1), Cost(90, 80, 10, 0), CostSource.REPORTED, "prompt 1"),
        ),
        Attempt("alpha/llama", "alpha", "next", None, None, 2.5, 9.75),
    ),
)

_tokens = st.integers(0, 10**6)
_maybe_tokens = st.none() | _tokens
_usages = st.builds(
    Usage,
    prompt_tokens=_tokens,
    completion_tokens=_tokens,
    cached_tokens=_maybe_tokens,
    cache_write_tokens=_maybe_tokens,
    reasoning_tokens=_maybe_tokens,
)


@st.composite
def _costs(draw: st.DrawFn) -> Cost:
    prompt, completion = draw(_tokens), draw(_tokens)
    total = prompt + completion
    byok = draw(st.none() | st.none() | st.integers(0, total))
    return Cost(total, prompt, completion, draw(st.integers(-(10**6), 10**6)), byok)


# Times cluster at the boundaries of hours and days, where mistakes live.
def _time_us(hours: int, micros: int) -> int:
    return NOON_US + hours * HOUR_US + micros


times_us = st.builds(
    _time_us,
    st.integers(-60, 60),
    st.sampled_from([-1, 0, 1, 59_999_999, 60_000_000, 1_800_000_000]),
)


@st.composite
def ledgers(draw: st.DrawFn) -> list[Generation]:
    """Draw up to 40 rows of few users, models, endpoints and keys over five days."""
    provider = st.sampled_from([(None, None), ("alpha", "alpha/a"), ("beta", "beta/b")])
    rows: list[Generation] = []
    for number in range(draw(st.integers(0, 40))):
        served = draw(provider)
        rows.append(
            generation(
                number,
                created_at_us=draw(times_us),
                account=draw(st.sampled_from(["default", "default", "other"])),
                key_hash=draw(st.sampled_from(["key-1", "key-2"])),
                outcome=draw(st.sampled_from(Outcome)),
                model=draw(st.sampled_from(["m1", "m2"])),
                end_user=draw(st.sampled_from([None, "ann", "bob", "cy"])),
                provider=served[0],
                endpoint=served[1],
                usage=draw(st.none() | _usages),
                cost=draw(st.none() | _costs()),
            )
        )
    return rows


filters = st.builds(
    Filter,
    account=st.sampled_from(["default", "default", "other", "nobody"]),
    user=st.sampled_from([None, None, "ann", "stranger"]),
    model=st.sampled_from([None, None, "m1"]),
    provider=st.sampled_from([None, None, "beta"]),
    key_hash=st.sampled_from([None, None, "key-2"]),
    from_us=st.none() | times_us,
    to_us=st.none() | times_us,
)


def selected(rows: Iterable[Generation], where: Filter) -> list[Generation]:
    """Return what a filter asks for, the slow way."""
    return [
        row
        for row in rows
        if row.account == where.account
        and where.user in (None, row.end_user)
        and where.model in (None, row.model)
        and where.provider in (None, row.provider)
        and where.key_hash in (None, row.key_hash)
        and (where.from_us is None or row.created_at_us >= where.from_us)
        and (where.to_us is None or row.created_at_us < where.to_us)
    ]


def sums(rows: Iterable[Generation]) -> Sums:
    """Add rows up, the slow way."""
    total = [0] * 10
    for row in rows:
        usage = row.usage or Usage(0, 0)
        cost = row.cost or Cost(0, 0, 0, 0)
        figures = (
            1,
            int(row.outcome is not Outcome.COMPLETED),
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.reasoning_tokens or 0,
            usage.cached_tokens or 0,
            usage.cache_write_tokens or 0,
            cost.total,
            cost.cache_saving,
            int(row.price_status == "unknown"),
        )
        total = [a + b for a, b in zip(total, figures, strict=True)]
    return Sums(*total)


def day(row: Generation) -> str:
    """Return the UTC day of a row."""
    return datetime.fromtimestamp(row.created_at_us // DAY_US * 86_400, UTC).strftime("%Y-%m-%d")
