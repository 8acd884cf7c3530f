"""Files of older schemas: what a migration adds is filled from what was kept."""

import sqlite3
from pathlib import Path

from conformance.stores.ledgers import HOUR_US, generation
from regulars.stores.sqlite import open_store

OLDER = ("daily", "blocks", "hourly")
PEOPLE = ("erasure", "alias", "external_user")
LATER = ("pairs", "quarters", "key_change", "byok", "content", *PEOPLE)


def test_a_store_of_the_first_schema_gets_its_finer_rollups_from_what_it_keeps(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    store = open_store(url)
    rows = [generation(n, end_user=f"u{n % 5}", created_at_us=n * HOUR_US) for n in range(300)]
    store.append(rows[:200])
    store.fold()
    store.append(rows[200:])
    store.close()
    as_the_first_schema(store.path)

    migrated = open_store(url)

    assert list(migrated.verify()) == []
    migrated.fold()
    assert list(migrated.verify()) == []
    migrated.close()


def as_the_first_schema(path: Path) -> None:
    connection = sqlite3.connect(path)
    for table in LATER:
        connection.execute(f"DROP TABLE {table}")
    for column in ("terms", "users"):
        connection.execute(f"ALTER TABLE api_key DROP COLUMN {column}")
    for table in OLDER:
        connection.execute(f"ALTER TABLE {table} DROP COLUMN cost_prompt_nanousd")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
