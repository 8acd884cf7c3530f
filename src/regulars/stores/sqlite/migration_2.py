"""Migration 2: finer rollups for the ends of reports, and the prompt's part of the cost in all.

A window that begins within a block needed up to seven days of `daily`, which has nearly as many
rows as the ledger; `pairs` (two days of a user in one row) leaves one. Days of a zone off by half
an hour began within an hour of `hourly`; `quarters` of an hour end there. What is already in
`daily` and in the rows fills them; quarters and cost parts of rows that retention has deleted
stay 0, as reports about them answered before.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL

from typing import Final

from regulars.stores.sqlite.places import PLACE_BITS

_HOUR: Final = 3_600_000_000 << PLACE_BITS
_SUMS: Final = (
    "requests",
    "failed",
    "prompt_tokens",
    "completion_tokens",
    "reasoning_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cost_nanousd",
    "cache_saving_nanousd",
    "unpriced",
)
_OF_ROW: Final = (
    "1",
    "outcome <> 0",
    *(f"coalesce({name}, 0)" for name in _SUMS[2:-1]),
    "prompt_tokens IS NOT NULL AND cost_nanousd IS NULL",
    "coalesce(cost_prompt_nanousd, 0)",
)
_WORDS: Final = {
    "model_id": "model_id",
    "endpoint_id": "coalesce(endpoint_id, 0)",
    "provider_id": "coalesce(provider_id, 0)",
    "key_id": "key_id",
}
_PAIRS_KEY: Final = ("account_id", "pair", "end_user_id")
_QUARTERS: Final = {"account_id": "account_id", "quarter": f"row / {_HOUR // 4}"} | _WORDS
_OLDER: Final[dict[str, dict[str, str]]] = {
    "daily": {
        "account_id": "account_id",
        "day": f"row / {24 * _HOUR}",
        "end_user_id": "coalesce(end_user_id, 0)",
    }
    | _WORDS,
    "blocks": {
        "account_id": "account_id",
        "block": f"row / {8 * 24 * _HOUR}",
        "end_user_id": "coalesce(end_user_id, 0)",
    },
    "hourly": {"account_id": "account_id", "hour": f"row / {_HOUR}"} | _WORDS,
}
_FOLDED: Final = "generation WHERE row NOT IN (SELECT row FROM tail)"


def _created(table: str, key: tuple[str, ...]) -> str:
    columns = ", ".join(
        f"{name} INTEGER NOT NULL" for name in (*key, *_SUMS, "last_us", "cost_prompt_nanousd")
    )
    return f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({', '.join(key)})) STRICT, WITHOUT ROWID"


def _cost_part(table: str, keys: dict[str, str]) -> str:
    rows = "generation" if table == "hourly" else _FOLDED
    named = ", ".join(f"{value} AS k_{name}" for name, value in keys.items())
    same = " AND ".join(f"{table}.{name} = k_{name}" for name in keys)
    groups = ", ".join(str(number + 1) for number in range(len(keys)))
    return (
        f"UPDATE {table} SET cost_prompt_nanousd = part FROM (SELECT {named}, "
        f"sum(coalesce(cost_prompt_nanousd, 0)) AS part FROM {rows} GROUP BY {groups}) WHERE {same}"
    )


def _pairs() -> str:
    added = ", ".join(f"sum({name})" for name in (*_SUMS, "cost_prompt_nanousd"))
    return (
        f"INSERT INTO pairs ({', '.join((*_PAIRS_KEY, *_SUMS, 'cost_prompt_nanousd', 'last_us'))}) "
        f"SELECT account_id, day / 2, end_user_id, {added}, max(last_us) FROM daily GROUP BY 1, 2, 3"
    )


def _quarters() -> str:
    added = ", ".join(f"sum({value})" for value in _OF_ROW)
    columns = (*_QUARTERS, *_SUMS, "cost_prompt_nanousd", "last_us")
    return (
        f"INSERT INTO quarters ({', '.join(columns)}) SELECT {', '.join(_QUARTERS.values())}, "
        f"{added}, max(row >> {PLACE_BITS}) FROM {_FOLDED} GROUP BY 1, 2, 3, 4, 5, 6"
    )


MIGRATION: Final = (
    *(
        f"ALTER TABLE {table} ADD COLUMN cost_prompt_nanousd INTEGER NOT NULL DEFAULT 0"
        for table in _OLDER
    ),
    *(_cost_part(table, keys) for table, keys in _OLDER.items()),
    _created("pairs", _PAIRS_KEY),
    _created("quarters", tuple(_QUARTERS)),
    _pairs(),
    _quarters(),
)
