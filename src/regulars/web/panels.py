"""The parts that pages are made of: cards, the chart, rows. Pure values for the templates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from regulars.stores.base import Filter, GroupBy, Reports, SeriesPoint, Sums
from regulars.web.charts import Line, StackedChart, bar_totals, sparkline, stacked
from regulars.web.figures import Figures, added, groups, over_time, rest, running, series, totals
from regulars.web.names import NOBODY, key_name, shortened, visible
from regulars.web.numbers import change, compact, grouped, share, usd, usd_exact
from regulars.web.palette import OTHER
from regulars.web.periods import Window
from regulars.web.view import Metric, View

CHART_GROUPS_MAX: Final = 8
"""As many as there are colours; the rest is `Other`."""
TABLE_GROUPS_MAX: Final = 50
METRIC_WORDS: Final[dict[Metric, str]] = {
    "spend": "Spend",
    "tokens": "Tokens",
    "requests": "Requests",
}
_FILTERS: Final = {"user": "User", "model": "Model", "provider": "Provider", "key": "API key"}
_MEASURES: Final[dict[Metric, Callable[[Sums], int]]] = {
    "spend": lambda sums: sums.cost_nanousd,
    "tokens": lambda sums: sums.prompt_tokens + sums.completion_tokens,
    "requests": lambda sums: sums.requests,
}
_WRITERS: Final[dict[Metric, Callable[[int | None], str]]] = {
    "spend": usd,
    "tokens": compact,
    "requests": compact,
}


@dataclass(frozen=True, slots=True)
class Card:
    """One headline figure; `href` switches the chart to it, if it is a metric."""

    title: str
    figure: str
    exact: str
    change: str
    note: str
    line: Line
    href: str | None = None
    current: bool = False


@dataclass(frozen=True, slots=True)
class LegendEntry:
    """One group of the chart; `href` narrows the page to it, where a filter can."""

    name: str
    full: str
    colour: str
    total: str
    share: str
    href: str | None
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChartPanel:
    """The large chart with all that explains it."""

    shape: StackedChart
    legend: tuple[LegendEntry, ...]
    totals: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter that is on; `href` is the page without it."""

    title: str
    value: str
    full: str
    href: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What one window was asked at once: figures over time, their sums, the sums before."""

    where: Filter
    window: Window
    sums: Sums
    before: Sums
    whole: Sequence[SeriesPoint]


def ask(reports: Reports, view: View, account: str, now_us: int) -> Answers:
    """Ask for what the cards need. Blocking, some 10 ms however many users there are."""
    window = view.window(now_us)
    where = view.where(account, window)
    begin, end = window.before()
    whole = over_time(reports, where, window)
    return Answers(
        where=where,
        window=window,
        sums=added(point.sums for point in whole),
        before=totals(reports, replace(where, from_us=begin, to_us=end)),
        whole=whole,
    )


def chart_points(
    reports: Reports, answers: Answers, by: GroupBy, ranked: Sequence[Figures], *, more: bool
) -> list[SeriesPoint]:
    """Ask for the chart's groups over time; what lies beyond the ranked ones is `Other`. Blocking."""
    top = ranked[:CHART_GROUPS_MAX]
    names = [group.name for group in top]
    points = series(reports, answers.where, answers.window, by, names)
    return points + rest(answers.whole, points) if more or len(ranked) > len(top) else points


def grouped_points(reports: Reports, answers: Answers, by: GroupBy) -> list[SeriesPoint]:
    """Rank the groups, and ask for the chart's. Blocking."""
    ranked, more = groups(reports, answers.where, by, limit=CHART_GROUPS_MAX)
    return chart_points(reports, answers, by, ranked, more=more)


def cards(answers: Answers, view: View, path: str, *, cache_note: str = "") -> tuple[Card, ...]:
    """Make the three metric cards and the one about the cache, with what else is known of it."""
    cache = _cache(answers)
    notes = " · ".join(note for note in (cache.note, cache_note) if note)
    return (
        *(_metric_card(answers, view, path, metric) for metric in METRIC_WORDS),
        replace(cache, note=notes),
    )


def fleet_note(fleet: Sums) -> str:
    """Say which share everybody together reads from caches."""
    return f"everybody {share(fleet.cached_tokens, fleet.prompt_tokens)}"


def chart(
    points: Sequence[SeriesPoint],
    window: Window,
    view: View,
    path: str,
    key_names: Mapping[str, str],
) -> ChartPanel:
    """Make the large chart for the view's metric and grouping."""
    write, measure = _WRITERS[view.metric], _MEASURES[view.metric]
    shape = each = stacked(points, window, measure=measure, write=write)
    title = f"{METRIC_WORDS[view.metric]} by {'API key' if view.group == 'key' else view.group}"
    if view.bars == "running":
        shape = stacked(running(points, window), window, measure=measure, write=write)
        title = f"{title}, running total"
    totals_of = {layer.name: layer.total for layer in each.layers}
    legend = tuple(
        LegendEntry(
            name=shortened(group_name(layer.name, view.group, key_names)),
            full=group_name(layer.name, view.group, key_names),
            colour=layer.colour,
            total=write(totals_of[layer.name]),
            share=share(totals_of[layer.name], each.total),
            href=_narrowed(view, path, layer.name),
            values=tuple(write(value) if value else "" for value in layer.values),
        )
        for layer in shape.layers
    )
    return ChartPanel(shape, legend, tuple(write(slot.total) for slot in shape.slots), title)


def chips(view: View, path: str, key_names: Mapping[str, str]) -> tuple[Chip, ...]:
    """Make a chip for each filter that is on."""
    return tuple(
        Chip(
            title,
            key_name(value, key_names) if field == "key" else shortened(value),
            value,
            view.href(path, **{field: ""}),
        )
        for field, title in _FILTERS.items()
        if (value := str(getattr(view, field)))
    )


def breakdown(reports: Reports, where: Filter, group_by: GroupBy) -> list[Figures]:
    """Ask for one row a group. Blocking."""
    return groups(reports, where, group_by, limit=TABLE_GROUPS_MAX)[0]


def group_name(group: str | None, group_by: GroupBy, key_names: Mapping[str, str]) -> str:
    """Name a group as people know it."""
    if group == OTHER:
        return OTHER
    if group_by == "key":
        return key_name(group, key_names)
    if group is None:
        return NOBODY if group_by == "user" else f"no {group_by}"
    return visible(group)


def spent(sums: Sums) -> int | None:
    """Return what a group cost; None when nothing in it has a known price."""
    return None if sums.unpriced and not sums.cost_nanousd else sums.cost_nanousd


def _metric_card(answers: Answers, view: View, path: str, metric: Metric) -> Card:
    now, before = answers.sums, answers.before
    measure = _MEASURES[metric]
    value = spent(now) if metric == "spend" else measure(now)
    return Card(
        title=METRIC_WORDS[metric],
        figure=_WRITERS[metric](value),
        exact=usd_exact(value) if metric == "spend" else grouped(value),
        change=change(measure(now), measure(before)),
        note=_note(now, metric),
        line=sparkline(bar_totals(answers.whole, answers.window, measure)),
        href=view.href(path, metric=metric),
        current=metric == view.metric,
    )


def _cache(answers: Answers) -> Card:
    now = answers.sums
    reads = bar_totals(answers.whole, answers.window, lambda sums: sums.cached_tokens)
    prompts = bar_totals(answers.whole, answers.window, lambda sums: sums.prompt_tokens)
    ratios = [read / prompt if prompt else 0.0 for read, prompt in zip(reads, prompts, strict=True)]
    saved = now.cache_saving_nanousd
    known = now.prompt_tokens > 0
    return Card(
        title="Read from cache",
        figure=share(now.cached_tokens, now.prompt_tokens),
        exact=f"{grouped(now.cached_tokens)} of {grouped(now.prompt_tokens)} prompt tokens",
        change="",
        note=f"{usd(abs(saved))} {'saved' if saved >= 0 else 'extra for writes'}" if known else "",
        line=sparkline(ratios),
    )


def _note(sums: Sums, metric: Metric) -> str:
    if metric == "spend":
        return f"{grouped(sums.unpriced)} without a known price" if sums.unpriced else ""
    if metric == "tokens":
        return f"{compact(sums.prompt_tokens)} in · {compact(sums.completion_tokens)} out"
    return f"{grouped(sums.failed)} not completed" if sums.failed else "all completed"


def _narrowed(view: View, path: str, name: str | None) -> str | None:
    if name is None or name == OTHER or getattr(view, view.group):
        return None
    return view.href(path, **{view.group: name})
