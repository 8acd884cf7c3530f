"""`regulars routing report`: what stickiness is worth, from the ledger's own rows."""

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from regulars.cli.keys import opened_store
from regulars.cli.options import ConfigOption, JsonOption
from regulars.cli.since import seconds

if TYPE_CHECKING:
    from regulars.reports.worth import Arm, Estimate, Tally, Worth
    from regulars.stores.base import Reports

ROWS_MAX: Final = 500_000
"""The newest of the time asked for; older ones are left out, and that is told."""
PAGE_ROWS: Final = 5000
SEED: Final = 20_260_101
"""Always the same, so that the same ledger gives the same interval."""

routing = typer.Typer(help="How users are placed, and what it is worth.", no_args_is_help=True)


@routing.callback()
def _group() -> None:
    """Keep `report` a command of its own: typer would fold a lone one into the group."""


@routing.command()
def report(
    *,
    since: Annotated[str, typer.Option(help="How far back, like 7d, 12h or 30m.")] = "7d",
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare sticky users with the holdout: cached share and cost of their prompts."""
    from random import Random

    from regulars.reports.worth import Use, worth

    from_us = time.time_ns() // 1000 - seconds(since) * 1_000_000
    with opened_store(config) as store:
        tally, whole = _tally(store, from_us)
    random = Random(SEED)  # noqa: S311 - draws samples, no secrets

    def draw(users: "list[Use]", count: int) -> "list[Use]":
        return random.choices(users, k=count)

    found = worth(tally, draw)  # pyright: ignore[reportArgumentType] - a list is drawn from lists
    if as_json:
        typer.echo(json.dumps({"since": since, "complete": whole, **asdict(found)}))
        return
    _print(found, since)
    if not whole:
        typer.echo(f"\nOnly the newest {ROWS_MAX} requests were read.", err=True)


def _tally(reports: "Reports", from_us: int) -> "tuple[Tally, bool]":
    from regulars.app import ACCOUNT
    from regulars.reports.worth import tally
    from regulars.stores.base import Filter

    where = Filter(account=ACCOUNT, from_us=from_us)
    return tally(
        lambda before: reports.generations(where, limit=PAGE_ROWS, before=before),
        pages_max=ROWS_MAX // PAGE_ROWS,
    )


def _print(found: "Worth", since: str) -> None:
    from regulars.cli.tables import print_table

    arms = (("sticky", found.sticky), ("holdout", found.holdout))
    print_table(
        ("", "users", "requests", "prompt tokens", "cached share", "USD per 1k prompt tokens"),
        [_line(name, arm) for name, arm in arms],
    )
    if not found.holdout.users:
        typer.echo(
            f"\nNobody was held out in the last {since}, so there is nothing to compare with. "
            "Set [routing] holdout_share = 0.05 and come back after some days."
        )
        return
    typer.echo("")
    _print_estimate("cached share, sticky less holdout", found.cached_share_gain, ".3f")
    _print_estimate("USD saved per 1k prompt tokens", found.usd_saved_per_1k_prompt_tokens, ".6f")


def _line(name: str, arm: "Arm") -> tuple[str, ...]:
    share, usd = arm.cached_share, arm.usd_per_1k_prompt_tokens
    return (
        name,
        f"{arm.users:,}",
        f"{arm.requests:,}",
        f"{arm.prompt_tokens:,}",
        "unknown" if share is None else f"{share:.3f}",
        "unknown" if usd is None else f"{usd:.6f}",
    )


def _print_estimate(what: str, estimate: "Estimate | None", form: str) -> None:
    if estimate is None:
        typer.echo(f"{what}: too few users to say")
        return
    low, high = format(estimate.low, form), format(estimate.high, form)
    typer.echo(f"{what}: {format(estimate.value, form)} (95 % confidence: {low} to {high})")
