"""What the viewer asked to see, as it stands in the URL. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final, Literal, cast, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from regulars.reports.schema import ReportError
from regulars.reports.windows import zone_named
from regulars.stores.base import Filter, GroupBy
from regulars.web.periods import DEFAULT_PERIOD, PERIODS, Window, custom, recent

Metric = Literal["spend", "tokens", "requests"]
Bars = Literal["each", "running"]
"""Whether a bar shows its own stretch of time, or all up to its end."""
CUSTOM: Final = "custom"
NAME_CHARS_MAX: Final = 512
_SLUGS: Final = frozenset(period.slug for period in PERIODS)


@dataclass(frozen=True, slots=True)
class View:
    """Period, grouping, metric and filters. Fields are the names of the query's parameters."""

    period: str = DEFAULT_PERIOD
    from_: str = ""
    to: str = ""
    group: GroupBy = "user"
    metric: Metric = "spend"
    bars: Bars = "each"
    user: str = ""
    model: str = ""
    provider: str = ""
    key: str = ""
    tz: str = ""
    before: str = ""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone whose days and hours are shown; UTC unless another was chosen."""
        return zone_named(self.tz or "UTC")

    def window(self, now_us: int) -> Window:
        """Return the stretch of time; dates that make no sense give the default period."""
        chosen = custom(self.from_, self.to, self.zone) if self.period == CUSTOM else None
        return chosen or recent(self.period, now_us, self.zone)

    def where(self, account: str, window: Window) -> Filter:
        """Return the question's filter."""
        return Filter(
            account=account,
            user=self.user or None,
            model=self.model or None,
            provider=self.provider or None,
            key_hash=self.key or None,
            from_us=window.from_us,
            to_us=window.to_us,
        )

    def href(self, path: str, **changes: str) -> str:
        """Return the URL of this view with something changed; a page within it starts over."""
        changed = replace(self, **({"before": ""} | changes))  # pyright: ignore[reportArgumentType] - links are built from checked values; parse() checks them again
        if changed.period != CUSTOM:
            changed = replace(changed, from_="", to="")
        pairs = [
            (_parameter(field.name), value)
            for field in fields(View)
            # The period always stands in a link: without one, a young ledger shows its hour.
            if (value := str(getattr(changed, field.name))) != field.default
            or field.name == "period"
        ]
        return f"{path}?{urlencode(pairs)}"


def parse(query: Mapping[str, str], *, group: GroupBy = "user") -> View:
    """Read a view from a query; what cannot be read becomes the default."""
    period = query.get("period", DEFAULT_PERIOD)
    from_, to = query.get("from", ""), query.get("to", "")
    if (from_ or to) and custom(from_, to) is not None:
        period = CUSTOM
    else:
        period, from_, to = (period if period in _SLUGS else DEFAULT_PERIOD), "", ""
    wanted_group, metric = query.get("group", group), query.get("metric", "spend")
    return View(
        period=period,
        from_=from_,
        to=to,
        group=cast("GroupBy", wanted_group) if wanted_group in get_args(GroupBy) else group,
        metric=cast("Metric", metric) if metric in get_args(Metric) else "spend",
        bars="running" if query.get("bars") == "running" else "each",
        user=_name(query, "user"),
        model=_name(query, "model"),
        provider=_name(query, "provider"),
        key=_name(query, "key"),
        tz=_zone(query),
        before=_name(query, "before"),
    )


def dates_refused(query: Mapping[str, str]) -> bool:
    """Say whether dates or a time zone were given that make no sense."""
    given = query.get("from", ""), query.get("to", "")
    zone = query.get("tz", "")
    return (any(given) and custom(*given) is None) or bool(zone) != bool(_zone(query))


def _name(query: Mapping[str, str], parameter: str) -> str:
    value = query.get(parameter, "")
    return value if len(value) <= NAME_CHARS_MAX else ""


def _zone(query: Mapping[str, str]) -> str:
    name = query.get("tz", "")
    try:
        return zone_named(name).key if name else ""
    except ReportError:
        return ""


def _parameter(field_name: str) -> str:
    return field_name.rstrip("_")
