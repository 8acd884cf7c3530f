"""Options that several commands share, and how the configuration is read for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from regulars.config.load import Prices
    from regulars.config.problems import ConfigError
    from regulars.config.settings import Settings
    from regulars.config.sources import Sources

FAILED: Final = 1
MISCONFIGURED: Final = 2

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Else REGULARS_CONFIG, else ./regulars.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def sources(
    config: Path | None, options: Mapping[tuple[str, str], object] | None = None
) -> "Sources":
    """Name this process's sources of configuration."""
    from regulars.config.sources import Sources, environment

    return Sources(file=config, env=environment(), options=options or {})


def load_or_exit(origin: "Sources") -> "Settings":
    """Load all settings; print all problems and exit with 2 where there are any."""
    from regulars.config.load import load
    from regulars.config.problems import ConfigError

    try:
        return load(origin, prices())
    except ConfigError as error:
        raise _reported(error) from error


def load_local_or_exit(config: Path | None) -> "Settings":
    """Likewise, without providers and models."""
    from regulars.config.load import load_local
    from regulars.config.problems import ConfigError

    try:
        return load_local(sources(config))
    except ConfigError as error:
        raise _reported(error) from error


def prices() -> "Prices":
    """Wire the configuration's two questions about prices to `billing`."""
    from datetime import UTC, datetime

    from regulars.billing.known_prices import config_price, known_price
    from regulars.config.load import PriceQuery, Prices
    from regulars.model.money import Price

    now = datetime.now(UTC)

    def of(query: PriceQuery) -> Price | None:
        return known_price(query.provider, query.base_url, query.upstream_model, now)

    return Prices(of=of, read=config_price)


def failed(message: str, code: int = FAILED) -> typer.Exit:
    """Say on stderr what went wrong; the caller raises what this returns."""
    typer.secho(f"regulars: {message}", fg=typer.colors.RED, err=True)
    return typer.Exit(code)


def mistaken(message: str) -> typer.Exit:
    """Likewise where the command itself asks for what cannot be."""
    return failed(message, MISCONFIGURED)


def _reported(error: "ConfigError") -> typer.Exit:
    count = len(error.problems)
    noun = "problem" if count == 1 else "problems"
    typer.secho(f"regulars: {count} {noun} in the configuration", fg=typer.colors.RED, err=True)
    for problem in error.problems:
        value = "" if problem.value is None else f" = {problem.value}"
        typer.echo(f"\n  {problem.path}{value}\n    {problem.message}", err=True)
        typer.echo(f"    fix: {problem.fix}", err=True)
    return typer.Exit(MISCONFIGURED)
