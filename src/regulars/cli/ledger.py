"""`regulars ledger`: is it whole, does it agree with a provider's export, and a copy of it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from regulars.cli.keys import opened_store
from regulars.cli.options import FAILED, ConfigOption, JsonOption, failed

if TYPE_CHECKING:
    from regulars.ledger.reconcile import Exported
    from regulars.model.generation import Generation
    from regulars.stores.base import Difference
    from regulars.stores.sqlite import SqliteStore

PAGE_ROWS: Final = 5_000

ledger = typer.Typer(help="Verify, reconcile and back up the ledger.", no_args_is_help=True)


@ledger.command()
def verify(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Add all sums up anew from the rows and each cost from its price; exit 1 on a difference."""
    with opened_store(config) as store:
        differences = list(store.verify())
        rows = _rows_if_readable(store, differences)
    if as_json:
        found = [asdict(difference) for difference in differences]
        typer.echo(json.dumps({"rows": rows, "differences": found}))
    else:
        for difference in differences:
            typer.echo(_line(difference))
        counted = "rows cannot be counted" if rows is None else f"{rows} rows"
        typer.echo(f"{counted}, {len(differences)} differences", err=bool(differences))
    if differences:
        raise typer.Exit(FAILED)


@ledger.command()
def reconcile(
    *,
    provider_csv: Annotated[
        Path,
        typer.Option(
            "--provider-csv",
            metavar="FILE",
            help="The provider's usage: columns id, created_at, model, prompt_tokens, "
            "completion_tokens, cost_usd; those absent are not compared.",
        ),
    ],
    provider: Annotated[
        str | None, typer.Option(help="Compare only what this provider served.")
    ] = None,
    within_s: Annotated[
        float, typer.Option(min=0, max=86_400, help="How far times may lie apart, without ids.")
    ] = 60.0,
    tolerance_usd: Annotated[
        float, typer.Option(min=0, max=1, help="Smaller differences of cost pass.")
    ] = 0.000001,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Match a provider's usage export by id, time and model; exit 1 where something differs."""
    from regulars.ledger.reconcile import reconcile as compare

    export = _export(provider_csv)
    within_us = int(within_s * 1_000_000)
    with opened_store(config) as store:
        found = compare(
            export,
            _rows(store, export, within_us),
            provider=provider,
            within_us=within_us,
            tolerance_nanousd=round(tolerance_usd * 1_000_000_000),
        )
    if as_json:
        mismatches = [asdict(mismatch) for mismatch in found]
        typer.echo(json.dumps({"lines": len(export), "mismatches": mismatches}))
    else:
        for one in found:
            at = "" if one.line is None else f" line {one.line}"
            here = "" if one.generation is None else f" {one.generation}"
            figure = (
                "" if one.figure is None else f" {one.figure}: here {one.here}, there {one.there}"
            )
            typer.echo(f"{one.kind}{at}{here}{figure}")
        typer.echo(f"{len(export)} lines, {len(found)} mismatches", err=bool(found))
    if found:
        raise typer.Exit(FAILED)


@ledger.command()
def unpriced(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """List what was served without a known price: those costs are unknown, not 0."""
    with opened_store(config) as store:
        found = store.unpriced()
    if as_json:
        typer.echo(json.dumps({"unpriced": [asdict(one) for one in found]}))
        return
    if not found:
        typer.echo("every request had a price")
        return
    from regulars.cli.tables import print_table
    from regulars.wire.views import iso_time

    print_table(
        ("model", "provider", "endpoint", "requests", "last"),
        [
            (
                one.model,
                one.provider or "-",
                one.endpoint or "-",
                str(one.requests),
                iso_time(one.last_seen_us),
            )
            for one in found
        ],
    )
    typer.echo(
        "give these endpoints a `price`, or the service tiers that served a place under `services`"
    )


@ledger.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    *,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Copy the store while it is in use, whole as of one moment, and verify the copy."""
    with opened_store(config) as store:
        size = store.backup(target)
    if as_json:
        typer.echo(json.dumps({"file": str(target), "bytes": size}))
    else:
        typer.echo(f"{target}: {size} bytes, verified")


def _rows_if_readable(store: "SqliteStore", differences: "Sequence[Difference]") -> int | None:
    from regulars.stores.base import StoreError

    try:
        return store.count_rows()
    except StoreError:
        if not differences:
            raise
        return None


def _export(file: Path) -> "list[Exported]":
    from regulars.ledger.reconcile import ExportError, read_export

    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return read_export(lines)
    except OSError as error:
        raise failed(f"cannot read {str(file)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise failed(f"{str(file)!r} is not UTF-8 text: {error.reason}") from error
    except ExportError as error:
        raise failed(f"{str(file)!r}, {error}") from error


def _rows(
    store: "SqliteStore", export: "Sequence[Exported]", within_us: int
) -> "Iterable[Generation]":
    """Yield our rows of the export's time, page by page."""
    from regulars.app import ACCOUNT
    from regulars.stores.base import Filter

    times = [one.created_at_us for one in export if one.created_at_us is not None]
    bounded = bool(times) and len(times) == len(export)
    where = Filter(
        ACCOUNT,
        from_us=min(times) - within_us if bounded else None,
        to_us=max(times) + within_us + 1 if bounded else None,
    )
    before: str | None = None
    while True:
        page, before = store.generations(where, limit=PAGE_ROWS, before=before)
        yield from page
        if before is None:
            return


def _line(difference: "Difference") -> str:
    place = " ".join(part for part in (difference.table, difference.where) if part)
    return f"{place}: {difference.figure} is {difference.kept}, rows say {difference.from_rows}"
