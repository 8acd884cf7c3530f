"""Migration 9: a row per user and day, for the odd days of rankings.

They were read from `daily`, which has a row for each model and endpoint of a user's day.
"""

# ruff: noqa: S608 - only our own table and column names are written into SQL

from typing import Final

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

MIGRATION: Final = (_DAYS, _ADDED_UP)
