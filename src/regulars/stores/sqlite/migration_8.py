"""Migration 8: a user's rows in `by_user` know how long each took, his days what they came to.

Only `generation` knew how long, where a user's rows lie all over the file: looking one up costs a
dozen times what it costs to read on in `by_user`. Times are whole microseconds, as the gateway
measures them. A window's odd day was read from `daily`, which has a row for each of his models and
endpoints there; `days` has one.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL

from typing import Final

_CREATED: Final = """
CREATE TABLE by_user_8 (
    user_id INTEGER NOT NULL,
    row INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    ttft_us INTEGER,
    own_completion_tokens INTEGER,
    PRIMARY KEY (user_id, row)
) STRICT, WITHOUT ROWID
"""
# In the order of the tree that is there: nothing is sorted, however many rows there are.
_FILLED: Final = """
INSERT INTO by_user_8 (user_id, row, duration_us, ttft_us, own_completion_tokens)
SELECT by_user.user_id, by_user.row, CAST(duration_ms * 1000 + 0.5 AS INTEGER),
    CAST(ttft_ms * 1000 + 0.5 AS INTEGER), completion_tokens
FROM by_user CROSS JOIN generation USING (row) ORDER BY by_user.user_id, by_user.row
"""

_KEY: Final = ("account_id", "day", "end_user_id")
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
    "cost_prompt_nanousd",
)
_DAYS: Final = (
    f"CREATE TABLE days ({', '.join(f'{name} INTEGER NOT NULL' for name in (*_KEY, *_SUMS, 'last_us'))}, "
    f"PRIMARY KEY ({', '.join(_KEY)})) STRICT, WITHOUT ROWID"
)
_ADDED_UP: Final = (
    f"INSERT INTO days ({', '.join((*_KEY, *_SUMS, 'last_us'))}) SELECT {', '.join(_KEY)}, "
    f"{', '.join(f'sum({name})' for name in _SUMS)}, max(last_us) FROM daily GROUP BY 1, 2, 3"
)

MIGRATION: Final = (
    _CREATED,
    _FILLED,
    "DROP TABLE by_user",
    "ALTER TABLE by_user_8 RENAME TO by_user",
    _DAYS,
    _ADDED_UP,
)
