"""The tables, as numbered migrations; each runs once, in one transaction with its number.

A generation's row number is its time (`places`), so there is no index by time or by id. Words
that repeat (models, endpoints, keys, agents) are kept once in `name` and people in
`end_user`, so that forgetting someone touches one row. Session ids repeat too little for that:
a dictionary of them cost a third of all writing.

What is kept per user (`by_user`, `daily`, `days`, `pairs`, `blocks`) costs a page of the file for nearly every
row, so it is not written row by row: `tail` names the rows it lacks yet, and every few thousand
rows they are folded in at once (`fold`). Questions about users add the tail's rows up by
themselves, so answers are exact at any moment. In rollups 0 stands for "none", since key
columns cannot be NULL there. There is no hourly rollup per user: it would have nearly as many
rows as the ledger and made writes three times slower.
"""

from typing import Final

from regulars.stores.sqlite.migration_2 import MIGRATION as MIGRATION_2
from regulars.stores.sqlite.migration_8 import MIGRATION as MIGRATION_8
from regulars.stores.sqlite.migration_9 import MIGRATION as MIGRATION_9

APPLICATION_ID: Final = 0x52454755
"""`REGU`: marks the file as ours."""

SUM_COLUMNS: Final = (
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
"""The additive columns of all rollups, in the order of `stores.base.Sums`."""

ROLLED_COLUMNS: Final = (*SUM_COLUMNS, "cost_prompt_nanousd")
"""All additive columns of rollups."""

DAILY_KEY: Final = (
    "account_id",
    "day",
    "end_user_id",
    "model_id",
    "endpoint_id",
    "provider_id",
    "key_id",
)
BLOCKS_KEY: Final = ("account_id", "block", "end_user_id")
DAYS_KEY: Final = ("account_id", "day", "end_user_id")
PAIRS_KEY: Final = ("account_id", "pair", "end_user_id")
HOURLY_KEY: Final = ("account_id", "hour", "model_id", "endpoint_id", "provider_id", "key_id")
QUARTERS_KEY: Final = (
    "account_id",
    "quarter",
    "model_id",
    "endpoint_id",
    "provider_id",
    "key_id",
)

_NAME: Final = """
CREATE TABLE name (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT
"""

_END_USER: Final = """
CREATE TABLE end_user (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES name (id),
    name TEXT NOT NULL,
    UNIQUE (account_id, name)
) STRICT
"""

# What reports select and add up has a column of its own, what is only shown lies in `details`, a
# JSON object: a column costs its share of every insert, and most would be empty.
_GENERATION: Final = """
CREATE TABLE generation (
    row INTEGER PRIMARY KEY,
    id ANY NOT NULL,
    account_id INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    status INTEGER NOT NULL,
    model_id INTEGER NOT NULL,
    end_user_id INTEGER REFERENCES end_user (id),
    provider_id INTEGER,
    endpoint_id INTEGER,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cached_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost_nanousd INTEGER,
    cost_prompt_nanousd INTEGER,
    cache_saving_nanousd INTEGER,
    ttft_ms REAL,
    duration_ms REAL NOT NULL,
    details TEXT NOT NULL
) STRICT
"""

_ODD_ID: Final = """
CREATE TABLE odd_id (
    id TEXT PRIMARY KEY,
    row INTEGER NOT NULL
) STRICT, WITHOUT ROWID
"""

_TAIL: Final = "CREATE TABLE tail (row INTEGER PRIMARY KEY) STRICT"

_BY_USER: Final = """
CREATE TABLE by_user (
    user_id INTEGER NOT NULL,
    row INTEGER NOT NULL,
    PRIMARY KEY (user_id, row)
) STRICT, WITHOUT ROWID
"""

_SUMS: Final = ",\n".join(f"    {column} INTEGER NOT NULL" for column in SUM_COLUMNS)


def _rollup(table: str, key: tuple[str, ...]) -> str:
    columns = ",\n".join(f"    {column} INTEGER NOT NULL" for column in key)
    return (
        f"CREATE TABLE {table} (\n{columns},\n{_SUMS},\n    last_us INTEGER NOT NULL,\n"
        f"    PRIMARY KEY ({', '.join(key)})\n) STRICT, WITHOUT ROWID"
    )


_API_KEY: Final = """
CREATE TABLE api_key (
    hash TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    role TEXT NOT NULL,
    account TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    disabled INTEGER NOT NULL
) STRICT
"""

_KEY_TERMS: Final = "ALTER TABLE api_key ADD COLUMN terms TEXT NOT NULL DEFAULT '{}'"
"""A key's `KeyTerms` as JSON: read whole with the key, never searched."""

_KEY_CHANGE: Final = """
CREATE TABLE key_change (
    id INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    key_hash TEXT NOT NULL,
    key_name TEXT NOT NULL,
    action TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT
"""

# Nearly no row has such a cost, so `hourly` has no column for it.
_BYOK: Final = """
CREATE TABLE byok (
    key_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    nanousd INTEGER NOT NULL,
    PRIMARY KEY (key_id, hour, account_id)
) STRICT, WITHOUT ROWID
"""
_BYOK_OF_ROWS: Final = """
INSERT INTO byok (key_id, hour, account_id, nanousd)
SELECT key_id, (row >> 11) / 3600000000, account_id, sum(details ->> 'byok_nanousd')
FROM generation WHERE details ->> 'byok_nanousd' IS NOT NULL GROUP BY 1, 2, 3
"""

# By row, so that any range of time is one of rows; with what rollups know, since rows may go.
_BILLED: Final = """
CREATE TABLE billed (
    row INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    model_id INTEGER NOT NULL,
    end_user_id INTEGER,
    provider_id INTEGER,
    endpoint_id INTEGER,
    nanousd INTEGER NOT NULL
) STRICT
"""
_BILLED_BY_USER: Final = "CREATE INDEX billed_by_user ON billed (end_user_id)"
_BILLED_OF_ROWS: Final = """
INSERT INTO billed
SELECT row, account_id, key_id, model_id, end_user_id, provider_id, endpoint_id,
    details ->> 'byok_nanousd'
FROM generation WHERE details ->> 'byok_nanousd' IS NOT NULL
"""

_CONTENT: Final = """
CREATE TABLE content (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at_us INTEGER NOT NULL,
    account TEXT NOT NULL,
    end_user TEXT,
    input TEXT NOT NULL,
    input_cut INTEGER NOT NULL,
    completion TEXT,
    reasoning TEXT,
    output_cut INTEGER NOT NULL
) STRICT
"""
_CONTENT_BY_TIME: Final = "CREATE INDEX content_by_time ON content (created_at_us)"
_CONTENT_BY_USER: Final = (
    "CREATE INDEX content_by_user ON content (end_user, account) WHERE end_user IS NOT NULL"
)

_KEY_USERS: Final = "ALTER TABLE api_key ADD COLUMN users TEXT NOT NULL DEFAULT '{}'"
"""A key's `UserPolicy` as JSON: read whole with the key, never searched."""

# AUTOINCREMENT: the greatest number only grows, so writers notice a new one by it.
_ERASURE: Final = """
CREATE TABLE erasure (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL,
    until_us INTEGER NOT NULL,
    anonymous TEXT NOT NULL UNIQUE,
    done INTEGER NOT NULL
) STRICT
"""

# Other names of a person: rows that come under `name` are kept under `person`.
_ALIAS: Final = """
CREATE TABLE alias (
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    person TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID
"""

_EXTERNAL_USER: Final = """
CREATE TABLE external_user (
    account TEXT NOT NULL,
    name TEXT NOT NULL,
    is_active INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID
"""

_SETTING: Final = """
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT
"""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        _NAME,
        _END_USER,
        _GENERATION,
        _ODD_ID,
        _TAIL,
        _BY_USER,
        _rollup("daily", DAILY_KEY),
        _rollup("blocks", BLOCKS_KEY),
        _rollup("hourly", HOURLY_KEY),
        _API_KEY,
        _SETTING,
        f"PRAGMA application_id = {APPLICATION_ID}",
    ),
    MIGRATION_2,
    (_KEY_TERMS, _KEY_CHANGE, _BYOK, _BYOK_OF_ROWS),
    (_CONTENT, _CONTENT_BY_TIME, _CONTENT_BY_USER),
    (_KEY_USERS, _ERASURE),
    (_ALIAS, _EXTERNAL_USER),
    ("ALTER TABLE external_user ADD COLUMN display_name TEXT",),
    MIGRATION_8,
    MIGRATION_9,
    (_BILLED, _BILLED_BY_USER, _BILLED_OF_ROWS),
)
"""Statements of migration 1, 2, …; append only: what has shipped never changes."""

SCHEMA_VERSION: Final = len(MIGRATIONS)
