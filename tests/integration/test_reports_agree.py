"""One question, asked on every way there is: command, API, file and page say what the rows say."""

import csv
import io
import json
import tempfile
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec.structs import replace
from typer.testing import CliRunner

from conformance.stores.ledgers import NOON_US, ledgers
from conformance.stores.slow_reports import answer
from fakes.provider import ScriptedProvider
from fakes.running_gateway import RunningGateway, running_gateway
from regulars.cli.main import app
from regulars.exports.csv_file import harmless
from regulars.model.generation import Generation
from regulars.reports.schema import ReportQuery, Window
from regulars.stores.sqlite import open_store

# The clocks of each zone change near its moment, by an hour, by half of one, at midnight, never.
CHANGES = {
    "Europe/Berlin": "2025-10-26T01:00+00:00",
    "Australia/Lord_Howe": "2025-04-05T15:00+00:00",
    "Africa/Cairo": "2025-04-24T22:00+00:00",
    "Asia/Kathmandu": "2025-01-01T00:00+00:00",
}
METRICS = ("requests", "cost", "cost_prompt", "byok_cost", "cached_tokens")
ACTIVITY = {
    "requests": "requests",
    "cost": "usage",
    "byok_cost": "byok_usage_inference",
    "cached_tokens": "cached_tokens",
}
"""Which of these an item of /activity has, and what they are called there."""
Figures = dict[tuple[str, str], tuple[Decimal, ...]]


@pytest.mark.parametrize("zone", CHANGES)
@settings(max_examples=4, deadline=None)
@given(ledger=ledgers())
def test_every_way_to_ask_gives_the_figures_of_the_rows(
    zone: str, ledger: list[Generation]
) -> None:
    centre = datetime.fromisoformat(CHANGES[zone])
    centre_us = int(centre.timestamp()) * 1_000_000
    rows = [replace(r, created_at_us=r.created_at_us - NOON_US + centre_us) for r in ledger]
    first, last = centre - timedelta(days=5), centre + timedelta(days=5)
    span = ("--from", first.isoformat(), "--to", last.isoformat())
    days = ("--by", "user", "--step", "day", "--time-zone", zone, "--metrics", ",".join(METRICS))
    truth = by_day_and_user(rows, zone, Window(us(first), us(last)))

    with tempfile.TemporaryDirectory() as name, ScriptedProvider() as provider:
        folder = Path(name)
        fill(folder, rows)
        with running_gateway(folder, [provider]) as gateway:
            key = {"REGULARS_MANAGEMENT_KEY": gateway.management_key}
            on_store = shown(*span, *days, "--config", str(folder / "regulars.toml"))
            by_url = shown(*span, *days, "--url", gateway.url, env=key)
            file = exported(gateway, first, last, zone)
            activity = added_up(gateway, first, last, zone)
            analytics = queried(gateway, first, last, zone)
            page = gateway.get(f"/activity?from={first.date()}&to={last.date()}").body.decode()

    assert on_store == truth
    assert by_url == truth
    assert activity == {
        group: tuple(
            value for name, value in zip(METRICS, figures, strict=True) if name in ACTIVITY
        )
        for group, figures in truth.items()
    }
    assert analytics == truth
    assert file == {(day, harmless(user)): figures for (day, user), figures in truth.items()}
    cost = sum((figures[1] for figures in truth.values()), Decimal(0))
    assert f'title="${cost.normalize():f}"' in page or not cost


def fill(folder: Path, rows: list[Generation]) -> None:
    store = open_store(f"sqlite:///{folder}/regulars.db")
    store.append(rows[::2])
    store.fold()
    store.append(rows[1::2])
    store.close()
    (folder / "regulars.toml").write_text('[store]\nurl = "sqlite:///regulars.db"\n')


def by_day_and_user(rows: list[Generation], zone: str, window: Window) -> Figures:
    query = ReportQuery(
        account="default", metrics=METRICS, dimensions=("user",), window=window, step="day", zone=zone
    )  # fmt: skip
    return {
        (str(day), str(user or "")): tuple(
            Decimal(str(value)) / (10**9 if "cost" in name else 1)
            for name, value in zip(METRICS, found, strict=True)
        )
        for (day, user), found in answer(rows, query).items()
    }


def shown(*arguments: str, env: dict[str, str] | None = None) -> Figures:
    result = CliRunner(env=env).invoke(app, ["activity", *arguments, "--limit", "1000", "--json"])
    assert result.exit_code == 0, result.output
    return as_figures(json.loads(result.output, parse_float=Decimal)["data"])


def exported(gateway: RunningGateway, first: datetime, last: datetime, zone: str) -> Figures:
    got = gateway.get(
        f"/api/v1/activity/export?from={first:%Y-%m-%dT%H:%MZ}&to={last:%Y-%m-%dT%H:%MZ}"
        f"&group_by=user&granularity=day&time_zone={zone}&metrics={','.join(METRICS)}"
    )
    assert got.status == 200, got.body
    return as_figures(list(csv.DictReader(io.StringIO(got.body.decode(), newline=""))))


def added_up(gateway: RunningGateway, first: datetime, last: datetime, zone: str) -> Figures:
    """The items of /activity, which are by model and endpoint too."""
    got = gateway.get(
        f"/api/v1/activity?from={first:%Y-%m-%dT%H:%MZ}&to={last:%Y-%m-%dT%H:%MZ}"
        f"&group_by=user&time_zone={zone}"
    )
    assert got.status == 200, got.body
    found: Figures = {}
    for item in json.loads(got.body, parse_float=Decimal)["data"]:
        key = (item["date"], item["user"] or "")
        figures = [Decimal(item[field]) for field in ACTIVITY.values()]
        so_far = found.get(key, (Decimal(0),) * len(ACTIVITY))
        found[key] = tuple(a + b for a, b in zip(so_far, figures, strict=True))
    return found


def queried(gateway: RunningGateway, first: datetime, last: datetime, zone: str) -> Figures:
    body = {
        "metrics": METRICS,
        "dimensions": ["external_user"],
        "granularity": "day",
        "time_range": {"start": first.isoformat(), "end": last.isoformat()},
        "time_zone": zone,
        "limit": 1000,
    }
    got = gateway.request(
        "POST",
        "/api/v1/analytics/query",
        json.dumps(body).encode(),
        key=gateway.management_key,
    )
    assert got.status == 200, got.body
    return {
        (row["date__day"], row["external_user"] or ""): tuple(
            Decimal(row[name]) for name in METRICS
        )
        for row in json.loads(got.body, parse_float=Decimal)["data"]["data"]
    }


def as_figures(rows: list[dict[str, Any]]) -> Figures:
    return {
        (str(row["time"])[:10], row["user"] or ""): tuple(Decimal(str(row[name])) for name in METRICS)
        for row in rows
    }  # fmt: skip


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000
