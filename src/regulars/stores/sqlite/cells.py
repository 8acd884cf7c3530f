"""Fields of rows for exports: read as one JSON text a page, handed on by columns.

A row that Python fetches hands the interpreter's lock over twice, and beside the requests of a
busy gateway each may have to wait for its turn. A page that SQLite makes one text of is one step,
without the lock, and is decoded in half a microsecond a row.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from regulars.model.generation import UsageSource
from regulars.stores.scans import Field, Page
from regulars.stores.sqlite.listing import Reading, Row, Values
from regulars.stores.sqlite.places import PLACE_BITS
from regulars.stores.sqlite.rows import OUTCOME_CODES
from regulars.stores.sqlite.texts import Texts

Meanings = Callable[[Texts, set[Any]], Mapping[Any, Any]]


@dataclass(frozen=True, slots=True)
class _Place:
    """A field's expression over `generation`, and what its values stand for."""

    sql: str
    meanings: Meanings | None = None


def _words(texts: Texts, ids: set[Any]) -> Mapping[Any, Any]:
    return texts.words(ids)


def _people(texts: Texts, ids: set[Any]) -> Mapping[Any, Any]:
    return texts.people(ids)


def _codes(meanings: Mapping[Any, Any]) -> Meanings:
    return lambda _texts, _codes: meanings


def _decoded(_texts: Texts, cells: set[Any]) -> Mapping[Any, Any]:
    return {cell: None if cell is None else msgspec.json.decode(cell) for cell in cells}


def _detail(name: str, meanings: Meanings | None = None) -> _Place:
    return _Place(f"json_extract(details, '$.{name}')", meanings)


_AT: Final = f"(row >> {PLACE_BITS})"
# As `model.ids` makes ids; by SQLite, since a million of them would keep the interpreter busy.
_ID: Final = f"iif(typeof(id) = 'integer', printf('gen-%d-%05x%015x', {_AT} / 1000000, {_AT} % 1000000, id), id)"
_PLACES: Final[Mapping[Field, _Place]] = {
    "id": _Place(_ID),
    "created_at_us": _Place(_AT),
    "key_hash": _Place("key_id", _words),
    "outcome": _Place("outcome", _codes({c: str(one) for one, c in OUTCOME_CODES.items()})),
    "status": _Place("status"),
    "model": _Place("model_id", _words),
    "streamed": _detail("streamed", _codes({None: False, 0: False, 1: True})),
    "end_user": _Place("end_user_id", _people),
    # As JSON has it: SQLite itself ends a text at an escaped NUL.
    "session": _Place("(details -> '$.session') || ''", _decoded),
    "provider": _Place("provider_id", _words),
    "endpoint": _Place("endpoint_id", _words),
    "finish_reason": _detail("finish_reason", _words),
    "native_finish_reason": _detail("native_finish_reason", _words),
    "prompt_tokens": _Place("prompt_tokens"),
    "completion_tokens": _Place("completion_tokens"),
    "cached_tokens": _Place("cached_tokens"),
    "cache_write_tokens": _Place("cache_write_tokens"),
    "reasoning_tokens": _Place("reasoning_tokens"),
    "usage_source": _detail(
        "estimated",
        _codes({None: None, 0: str(UsageSource.REPORTED), 1: str(UsageSource.ESTIMATED)}),
    ),
    "cost_nanousd": _Place("cost_nanousd"),
    "cost_prompt_nanousd": _Place("cost_prompt_nanousd"),
    "cache_saving_nanousd": _Place("cache_saving_nanousd"),
    "byok_nanousd": _detail("byok_nanousd"),
    "ttft_ms": _Place("ttft_ms"),
    "duration_ms": _Place("duration_ms"),
    "error": _detail("error", _words),
    "app": _detail("app", _words),
}
_ROWS: Final = msgspec.json.Decoder(list[tuple[Any, ...]])


def reading(fields: Sequence[Field]) -> Reading:
    """Return how these fields are read, after each row's number."""
    columns = ["row", *(_PLACES[field].sql for field in fields)]
    selected = ", ".join(f"{column} AS c{number}" for number, column in enumerate(columns))
    row = f"json_array({', '.join(f'c{number}' for number in range(len(columns)))})"

    def fetch(connection: sqlite3.Connection, query: str, values: Values) -> list[Row]:
        # A blob, since a text would be decoded and encoded once more.
        whole = f"SELECT CAST(json_group_array({row}) AS BLOB) FROM ({query})"
        return _ROWS.decode(connection.execute(whole, values).fetchone()[0])

    return Reading(selected, fetch)


def page_of(rows: Sequence[Row], fields: Sequence[Field], texts: Texts) -> Page:
    """Return the columns of rows that were read so, in words."""
    _, *columns = zip(*rows, strict=True)
    found: list[Sequence[Any]] = []
    for field, cells in zip(fields, columns, strict=True):
        meanings = _PLACES[field].meanings
        if meanings is None:
            found.append(cells)
        else:
            found.append([*map(meanings(texts, set(cells)).__getitem__, cells)])
    return found
