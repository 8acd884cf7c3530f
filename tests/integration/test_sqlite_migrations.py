"""Files of older schemas: what a migration adds is filled from what was kept."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from conformance.stores.ledgers import HOUR_US, generation
from conformance.stores.slow_reports import answer
from regulars.reports.schema import Condition, ReportQuery
from regulars.stores.base import StoreVersionError
from regulars.stores.sqlite import open_store
from regulars.stores.sqlite.connect import create_file
from regulars.stores.sqlite.migrate import check, prepare
from regulars.stores.sqlite.schema import MIGRATIONS, SCHEMA_VERSION
from regulars.stores.sqlite.stamp import changed, stamp

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


def test_a_program_of_before_stops_writing_once_a_newer_one_has_migrated(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    store = open_store(url)
    store.append([generation(n) for n in range(10)])
    with closing(sqlite3.connect(store.path, isolation_level=None)) as newer:
        # What `prepare` does in a program that knows one migration more.
        newer.execute("BEGIN IMMEDIATE")
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        changed(newer)
        newer.execute("COMMIT")

    for _ in range(2):
        with pytest.raises(StoreVersionError, match="upgrade Regulars"):
            store.append([generation(n) for n in range(10, 20)])
    with pytest.raises(StoreVersionError, match="upgrade Regulars"):
        store.fold()

    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("SELECT count(*) FROM generation").fetchone() == (10,)
        assert connection.execute("SELECT count(*) FROM tail").fetchone() == (10,)
    store.close()


def test_a_migration_is_told_to_who_is_writing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(1)])
    store.close()
    as_the_first_schema(store.path)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("CREATE TABLE erasure (number INTEGER)")
        before = stamp(connection)
        connection.execute("DROP TABLE erasure")

    prepare(store.path)

    with closing(sqlite3.connect(store.path)) as connection:
        assert stamp(connection) != before


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_file_that_another_process_makes_meanwhile_is_ours(tmp_path: Path, moment: int) -> None:
    path = tmp_path / "ledger.db"
    create_file(path)
    asked: list[str] = []

    def other_process(statement: str) -> None:
        asked.append(statement)
        if len(asked) == moment:
            prepare(path)

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.set_trace_callback(other_process)
        version = check(connection, path)

    assert len(asked) == 3
    assert version in {0, SCHEMA_VERSION}
