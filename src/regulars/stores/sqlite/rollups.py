"""What a row adds to the rollups, and their upserts."""

from collections.abc import Mapping
from typing import Final

from regulars.model.generation import Outcome
from regulars.stores.sqlite.rows import OUTCOME_CODES
from regulars.stores.sqlite.schema import (
    BLOCKS_KEY,
    DAILY_KEY,
    DAYS_KEY,
    HOURLY_KEY,
    PAIRS_KEY,
    QUARTERS_KEY,
    ROLLED_COLUMNS,
)

HOUR_US: Final = 3_600_000_000
QUARTER_US: Final = HOUR_US // 4
DAY_US: Final = 24 * HOUR_US
PAIR_DAYS: Final = 2
BLOCK_DAYS: Final = 8
"""Days of a row of `blocks`, counted from 1970: few rows for long times, few days at the ends."""

_COMPLETED: Final = OUTCOME_CODES[Outcome.COMPLETED]

ROW_SUMS: Final = (
    "1",
    f"outcome <> {_COMPLETED}",
    "coalesce(prompt_tokens, 0)",
    "coalesce(completion_tokens, 0)",
    "coalesce(reasoning_tokens, 0)",
    "coalesce(cached_tokens, 0)",
    "coalesce(cache_write_tokens, 0)",
    "coalesce(cost_nanousd, 0)",
    "coalesce(cache_saving_nanousd, 0)",
    "prompt_tokens IS NOT NULL AND cost_nanousd IS NULL",
    "coalesce(cost_prompt_nanousd, 0)",
)
"""What one row adds to ROLLED_COLUMNS."""


def keys_of(table: str) -> tuple[str, ...]:
    """Return the key columns of a rollup; the second is its unit of time."""
    return _KEYS[table]


def upsert_head(table: str) -> str:
    """Return the upsert up to its rows."""
    return f"INSERT INTO {table} ({', '.join((*_KEYS[table], *ROLLED_COLUMNS, 'last_us'))}) "


def upsert_tail(table: str) -> str:
    """Return the upsert's ending: add to what is there."""
    added = ", ".join(f"{column} = {column} + excluded.{column}" for column in ROLLED_COLUMNS)
    return (
        f" ON CONFLICT ({', '.join(_KEYS[table])}) DO UPDATE SET {added}, "
        "last_us = max(last_us, excluded.last_us)"
    )


_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "daily": DAILY_KEY,
    "days": DAYS_KEY,
    "pairs": PAIRS_KEY,
    "blocks": BLOCKS_KEY,
    "hourly": HOURLY_KEY,
    "quarters": QUARTERS_KEY,
}
