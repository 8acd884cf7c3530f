"""Adding a batch up by day and by hour before it reaches the file: one upsert per group."""

# ruff: noqa: S608 - only our own table and column names are written into SQL; values are bound

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from regulars.model.generation import Generation, Outcome
from regulars.stores.sqlite.names import NOBODY_ID
from regulars.stores.sqlite.rows import COLUMNS
from regulars.stores.sqlite.schema import DAILY_KEY, HOURLY_KEY, SUM_COLUMNS

HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US

Group = tuple[int, ...]
Groups = dict[Group, list[int]]


def add_up(rows: Sequence[tuple[Generation, tuple[Any, ...]]]) -> tuple[Groups, Groups]:
    """Sum generations with their encoded values into (daily, hourly) groups.

    Each group is its sums in the order of SUM_COLUMNS and, last, when it was last seen.
    """
    daily: Groups = {}
    hourly: Groups = {}
    for row, values in rows:
        account_id, key_id, model_id, user, provider, endpoint = _group_ids(values)
        end_user_id = user or NOBODY_ID
        provider_id, endpoint_id = provider or NOBODY_ID, endpoint or NOBODY_ID
        hour = row.created_at_us // HOUR_US
        sums = sums_of(row)
        served = (model_id, endpoint_id, provider_id, key_id)
        _add(daily, (account_id, hour // 24, end_user_id, *served), sums, row.created_at_us)
        _add(hourly, (account_id, hour, *served), sums, row.created_at_us)
    return daily, hourly


_group_ids: Final = itemgetter(
    *map(
        COLUMNS.index,
        ("account_id", "key_id", "model_id", "end_user_id", "provider_id", "endpoint_id"),
    )
)


def sums_of(row: Generation) -> tuple[int, ...]:
    """Return what one generation adds to its groups, in the order of SUM_COLUMNS."""
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
        return (1, int(failed), *tokens, cost.total, cost.cache_saving, 0)
    return (1, int(failed), *tokens, 0, 0, int(usage is not None))


def upsert_head(table: str) -> str:
    """Return the upsert up to its list of rows."""
    return f"INSERT INTO {table} ({', '.join((*_KEYS[table], *SUM_COLUMNS, 'last_us'))}) VALUES "


def upsert_tail(table: str) -> str:
    """Return the upsert's ending: add to what is there."""
    added = ", ".join(f"{column} = {column} + excluded.{column}" for column in SUM_COLUMNS)
    return (
        f" ON CONFLICT ({', '.join(_KEYS[table])}) DO UPDATE SET {added}, "
        "last_us = max(last_us, excluded.last_us)"
    )


_KEYS: Final[Mapping[str, tuple[str, ...]]] = {"daily": DAILY_KEY, "hourly": HOURLY_KEY}


def _add(groups: Groups, key: Group, sums: tuple[int, ...], seen_us: int) -> None:
    group = groups.get(key)
    if group is None:
        groups[key] = [*sums, seen_us]
        return
    for position, value in enumerate(sums):
        if value:
            group[position] += value
    group[-1] = max(group[-1], seen_us)
