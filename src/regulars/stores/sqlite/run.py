"""Running a report's question: names to ids, the SELECT, ids back to names, and where to go on."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import base64
import binascii
import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zlib import crc32

from regulars.reports.definitions import check
from regulars.reports.schema import (
    Cell,
    Condition,
    ReportError,
    ReportQuery,
    ReportResult,
    Step,
    Value,
    Window,
)
from regulars.reports.windows import Bucket, buckets, zone_named
from regulars.stores.sqlite.columns import PLACES, code, meaning
from regulars.stores.sqlite.compile import Wheres, compile_query, sort_terms
from regulars.stores.sqlite.names import NOBODY_ID, texts_of
from regulars.stores.sqlite.ranked import WRONG_CURSOR, Asking, RankBounds, ranked_first
from regulars.stores.sqlite.ranked_own import ranked_by_own
from regulars.stores.sqlite.readers import Readers
from regulars.stores.sqlite.rollups import BLOCK_DAYS, DAY_US, HOUR_US
from regulars.stores.sqlite.stretches import compile_stretches, newest_number

CURSOR_CHARS_MAX: Final = 4000
UNKNOWN_ID: Final = -1

_CLAMP_US: Final[dict[Step | None, int]] = {
    None: BLOCK_DAYS * DAY_US,
    "minute": HOUR_US,
    "hour": HOUR_US,
    "day": DAY_US,
    "week": DAY_US,
    "month": DAY_US,
}
_TEXT: Final = {
    "user": "ifnull((SELECT name FROM end_user WHERE id = :group), '')",
    "word": "ifnull((SELECT text FROM name WHERE id = :group), '')",
}


USUAL_BOUNDS: Final = RankBounds()


def run_query(
    readers: Readers, query: ReportQuery, bounds: RankBounds = USUAL_BOUNDS
) -> ReportResult:
    """See `stores.base.Reports.run`."""
    check(query)
    zone = zone_named(query.zone)
    with readers.snapshot() as connection:
        account = _account(connection, query.account)
        window = _clamped(connection, account, query)
        if window is None:
            spans: list[Bucket] = []
        elif query.step is None:
            spans = [Bucket(window[0], *window)]
        else:
            spans = buckets(Window(*window), query.step, zone)
        wheres = _wheres(connection, account, query.where)

        def select(
            query: ReportQuery, wheres: Wheres, spans: Sequence[Bucket]
        ) -> list[tuple[Any, ...]]:
            return _select(connection, query, wheres, spans)

        found, unranked = _found(connection, Asking(query, wheres, spans, bounds, select))
        more = len(found) > query.limit
        found = found[: query.limit]
        rows = _named(connection, query, found, spans)
    limited = f"limit: there are more than {query.limit} groups" if more else None
    return ReportResult(
        columns=query.columns,
        rows=rows,
        cut=limited if unranked is None else unranked,
        next=_cursor(query, found[-1]) if more else None,
        partial=unranked is not None,
    )


def _found(
    connection: sqlite3.Connection, asked: Asking
) -> tuple[list[tuple[Any, ...]], str | None]:
    """Return the answer's rows, and why people are missing where they are."""
    query = asked.query
    terms = _terms(query)
    after = None if query.cursor is None else _last(query, query.cursor, len(terms))
    own = ranked_by_own(connection, asked, after)
    if own is not None:
        return own.rows, own.cut
    ranked = ranked_first(asked)
    if ranked is None:
        return asked.of(query), None
    return asked.of(query, ranked.wheres), ranked.cut


def _terms(query: ReportQuery) -> list[tuple[str, bool]]:
    return sort_terms(query, {name: _sorted_by(name) for name in query.dimensions})


def _select(
    connection: sqlite3.Connection, query: ReportQuery, wheres: Wheres, spans: Sequence[Bucket]
) -> list[tuple[Any, ...]]:
    """Return sort terms, groups and metrics of each row: one row more than the limit."""
    terms = _terms(query)
    bound: dict[str, Any] = {"limit": query.limit + 1}
    after, seek = "", _seek(query, terms)
    if seek is not None:
        after, last = seek
        bound |= last
    order = ", ".join(f"{term} {'DESC' if falls else 'ASC'}" for term, falls in terms)
    keys = ", ".join(f"{term} AS k{number}" for number, (term, _) in enumerate(terms))

    def first_of(select: str) -> str:
        return f"SELECT {keys}, * FROM ({select}){after} ORDER BY {order} LIMIT :limit"

    stretched = compile_stretches(query, wheres, spans, newest_number(connection))
    if stretched is not None:
        sql = stretched.first_of_all(first_of, [falls for _, falls in terms])
        found = connection.execute(sql, stretched.values | bound).fetchall()
        if stretched.all_there(found):
            return found
    compiled = compile_query(query, wheres, spans)
    return connection.execute(first_of(compiled.sql), compiled.values | bound).fetchall()


def _account(connection: sqlite3.Connection, account: str) -> int:
    found = connection.execute("SELECT id FROM name WHERE text = ?", (account,)).fetchone()
    return UNKNOWN_ID if found is None else int(found[0])


def _clamped(
    connection: sqlite3.Connection, account: int, query: ReportQuery
) -> tuple[int, int] | None:
    """Return the window's part in which the account has rows; None where it has none."""
    window, unit_us = query.window, _CLAMP_US[query.step]
    ends = connection.execute(
        "SELECT (SELECT min(hour) FROM hourly WHERE account_id = :account), "
        "(SELECT max(hour) FROM hourly WHERE account_id = :account)",
        {"account": account},
    ).fetchone()
    if ends[0] is None:
        return None
    # Out to whole units of the rollups: past the first and the last row nothing is to be read.
    begin = ends[0] * HOUR_US // unit_us * unit_us
    end = ((ends[1] + 1) * HOUR_US + unit_us - 1) // unit_us * unit_us
    # Nor is anything between an end and its unit's, where the rows end before: no ragged end.
    open_begin = query.step is None and (window.from_us or 0) <= ends[0] * HOUR_US
    open_end = query.step is None and (window.to_us or 0) >= (ends[1] + 1) * HOUR_US
    if window.from_us is not None and not open_begin:
        begin = max(begin, window.from_us)
    if window.to_us is not None and not open_end:
        end = min(end, window.to_us)
    return (begin, end) if begin < end else None


def _wheres(
    connection: sqlite3.Connection, account: int, conditions: Sequence[Condition]
) -> Wheres:
    values: dict[str, Any] = {"account": account}
    rows: list[str] = []
    rollups: list[str] = []
    people: list[int] | None = None
    named_only = False
    for number, condition in enumerate(conditions):
        place = PLACES[condition.dimension]
        named = f"w{number}"
        if condition.operator == "contains":
            values[named] = str(condition.values[0] or "")
            test = f"IN ({_containing(condition.dimension, named)})"
            tested = f"instr(lower({place.row}), lower(:{named})) > 0"
            rows.append(tested if place.kind == "text" else f"{place.row} {test}")
            rollups.append(f"+{place.rollup} {test}")
            continue
        kept = _kept(connection, account, condition)
        if place.kind == "user" and condition.operator in ("eq", "in") and NOBODY_ID not in kept:
            people = kept if people is None else [one for one in people if one in kept]
            continue
        negated = condition.operator in ("neq", "not_in")
        if place.kind == "user" and negated and kept == [NOBODY_ID]:
            named_only = True
            continue
        if len(kept) == 1:
            # A set of one asked for each row: a quarter of the time of the top users.
            values[named] = kept[0]
            test = f"{'<>' if negated else '='} :{named}"
        else:
            values[named] = json.dumps(kept)
            test = f"{'NOT ' if negated else ''}IN (SELECT value FROM json_each(:{named}))"
        rows.append(f"{place.row} {test}")
        # The plus keeps the planner on the range of time.
        rollups.append(f"+{place.rollup} {test}")
    if people is not None:
        values["user_ids"] = json.dumps(people)
    return Wheres(rows, rollups, values, people, named_only=named_only)


def _containing(dimension: str, named: str) -> str:
    kind = PLACES[dimension].kind
    if kind == "user":
        return (
            "SELECT id FROM end_user WHERE account_id = :account "
            f"AND instr(lower(name), lower(:{named})) > 0"
        )
    if kind == "word":
        return f"SELECT id FROM name WHERE instr(lower(text), lower(:{named})) > 0"
    if kind == "text":
        return ""
    raise ReportError(f"filters: {dimension} has no text to look into; use eq or in")


def _kept(connection: sqlite3.Connection, account: int, condition: Condition) -> list[Any]:
    kind = PLACES[condition.dimension].kind
    return [_kept_value(connection, account, kind, value) for value in condition.values]


def _kept_value(connection: sqlite3.Connection, account: int, kind: Any, value: Value) -> Any:
    if kind not in _TEXT:
        return code(kind, value)
    if value is None:
        return NOBODY_ID
    if kind == "user":
        query, key = "SELECT id FROM end_user WHERE account_id = ? AND name = ?", (account, value)
    else:
        query, key = "SELECT id FROM name WHERE text = ?", (value,)
    found = connection.execute(query, key).fetchone()
    return UNKNOWN_ID if found is None else int(found[0])


def _sorted_by(dimension: str) -> str:
    return _TEXT.get(PLACES[dimension].kind, ":group")


def _named(
    connection: sqlite3.Connection,
    query: ReportQuery,
    found: Sequence[tuple[Any, ...]],
    spans: Sequence[Bucket],
) -> tuple[tuple[Cell, ...], ...]:
    width = 1 + len(query.dimensions) + len(query.metrics)
    plain = [row[len(row) - width :] for row in found]
    words: list[Mapping[Any, Value]] = []
    for number, name in enumerate(query.dimensions, start=1):
        kind = PLACES[name].kind
        kept = {row[number] for row in plain}
        if kind in _TEXT:
            words.append(texts_of(connection, "end_user" if kind == "user" else "name", kept))
        else:
            words.append({each: meaning(kind, each) for each in kept})
    answer: list[tuple[Cell, ...]] = []
    for row in plain:
        time = (spans[row[0]].begin_us,) if query.step else ()
        groups = [words[n].get(row[n + 1]) for n in range(len(words))]
        answer.append((*time, *groups, *row[1 + len(words) :]))
    return tuple(answer)


def _cursor(query: ReportQuery, row: Sequence[Any]) -> str:
    terms = len(row) - 1 - len(query.dimensions) - len(query.metrics)
    return base64.urlsafe_b64encode(json.dumps([_mark(query), *row[:terms]]).encode()).decode()


def _mark(query: ReportQuery) -> int:
    """Return what tells questions apart whose rows come in another order, or are others."""
    names = tuple(each.name for each in query.order) or query.metrics[:1]
    told = (query.dimensions, query.where, query.step, query.zone, query.order, names)
    return crc32(repr(told).encode("utf-8", "surrogatepass"))


def _seek(
    query: ReportQuery, terms: Sequence[tuple[str, bool]]
) -> tuple[str, dict[str, Any]] | None:
    if query.cursor is None:
        return None
    last = _last(query, query.cursor, len(terms))
    test = "0"
    for number in reversed(range(len(terms))):
        term, falls = terms[number]
        sign = "<" if falls else ">"
        test = f"({term} {sign} :k{number} OR ({term} = :k{number} AND {test}))"
    return f" WHERE {test}", {f"k{number}": value for number, value in enumerate(last)}


def _last(query: ReportQuery, cursor: str, count: int) -> list[Any]:
    wrong = ReportError(WRONG_CURSOR)
    if len(cursor) > CURSOR_CHARS_MAX:
        raise wrong
    try:
        last = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, binascii.Error, RecursionError) as exc:
        raise wrong from exc
    if not isinstance(last, list) or len(last) != 1 + count or last[0] != _mark(query):
        raise wrong
    for value in last[1:]:
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
        if not (whole or isinstance(value, str | float)):
            raise wrong
    return last[1:]
