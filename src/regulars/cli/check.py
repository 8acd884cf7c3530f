"""`regulars check`: is the configuration good, and what would be served?"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from regulars.cli.options import ConfigOption, load_or_exit, mistaken, sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regulars.cli.providers import Served
    from regulars.config.settings import ReportSettings
    from regulars.model.money import Price


def check(
    *,
    config: ConfigOption = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the file's JSON schema instead.")
    ] = False,
) -> None:
    """Check the configuration and show what would be served."""
    if schema:
        from regulars.config.schema import json_schema

        typer.echo(json.dumps(json_schema(), indent=2))
        return
    from regulars.cli.providers import found

    origin = sources(config)
    settings = load_or_exit(origin)
    _check_reports(settings.reports)
    complete = found(settings, origin)
    server = settings.server
    typer.echo(f"address    {server.host}:{server.port}, workers: {server.workers}")
    typer.echo(f"store      {settings.store.url}")
    if complete is None:
        typer.echo("providers  none found: the demo's llama.cpp servers would be started")
    else:
        _print_served(complete)
    for report in settings.reports:
        typer.echo(f"report     {report.name}: {report.cron!r} to {report.target}")


def _check_reports(reports: "Sequence[ReportSettings]") -> None:
    from regulars.delivery.deliver import check_report
    from regulars.reports.schema import ReportError

    problems: list[str] = []
    for report in reports:
        try:
            check_report(report)
        except ReportError as error:
            problems.append(f"[[reports]] {report.name!r}: {error}")
    if problems:
        raise mistaken("\n".join(problems))


def _print_served(complete: "Served") -> None:
    from regulars.cli.tables import print_table

    typer.echo(f"providers  {complete.where}")
    print_table(
        ("model", "provider", "upstream model", "endpoint id", "USD per M tokens, in / out"),
        [
            (e.model, e.provider.name, e.upstream_model, e.id, _price(e.price))
            for e in complete.settings.catalog.endpoints
        ],
    )


def _price(price: "Price | None") -> str:
    from regulars.model.money import TOKENS_PER_MILLION

    if price is None:
        return "unknown"
    parts = (price.prompt, price.completion)
    plain = " / ".join(f"{(part * TOKENS_PER_MILLION).normalize():f}" for part in parts)
    services = [f"{tier} {_price(priced)}" for tier, priced in price.services]
    return f"{plain} ({', '.join(services)})" if services else plain
