"""`regulars reports`: what is scheduled, what was delivered, and one delivery by hand."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from regulars.cli.keys import opened_store
from regulars.cli.options import ConfigOption, JsonOption, failed, load_local_or_exit, mistaken

if TYPE_CHECKING:
    from regulars.stores.sqlite.deliveries import SqliteDeliveries

DELIVERIES_MAX: Final = 1000

reports = typer.Typer(help="Scheduled reports and their deliveries.", no_args_is_help=True)


@reports.command("list")
def list_reports(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the scheduled reports and when each is due next."""
    from regulars.delivery.schedule import next_due
    from regulars.reports.windows import zone_named

    found = [
        {
            "name": each.name,
            "cron": each.cron,
            "period": each.period,
            "format": each.format,
            "target": each.target,
            "next_due": next_due(each.cron, datetime.now(zone_named(each.time_zone))).isoformat(),
        }
        for each in load_local_or_exit(config).reports
    ]
    if as_json:
        typer.echo(json.dumps({"data": found}))
    elif not found:
        typer.echo("nothing is scheduled: add [[reports]] to the configuration", err=True)
    else:
        from regulars.cli.tables import print_table

        print_table(list(found[0]), [list(each.values()) for each in found])


@reports.command()
def deliveries(
    *,
    limit: Annotated[int, typer.Option(min=1, max=DELIVERIES_MAX, help="How many.")] = 20,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show deliveries, the newest first."""
    with _book(config) as book:
        found = book.newest(limit)
    if as_json:
        typer.echo(json.dumps({"data": [asdict(each) for each in found]}))
        return
    from regulars.cli.tables import print_table

    print_table(
        ("report", "due (UTC)", "status", "attempts", "bytes", "target", "error"),
        [
            (
                each.report,
                f"{datetime.fromtimestamp(each.due_us / 1_000_000, UTC):%Y-%m-%d %H:%M}",
                each.status,
                str(each.attempts),
                "" if each.bytes is None else f"{each.bytes:,}",
                each.target,
                each.error or "",
            )
            for each in found
        ],
    )


@reports.command()
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A report of the configuration.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Deliver a report now, for the period before its last due time; nothing is recorded."""
    import time

    from regulars.app import ACCOUNT
    from regulars.delivery.deliver import Means, deliver
    from regulars.delivery.schedule import last_due
    from regulars.delivery.webhook import WebhookError
    from regulars.exports.missing import ExportError
    from regulars.reports.schema import ReportError
    from regulars.reports.windows import zone_named

    known = {each.name: each for each in load_local_or_exit(config).reports}
    if name not in known:
        listed = ", ".join(known) or "none"
        raise mistaken(f"report {name[:64]!r} is not configured; known: {listed}")
    report = known[name]
    if report.webhook is not None and not report.webhook.secret:
        raise mistaken(f"report {name!r}: its secret_env names a variable that is not set")

    def pause(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    with opened_store(config) as store:
        means = Means(store, ACCOUNT, time.time, pause)
        due = last_due(report.cron, datetime.now(zone_named(report.time_zone)))
        try:
            done = deliver(means, report, due)
        except (ExportError, ReportError, WebhookError, OSError) as error:
            raise failed(f"report {name!r} was not delivered: {error}") from error
    typer.echo(f"{report.target}: {done.bytes} bytes, {done.attempts} attempts", err=True)


@contextmanager
def _book(config: Path | None) -> "Generator[SqliteDeliveries]":
    from regulars.stores.sqlite.deliveries import SqliteDeliveries, deliveries_path

    with opened_store(config) as store:
        book = SqliteDeliveries(deliveries_path(store.path))
        try:
            yield book
        finally:
            book.close()
