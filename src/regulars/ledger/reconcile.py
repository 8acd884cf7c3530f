"""Our rows against a provider's own usage export: who misses what, and whose figures differ. Pure.

The export is CSV with a header, cut by commas, semicolons, tabs or bars. Columns, others are passed over:

| column | |
|---|---|
| `id` | the provider's id of the answer (our `upstream_id`), or our own; may be empty |
| `created_at` | ISO 8601 (UTC where no zone is given) or Unix time; needed where `id` is empty |
| `model` | as the provider names it |
| `prompt_tokens`, `completion_tokens` | whole numbers; an empty cell is not compared |
| `cost_usd` | decimal; an empty cell is not compared |
"""

import csv
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Final, Literal

from msgspec.structs import replace

from regulars.model.generation import Generation
from regulars.model.money import NANO, usd_text
from regulars.model.tokens import TOKENS_MAX

DELIMITERS: Final = (",", ";", "\t", "|")
UNIX_S_MAX: Final = 100_000_000_000
"""The year 5138. What is more is counted in smaller units."""
FIGURE_MAX: Final = 10**15
EXPORT_ROWS_MAX: Final = 2_000_000
COLUMNS: Final = ("id", "created_at", "model", "prompt_tokens", "completion_tokens", "cost_usd")

Kind = Literal["missing here", "missing there", "different", "twice there"]


class ExportError(ValueError):
    """The file is not what it should be; the message names line, column and value."""


@dataclass(frozen=True, slots=True)
class Exported:
    """One line of the provider's export; None is not compared."""

    line: int
    id: str | None
    created_at_us: int | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_nanousd: int | None


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that does not agree. `line` is the export's, `generation` our id."""

    kind: Kind
    line: int | None
    generation: str | None
    figure: str | None = None
    here: str | None = None
    there: str | None = None


def read_export(lines: Iterable[str]) -> list[Exported]:
    """Read the export, whichever of DELIMITERS it is cut by.

    Raises:
        ExportError: the first thing in it that cannot be read.
    """
    lines = iter(lines)
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), strict=True, delimiter=_delimiter(first))
    found: list[Exported] = []
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not {"id", "created_at"} & set(header):
            raise ExportError(
                f"line 1: columns {', '.join(header)[:200]!r} name neither id nor created_at; "
                f"use {', '.join(COLUMNS)}"
            )
        for values in reader:
            if not values:
                continue
            if len(found) == EXPORT_ROWS_MAX:
                raise ExportError(f"more than {EXPORT_ROWS_MAX} lines: cut the export by time")
            found.append(_exported(dict(zip(header, values, strict=False)), reader.line_num))
    except csv.Error as exc:
        raise ExportError(f"line {reader.line_num}: not CSV: {exc}") from exc
    return found


def _delimiter(header: str) -> str:
    """Return the delimiter by which the first line names most of the columns."""

    def known(delimiter: str) -> int:
        names = {name.strip(' "\r\n').lower() for name in header.split(delimiter)}
        return len(names & set(COLUMNS))

    return max(DELIMITERS, key=known)


def reconcile(
    export: Sequence[Exported],
    rows: Iterable[Generation],
    *,
    within_us: int,
    tolerance_nanousd: int,
    provider: str | None = None,
) -> list[Mismatch]:
    """Match by id, else by model and the nearest time within a bound; name what disagrees.

    With `provider` only what this one served counts, also where another answered after it. Rows that nobody would bill (no usage, nothing of it reported) may be missing there.
    """
    by_id: dict[str, Exported] = {}
    twice = [one for one in export if one.id and by_id.setdefault(one.id, one) is not one]
    by_time = _Times(one for one in export if not one.id)
    matched: set[int] = set()
    found: list[Mismatch] = []
    for row in chain.from_iterable(_bills(row, provider) for row in rows):
        there = by_id.get(row.upstream_id or "") or by_id.get(row.id)
        if there is None or there.line in matched:
            there = by_time.take(row, within_us)
        if there is not None:
            matched.add(there.line)
            found += _differences(row, there, tolerance_nanousd)
        elif row.usage is not None and (row.usage.total_tokens or row.cost is not None):
            found.append(Mismatch("missing there", None, row.id))
    matched.update(one.line for one in twice)
    found += [
        Mismatch("missing here", one.line, None, "id", None, one.id)
        for one in export
        if one.line not in matched
    ]
    found += [Mismatch("twice there", one.line, None, "id", None, one.id) for one in twice]
    return found


def _bills(row: Generation, provider: str | None) -> Iterator[Generation]:
    """Take a row apart: the last attempt's bill, and each that a passed-over attempt made.

    Every provider's export has only its own.
    """
    if provider in (None, row.provider):
        cost, before = row.cost, row.billed_before
        if cost is not None and before:
            cost = replace(cost, total=cost.total - sum(one.total for one in before))
        yield replace(row, cost=cost, attempts=())
    for attempt in row.attempts:
        bill = attempt.billed
        if bill is not None and provider in (None, attempt.provider):
            upstream_id, usage = bill.upstream_id, bill.usage
            yield replace(row, upstream_id=upstream_id, usage=usage, cost=bill.cost, attempts=())


class _Times:
    """Lines without an id, by model and time; each is taken once."""

    def __init__(self, export: Iterable[Exported]) -> None:
        self._by_model: dict[str | None, list[tuple[int, Exported]]] = defaultdict(list)
        for one in export:
            if one.created_at_us is not None:
                self._by_model[one.model].append((one.created_at_us, one))
        for lines in self._by_model.values():
            lines.sort(key=lambda pair: pair[0])

    def take(self, row: Generation, within_us: int) -> Exported | None:
        lines = self._by_model.get(row.upstream_model) or self._by_model.get(row.model) or []
        at_us = row.created_at_us
        start = bisect_left(lines, at_us - within_us, key=lambda pair: pair[0])
        near = [
            (_distance(row, one), abs(time_us - at_us), position)
            for position, (time_us, one) in enumerate(lines[start : start + NEAR_MAX], start)
            if abs(time_us - at_us) <= within_us
        ]
        return lines.pop(min(near)[2])[1] if near else None


NEAR_MAX: Final = 1000
"""Lines looked at around a row's time."""


def _distance(row: Generation, one: Exported) -> int:
    """Of several lines near in time the one with the same counts is the likeliest."""
    if row.usage is None:
        return 1
    ours = (row.usage.prompt_tokens, row.usage.completion_tokens)
    return int(ours != (one.prompt_tokens, one.completion_tokens))


def _differences(row: Generation, there: Exported, tolerance_nanousd: int) -> list[Mismatch]:
    usage, cost = row.usage, row.cost
    pairs = (
        ("prompt_tokens", None if usage is None else usage.prompt_tokens, there.prompt_tokens),
        (
            "completion_tokens",
            None if usage is None else usage.completion_tokens,
            there.completion_tokens,
        ),
    )
    found = [
        Mismatch("different", there.line, row.id, name, _shown(here), _shown(theirs))
        for name, here, theirs in pairs
        if theirs is not None and here != theirs
    ]
    if there.cost_nanousd is not None:
        here = None if cost is None else cost.total
        if here is None or abs(here - there.cost_nanousd) > tolerance_nanousd:
            ours = None if here is None else usd_text(here)
            theirs_usd = usd_text(there.cost_nanousd)
            found.append(Mismatch("different", there.line, row.id, "cost_usd", ours, theirs_usd))
    return found


def _exported(cells: Mapping[str, str | None], line: int) -> Exported:
    def cell(name: str) -> str | None:
        return (cells.get(name) or "").strip() or None

    if cell("id") is None and cell("created_at") is None:
        raise ExportError(f"line {line}: neither id nor created_at: one of them is needed")
    return Exported(
        line=line,
        id=cell("id"),
        created_at_us=_time(cell("created_at"), line),
        model=cell("model"),
        prompt_tokens=_count(cell("prompt_tokens"), "prompt_tokens", line),
        completion_tokens=_count(cell("completion_tokens"), "completion_tokens", line),
        cost_nanousd=_nanousd(cell("cost_usd"), line),
    )


def _time(text: str | None, line: int) -> int | None:
    if text is None:
        return None
    try:
        return _unix_us(Decimal(text))
    except (ArithmeticError, ValueError):
        pass  # not Unix time, so a date
    try:
        at = datetime.fromisoformat(text.removesuffix(" UTC"))
    except ValueError as exc:
        raise ExportError(
            f"line {line}: created_at {text[:100]!r} is neither ISO 8601 nor Unix seconds"
        ) from exc
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _unix_us(value: Decimal) -> int:
    """Return microseconds of seconds, or of milliseconds, or of microseconds.

    Raises ArithmeticError or ValueError for what is no time.
    """
    for unit in (1_000_000, 1000, 1):
        if abs(value) < UNIX_S_MAX * 1_000_000 // unit:
            return int(value * unit)
    raise ValueError(f"{value} is no time")


def _count(text: str | None, name: str, line: int) -> int | None:
    if text is None:
        return None
    value = _decimal(text)
    if value is None or value != int(value) or not 0 <= value <= TOKENS_MAX:
        raise ExportError(
            f"line {line}: {name} {text[:100]!r} is not a whole number of tokens; write 1234, "
            "without separators"
        )
    return int(value)


def _nanousd(text: str | None, line: int) -> int | None:
    if text is None:
        return None
    value = _decimal(text)
    if value is None:
        raise ExportError(
            f"line {line}: cost_usd {text[:100]!r} is not a decimal number; write 1234.56, "
            "without separators or currency"
        )
    return int((value * NANO).to_integral_value())


def _decimal(text: str) -> Decimal | None:
    """Read a number in plain notation or with an exponent; None for what is none, or absurd."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < FIGURE_MAX else None


def _shown(value: int | None) -> str | None:
    return None if value is None else str(value)
