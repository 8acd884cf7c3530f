"""Adding a batch up by hour before it reaches the file, and the upserts of all rollups."""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from regulars.model.generation import Generation, Outcome
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.rows import COLUMNS, OUTCOME_CODES
from regulars.stores.sqlite.schema import (
    BLOCKS_KEY,
    DAILY_KEY,
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
"""What one row adds to ROLLED_COLUMNS; `sums_of` says the same in Python."""

Group = tuple[int, ...]
Groups = dict[Group, list[int]]


def add_up(rows: Sequence[Generation], encoded: Sequence[tuple[Any, ...]]) -> Groups:
    """Sum generations with their encoded values into groups of `hourly`.

    Each group is its sums in the order of ROLLED_COLUMNS and, last, when it was last seen.
    """
    hourly: Groups = {}
    for row, values in zip(rows, encoded, strict=True):
        account_id, model_id, endpoint_id, provider_id, key_id = _group_ids(values)
        key = (
            account_id,
            row.created_at_us // HOUR_US,
            model_id,
            endpoint_id or NOBODY_ID,
            provider_id or NOBODY_ID,
            key_id,
        )
        _add(hourly, key, sums_of(row), row.created_at_us)
    return hourly


_group_ids: Final = itemgetter(
    *map(
        COLUMNS.index,
        ("account_id", "model_id", "endpoint_id", "provider_id", "key_id"),
    )
)


def sums_of(row: Generation) -> tuple[int, ...]:
    """Return what one generation adds to its groups, in the order of ROLLED_COLUMNS."""
    usage, cost = row.usage, row.cost
    failed = row.outcome is not Outcome.COMPLETED
    tokens = (0, 0, 0, 0, 0)
    if usage is not None:
        tokens = (
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.reasoning_tokens or 0,
            usage.cached_tokens or 0,
            usage.cache_write_tokens or 0,
        )
    if cost is not None:
        return (1, int(failed), *tokens, cost.total, cost.cache_saving, 0, cost.prompt)
    return (1, int(failed), *tokens, 0, 0, int(usage is not None), 0)


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
    "pairs": PAIRS_KEY,
    "blocks": BLOCKS_KEY,
    "hourly": HOURLY_KEY,
    "quarters": QUARTERS_KEY,
}


def _add(groups: Groups, key: Group, sums: tuple[int, ...], seen_us: int) -> None:
    group = groups.get(key)
    if group is None:
        groups[key] = [*sums, seen_us]
        return
    latest_us = max(group[-1], seen_us)
    group[:] = [there + more for there, more in zip(group, sums, strict=False)]
    group.append(latest_us)
