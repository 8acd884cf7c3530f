"""`regulars identifiers`: how healthy the ids are that requests name their users by."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer

from regulars.cli.keys import opened_store
from regulars.cli.options import ConfigOption, JsonOption, load_local_or_exit


def identifiers(
    *,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Look back so many days.")] = 30,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Find ids that change, give people away, stand for nobody or come in several forms."""
    from regulars.app import ACCOUNT, names_at_rest, noticed_of
    from regulars.stores.base import Filter
    from regulars.stores.by_id import ReportsById
    from regulars.stores.identifiers import look_at_identifiers

    from_us = int((time.time() - days * 86_400) * 1_000_000)
    settings = load_local_or_exit(config)
    with opened_store(config) as store:
        names = names_at_rest(settings, store)
        report = look_at_identifiers(
            ReportsById(store, names), noticed_of(names, store), Filter(ACCOUNT, from_us=from_us)
        )
    if as_json:
        typer.echo(json.dumps(asdict(report)))
        return
    from regulars.cli.tables import print_table

    forms = ", ".join(f"{form} {count}" for form, count in report.forms[:5])
    typer.echo(f"{report.users} users, {report.requests} requests; forms: {forms or 'none'}")
    print_table(
        ("finding", "users", "requests", "cost", "cached", "cold tokens", "examples", "fix"),
        [
            (
                one.finding,
                str(one.users),
                f"{one.requests_share:.1%}",
                f"{one.cost_share:.1%}",
                "" if one.cached_share is None else f"{one.cached_share:.0%}",
                str(one.cold_tokens),
                " ".join(one.examples),
                one.fix,
            )
            for one in report.found
        ],
    )
    for detail in (detail for one in report.found for detail in one.details):
        typer.echo(detail)
