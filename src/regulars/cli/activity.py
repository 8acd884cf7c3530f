"""`regulars activity` and `regulars users`: who used what, as tables with small bars."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from regulars.cli import filters
from regulars.cli.answers import (
    KEY_VARIABLE,
    Answers,
    KeyEnvOption,
    Params,
    Report,
    UrlOption,
    answers,
    json_text,
    report,
)
from regulars.cli.generation import shown
from regulars.cli.options import ConfigOption, JsonOption, failed
from regulars.reports.definitions import METRICS as KNOWN_METRICS

METRICS: Final = "requests,failed_requests,prompt_tokens,cached_share,completion_tokens,cost"
MONTH: Final = "30d"
BAR_CHARS: Final = 12
ROWS_MAX: Final = 1000
NOBODY: Final = "(none)"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"

SinceDefaultOption = Annotated[
    str, typer.Option("--since", help="How far back, like 7d, 12h or 30m.")
]
SinceMonth = Annotated[
    str | None,
    typer.Option("--since", show_default=MONTH, help="How far back, like 7d, 12h or 30m."),
]
MetricsOption = Annotated[str, typer.Option("--metrics", help="Figures of each group.")]
LimitOption = Annotated[int, typer.Option(min=1, max=ROWS_MAX, help="How many rows.")]

users = typer.Typer(
    help="End users: who uses most, one of them, and his rights.", no_args_is_help=True
)


def activity(
    *,
    by: Annotated[
        str, typer.Option(help="Group by these: user, model, provider, key, …, comma between.")
    ] = "model",
    step: Annotated[
        str | None, typer.Option(help="Group by time too: minute, hour, day, week, month.")
    ] = None,
    since: SinceMonth = None,
    from_: filters.FromOption = None,
    to: filters.ToOption = None,
    user: filters.UserOption = None,
    model: filters.ModelOption = None,
    provider: filters.ProviderOption = None,
    key: filters.KeyOption = None,
    time_zone: filters.ZoneOption = "UTC",
    metrics: MetricsOption = METRICS,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key_env: KeyEnvOption = KEY_VARIABLE,
    config: ConfigOption = None,
) -> None:
    """Show what was used, by any dimensions."""
    metrics = ",".join(name.strip() for name in metrics.split(",")) or METRICS
    asked = filters.params(
        since=since or (None if from_ else MONTH), from_=from_, to=to, user=user, model=model,
        provider=provider, api_key_hash=key, time_zone=time_zone, group_by=by or None,
        granularity=step, metrics=metrics, limit=str(limit),
        order_by=None if step else _first(metrics),
    )  # fmt: skip
    with answers(url, key_env, config) as source:
        _show(report(source, asked), metrics, charted=_first(metrics), as_json=as_json)


@users.command()
def top(
    *,
    by: Annotated[str, typer.Option(help="Sort by this figure, greatest first.")] = "cost",
    since: SinceDefaultOption = "7d",
    model: filters.ModelOption = None,
    provider: filters.ProviderOption = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key_env: KeyEnvOption = KEY_VARIABLE,
    config: ConfigOption = None,
) -> None:
    """Show the end users who used most."""
    metrics = ",".join(dict.fromkeys([by.strip(), *METRICS.split(",")]))
    asked = filters.params(
        since=since, model=model, provider=provider, group_by="user", metrics=metrics,
        order_by=by, limit=str(limit), named="true",
    )  # fmt: skip
    with answers(url, key_env, config) as source:
        _show(report(source, asked), metrics, charted=by.strip(), as_json=as_json)


@users.command()
def show(
    user: Annotated[str, typer.Argument(metavar="ID", help="The end user.")],
    *,
    since: SinceDefaultOption = MONTH,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key_env: KeyEnvOption = KEY_VARIABLE,
    config: ConfigOption = None,
) -> None:
    """Show one end user: in all, by model and by day."""
    base = filters.params(since=since, user=user)
    figures = f"{METRICS},sessions,cache_saving,last_seen"
    with answers(url, key_env, config) as source:
        found = _user(source, base, figures)
    if not found["by_model"].rows:
        raise failed(f"end user {user[:80]!r} made no request in the last {since}")
    if as_json:
        typer.echo(json_text({"user": user, **{name: one.rows for name, one in found.items()}}))
        return
    for name, metrics in (("total", figures), ("by_model", METRICS), ("by_day", METRICS)):
        _show(found[name], metrics, charted="cost", as_json=False)


def _user(source: Answers, base: Params, figures: str) -> dict[str, Report]:
    return {
        "total": report(source, {**base, "metrics": figures}),
        "by_model": report(source, {**base, "group_by": "model", "metrics": METRICS}),
        "by_day": report(source, {**base, "granularity": "day", "metrics": METRICS}),
    }


def _first(metrics: str) -> str:
    names = metrics.split(",")
    return "cost" if "cost" in names else names[0]


def _show(found: Report, metrics: str, *, charted: str, as_json: bool) -> None:
    rows = found.rows
    if as_json:
        typer.echo(json_text({"data": rows, "cut": found.cut}))
        return
    if not rows:
        typer.echo("nothing found: no request in that time fits", err=True)
        return
    from regulars.cli.tables import print_table

    figures = metrics.split(",")
    lengths = [_length(row[charted]) for row in rows]
    most = max(lengths)
    headings = {name: _heading(name) for name in rows[0]}
    print_table(
        [*headings.values(), ""],
        [
            [*_cells(row, figures), _bar(length, most)]
            for row, length in zip(rows, lengths, strict=True)
        ],
        numbers=[headings[name] for name in figures if name in headings],
    )
    if found.cut is not None:
        typer.echo(found.cut, err=True)


def _heading(name: str) -> str:
    metric = KNOWN_METRICS.get(name)
    return name if metric is None else metric.label


def _cells(row: dict[str, Any], figures: Sequence[str]) -> list[str]:
    return [
        _figure(name, value) if name in figures else shown(str(NOBODY if value is None else value))
        for name, value in row.items()
    ]


def _figure(name: str, value: Any) -> str:
    """Write a figure for people (money comes in USD here); programs read --json."""
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    metric = KNOWN_METRICS.get(name)
    if metric is not None and metric.unit == "share":
        return f"{100 * value:.1f} %"
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,.6f}".rstrip("0").rstrip(".")
    return f"${text}" if metric is not None and metric.unit == "nanousd" else text


def _length(value: Any) -> float:
    """Return what a bar shows of a figure; a moment has no length."""
    return 0.0 if value is None or isinstance(value, str) else float(value)


def _bar(value: float, most: float) -> str:
    eighths = round(value / most * BAR_CHARS * 8) if most > 0 else 0
    whole, rest = divmod(max(eighths, 0), 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")
