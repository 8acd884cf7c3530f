"""The list of end users: what the viewer asked of it, and the answer. Asking is blocking."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, cast, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from regulars.reports.schema import VALUES_MAX, Condition, Order, ReportQuery
from regulars.stores.base import Filter, Reports, SeriesPoint, Sums
from regulars.web.charts import Line, bar_totals, sparkline
from regulars.web.figures import SUMS, question, series, sums_of
from regulars.web.periods import Window, cut
from regulars.web.view import NAME_CHARS_MAX, View, parse

PATH: Final = "/users"
PAGE_USERS: Final = 50
LOOKED_AT_MAX: Final = VALUES_MAX
"""Who is new, grew or stopped is found among the users that spent most: so many of them."""
CURSOR_CHARS_MAX: Final = 4000

Show = Literal["all", "new", "grew", "stopped"]
SHOW_WORDS: Final[dict[Show, str]] = {
    "all": "All",
    "new": "New",
    "grew": "Grew most",
    "stopped": "Stopped",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the list; `sort` is the metric it sorts by, None where it cannot."""

    title: str
    sort: str | None
    default: bool = True


COLUMNS: Final[Mapping[str, Column]] = {
    "trend": Column("Trend", None),
    "requests": Column("Requests", "requests"),
    "tokens": Column("Tokens", "total_tokens"),
    "prompt": Column("Prompt", "prompt_tokens", default=False),
    "completion": Column("Completion", "completion_tokens", default=False),
    "failed": Column("Not completed", "failed_requests", default=False),
    "cached": Column("Cached", "cached_share"),
    "cost": Column("Cost", "cost"),
    "saved": Column("Saved by cache", "cache_saving"),
    "first": Column("First seen", None, default=False),
    "last": Column("Last seen", "last_seen"),
}
DEFAULT_COLUMNS: Final = tuple(name for name, column in COLUMNS.items() if column.default)
_BY_COST: Final = (Order("cost"), Order("requests"))
SORTS: Final = frozenset(column.sort for column in COLUMNS.values() if column.sort)


@dataclass(frozen=True, slots=True)
class PeopleView:
    """The list's own part of the URL, beside the period and filters of `view`."""

    view: View
    q: str = ""
    show: Show = "all"
    sort: str = "cost"
    falls: bool = True
    columns: tuple[str, ...] = DEFAULT_COLUMNS
    cursor: str = ""

    def href(self, **changes: object) -> str:
        """Return the URL of this list with something changed; it starts over unless told where."""
        changed = replace(self, **({"cursor": ""} | changes))  # pyright: ignore[reportArgumentType] - links are built from checked values
        pairs = [
            ("q", changed.q),
            ("show", "" if changed.show == "all" else changed.show),
            ("sort", "" if changed.sort == "cost" else changed.sort),
            ("order", "" if changed.falls else "asc"),
            *(("col", name) for name in changed.columns if changed.columns != DEFAULT_COLUMNS),
            ("cursor", changed.cursor),
        ]
        own = urlencode([(name, value) for name, value in pairs if value])
        url = changed.view.href(PATH)
        return f"{url}&{own}" if own else url

    def at(self, **changes: str) -> str:
        """Return the URL of this list with its period or filters changed."""
        return replace(self, view=replace(self.view, **changes), cursor="").href()  # pyright: ignore[reportArgumentType] - names of View's fields

    def sorted_by(self, sort: str) -> str:
        """Return the URL sorted by a metric; the other way round where it is already."""
        return self.href(sort=sort, falls=not self.falls if sort == self.sort else True)


@dataclass(frozen=True, slots=True)
class Person:
    """One end user's row. `before`: of the stretch of time before, where that was asked for."""

    user: str | None
    sums: Sums
    last_seen_us: int
    first_seen_us: int | None = None
    before: Sums | None = None
    line: Line | None = None


Ranked = tuple[list[Person], bool]
"""Users from the top, and whether there are more."""


@dataclass(frozen=True, slots=True)
class People:
    """A page of the list. `looked_at` is how many users were looked at, None for all."""

    rows: Sequence[Person]
    next: str | None = None
    looked_at: int | None = None


def parse_people(query: QueryParams) -> PeopleView:
    """Read the list's view from a query; what cannot be read becomes the default."""
    show, sort = query.get("show", "all"), query.get("sort", "cost")
    wanted = set(query.getlist("col"))
    columns = tuple(name for name in COLUMNS if name in wanted) or DEFAULT_COLUMNS
    q, cursor = query.get("q", "").strip(), query.get("cursor", "")
    return PeopleView(
        view=parse(query),
        q=q if len(q) <= NAME_CHARS_MAX else "",
        show=cast("Show", show) if show in get_args(Show) else "all",
        sort=sort if sort in SORTS else "cost",
        falls=query.get("order") != "asc",
        columns=columns,
        cursor=cursor if len(cursor) <= CURSOR_CHARS_MAX else "",
    )


def top(reports: Reports, where: Filter, *, limit: int) -> Ranked:
    """Return who spent most, requests that named nobody among them, and whether there are more."""
    query = replace(_named(_question(where), ""), order=_BY_COST, limit=limit)
    rows, cursor = _people(reports, query)
    # Requests that named nobody are asked for apart: among the named, all figures of everybody
    # would have to be sorted at once.
    nobody = [] if where.user else _nobody(reports, where)
    rows = sorted(nobody + rows, key=_rank, reverse=True)
    return rows[:limit], cursor is not None or len(rows) > limit


def _nobody(reports: Reports, where: Filter) -> list[Person]:
    query = _question(where)
    nobody = Condition("user", "eq", (None,))
    return _people(reports, replace(query, where=(*query.where, nobody), limit=1))[0]


def _rank(person: Person) -> tuple[int, int]:
    return person.sums.cost_nanousd, person.sums.requests


def list_people(reports: Reports, account: str, asked: PeopleView, window: Window) -> People:
    """Answer the list."""
    where = asked.view.where(account, window)
    match asked.show:
        case "new":
            found = _new(reports, where, asked.q)
        case "grew":
            found = _grown(reports, where, window, asked.q)
        case "stopped":
            found = _stopped(reports, where, window, asked.q)
        case _:
            found = _all(reports, where, asked)
    shown = cut(window.before(), window.step, window.bar_us, words="", zone=window.zone)
    span = shown if asked.show == "stopped" else window
    return replace(found, rows=_dressed(reports, where, found.rows, span))


def _all(reports: Reports, where: Filter, asked: PeopleView) -> People:
    query = replace(
        _named(_question(where, asked.sort), asked.q),
        order=(Order(asked.sort, descending=asked.falls),),
        limit=PAGE_USERS,
        cursor=asked.cursor or None,
    )
    rows, cursor = _people(reports, query)
    return People(rows, cursor)


def _new(reports: Reports, where: Filter, q: str) -> People:
    many = _most(reports, where, q)
    first = reports.first_seen(where.account, _names(many))
    begin = where.from_us or 0
    rows = [each for each in many if first.get(each.user or "", 0) >= begin]
    return People(rows[:PAGE_USERS], looked_at=len(many))


def _grown(reports: Reports, where: Filter, window: Window, q: str) -> People:
    many = _most(reports, where, q)
    before = _figures_of(reports, _span(where, window.before()), _names(many))
    rows = [replace(each, before=before.get(each.user or "", Sums())) for each in many]
    grown = sorted(rows, key=_growth, reverse=True)
    rows = [each for each in grown if _growth(each) > (0, 0)]
    return People(rows[:PAGE_USERS], looked_at=len(many))


def _stopped(reports: Reports, where: Filter, window: Window, q: str) -> People:
    many = _most(reports, _span(where, window.before()), q)
    still = _figures_of(reports, where, _names(many))
    rows = [replace(each, before=each.sums) for each in many if each.user not in still]
    return People(rows[:PAGE_USERS], looked_at=len(many))


def _most(reports: Reports, where: Filter, q: str) -> list[Person]:
    query = replace(_named(_question(where), q), order=(Order("cost"),), limit=LOOKED_AT_MAX)
    return _people(reports, query)[0]


def _figures_of(reports: Reports, where: Filter, users: Sequence[str]) -> dict[str, Sums]:
    if not users:
        return {}
    query = replace(_question(where), limit=LOOKED_AT_MAX)
    query = replace(query, where=(*query.where, Condition("user", "in", tuple(users))))
    return {each.user or "": each.sums for each in _people(reports, query)[0]}


def _dressed(
    reports: Reports, where: Filter, rows: Sequence[Person], window: Window
) -> list[Person]:
    """Add when each was first seen, and what each spent over time."""
    names = _names(rows)
    if not names:
        return list(rows)
    first = reports.first_seen(where.account, names)
    trends = _trends(reports, _span(where, (window.from_us, window.to_us)), window, names)
    return [
        replace(
            each,
            first_seen_us=first.get(each.user or ""),
            line=sparkline(bar_totals(trends.get(each.user or "", ()), window, _spent)),
        )
        for each in rows
    ]


def _trends(
    reports: Reports, where: Filter, window: Window, names: Sequence[str]
) -> dict[str, list[SeriesPoint]]:
    trends: dict[str, list[SeriesPoint]] = {}
    for point in series(reports, where, window, "user", names):
        trends.setdefault(point.group or "", []).append(point)
    return trends


def _question(where: Filter, sort: str = "cost") -> ReportQuery:
    extra = () if sort in (*SUMS, "last_seen") else (sort,)
    return question(where, "user", metrics=(*SUMS, "last_seen", *extra))


def _named(query: ReportQuery, q: str) -> ReportQuery:
    named = (Condition("user", "neq", (None,)),)
    return replace(query, where=(*query.where, *named, *_searched(q)))


def _searched(q: str) -> tuple[Condition, ...]:
    return (Condition("user", "contains", (q,)),) if q else ()


def _people(reports: Reports, query: ReportQuery) -> tuple[list[Person], str | None]:
    answer = reports.run(query)
    end = 1 + len(SUMS)
    rows = [
        Person(None if row[0] is None else str(row[0]), sums_of(row[1:end]), int(row[end] or 0))
        for row in answer.rows
    ]
    return rows, answer.next


def _names(rows: Iterable[Person]) -> list[str]:
    return [each.user for each in rows if each.user is not None]


def _span(where: Filter, span: tuple[int, int]) -> Filter:
    return replace(where, from_us=span[0], to_us=span[1])


def _spent(sums: Sums) -> int:
    return sums.cost_nanousd or sums.requests


def _growth(person: Person) -> tuple[int, int]:
    before = person.before or Sums()
    spent = person.sums.cost_nanousd - before.cost_nanousd
    return spent, person.sums.requests - before.requests
