"""Files of older schemas: what a migration adds is filled from what was kept."""

import sqlite3
from pathlib import Path

from conformance.stores.ledgers import HOUR_US, generation
from conformance.stores.slow_reports import answer
from regulars.reports.schema import Condition, ReportQuery
from regulars.stores.sqlite import open_store
from regulars.stores.sqlite.schema import MIGRATIONS

LATENCIES = ReportQuery(
    account="default",
    metrics=("duration_p90", "ttft_p50", "ttft_mean"),
    dimensions=("user",),
    where=(Condition("user", "neq", (None,)),),
)


def test_a_store_of_the_first_schema_gets_its_finer_rollups_from_what_it_keeps(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    store = open_store(url)
    rows = [
        generation(
            n,
            end_user=f"u{n % 5}",
            created_at_us=n * HOUR_US,
            ttft_ms=None if n % 3 else n / 8,
            duration_ms=n / 4,
        )
        for n in range(300)
    ]
    store.append(rows[:200])
    store.fold()
    store.append(rows[200:])
    store.close()
    as_the_first_schema(store.path)

    migrated = open_store(url)

    assert list(migrated.verify()) == []
    assert {(row[0],): [*row[1:]] for row in migrated.run(LATENCIES).rows} == answer(
        rows, LATENCIES
    )
    migrated.fold()
    assert list(migrated.verify()) == []
    migrated.close()


def as_the_first_schema(path: Path) -> None:
    """Put a file in its place that only has what the first migration makes, with the same rows."""
    first = path.with_suffix(".first")
    connection = sqlite3.connect(first, isolation_level=None)
    for statement in MIGRATIONS[0]:
        connection.execute(statement)
    connection.execute("ATTACH ? AS now", (str(path),))
    tables = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_schema")]
    for table in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
        if columns:
            names = ", ".join(columns)
            connection.execute(
                f"INSERT INTO main.{table} ({names}) SELECT {names} FROM now.{table}"
            )
    connection.execute("PRAGMA main.user_version = 1")
    connection.close()
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()
    first.replace(path)
