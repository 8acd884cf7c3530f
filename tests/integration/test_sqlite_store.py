"""The SQLite file itself: opening, versions, several processes, failures, query plans."""

import multiprocessing
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from conformance.stores.ledgers import FULL, NOON_US, generation
from regulars.billing.price import cost, sane
from regulars.model.money import Price
from regulars.model.tokens import Usage
from regulars.stores.base import Filter, StoreError, StoreTimeoutError, StoreVersionError
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.query import source
from regulars.stores.sqlite.schema import MIGRATIONS, SCHEMA_VERSION

ALL = Filter(account="default")
TESTS = Path(__file__).parents[1]


def test_a_new_store_is_private_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "ledger.db"

    open_store(f"sqlite:///{path}").close()

    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@h/db", "sqlite:///", "sqlite://x", "sqlite:///:memory:", ""]
)
def test_an_unusable_url_is_named_with_the_fix(url: str) -> None:
    with pytest.raises(StoreError, match=r"sqlite:///file\.db") as caught:
        open_store(url)

    assert "secret" not in str(caught.value)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_store(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()

    with pytest.raises(StoreVersionError, match="upgrade Regulars"):
        open_store(f"sqlite:///{path}")


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE precious (id)")
    connection.close()

    with pytest.raises(StoreError, match="another program"):
        open_store(f"sqlite:///{path}")


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look like a file " * 100)

    with pytest.raises(StoreError, match="not a SQLite database"):
        open_store(f"sqlite:///{path}")


def _open_and_fill(url: str, worker: int, secrets: "multiprocessing.Queue[bytes]") -> None:
    store = open_store(url)
    secrets.put(store.secret("cookie"))
    for batch in range(10):
        store.append([generation(n, end_user=f"u{n}") for n in range(batch * 20, batch * 20 + 20)])
        store.append([generation(10_000 + worker * 100 + batch)])
    store.close()


def test_several_processes_open_migrate_and_write_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    context = multiprocessing.get_context("spawn")
    secrets: multiprocessing.Queue[bytes] = context.Queue()
    workers = [
        context.Process(target=_open_and_fill, args=(url, number, secrets)) for number in range(4)
    ]

    for worker in workers:
        worker.start()
    found = {secrets.get(timeout=20) for _ in workers}
    for worker in workers:
        worker.join(20)

    store = open_store(url)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert len(found) == 1
    assert store.totals(ALL).requests == 200 + 40
    assert len(store.users(ALL, limit=1000)) == 201
    store.close()


def test_a_locked_store_says_so(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="locked by another process"):
        store.append([generation(1)])
    other.close()
    store.append([generation(1)])

    assert store.totals(ALL).requests == 1
    store.close()


def test_a_deleted_file_is_noticed(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(1)])
    store.path.unlink()

    with pytest.raises(StoreError, match="is gone"):
        store.append([generation(2)])
    store.close()


def test_a_restored_backup_is_taken_up(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(1, end_user="early")])
    with sqlite3.connect(store.path) as connection:
        connection.execute("VACUUM INTO ?", (str(tmp_path / "backup.db"),))
    connection.close()
    store.append([generation(2, end_user="late")])
    for name in ("ledger.db-wal", "ledger.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "backup.db").rename(store.path)

    store.append([generation(3, end_user="new")])
    store.close()

    again = open_store(f"sqlite:///{store.path}")
    assert {row.user for row in again.users(ALL, limit=9)} == {"early", "new"}
    again.close()


def test_absurd_counts_overflow_no_sum(tmp_path: Path) -> None:
    dear = Price(Decimal("0.000075"), Decimal("0.000375"))
    absurd = sane(Usage(prompt_tokens=10**30, completion_tokens=1))
    each = cost(absurd, dear)
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")

    for batch in range(20):
        numbers = range(batch * 500, batch * 500 + 500)
        store.append([generation(n, usage=absurd, cost=each) for n in numbers])
    store.fold()

    assert store.totals(ALL).cost_nanousd == 10_000 * each.total
    assert list(store.verify()) == []
    store.close()


FULL_DISK = """
import resource, sys
from conformance.stores.ledgers import generation
from regulars.stores.base import Filter, StoreError
from regulars.stores.sqlite import open_store

store = open_store(sys.argv[1])
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
kept = 0
try:
    for number in range(5000):
        store.append([generation(number, end_user=f"u{number}")])
        kept += 1
except StoreError as exc:
    assert "ledger.db" in str(exc) and "free space" in str(exc), exc
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
for number in range(kept + 10):
    store.append([generation(number, end_user=f"u{number}")])
assert 0 < kept < 5000, kept
assert store.totals(Filter(account="default")).requests == kept + 10
assert len(store.users(Filter(account="default"), limit=10_000)) == kept + 10
"""


def test_a_full_disk_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, f"sqlite:///{tmp_path}/ledger.db"],
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="folder's permissions"):
        open_store(f"sqlite:///{tmp_path}/file/ledger.db")


def test_a_report_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/ledger.db").close()
    store = SqliteStore(tmp_path / "ledger.db", query_time_max_s=0.0)
    store.append([generation(n, end_user=f"u{n}") for n in range(5000)])

    with pytest.raises(StoreTimeoutError, match="shorter time"):
        store.series(ALL, step="minute", group_by="user", groups_max=100)
    store.close()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (
            Filter("default", from_us=NOON_US, to_us=NOON_US * 2),
            "daily USING PRIMARY KEY (account_id=? AND day>? AND day<?)",
        ),
        (
            Filter("default", user="ann"),
            "daily USING PRIMARY KEY (account_id=? AND day=? AND end_user_id=?)",
        ),
        (
            Filter("default", from_us=1, to_us=2),
            "generation USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ),
        (
            Filter("default", user="ann", from_us=1, to_us=2),
            "by_user USING PRIMARY KEY (user_id=? AND row>? AND row<?)",
        ),
        (Filter("default", user="ann"), "tail USING INTEGER PRIMARY KEY|SCAN tail"),
    ],
    ids=["days", "days of a user", "rows", "rows of a user", "not folded"],
)
def test_reports_walk_the_index_of_their_range(
    tmp_path: Path, where: Filter, expected: str
) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.append([generation(n, end_user=f"u{n}") for n in range(200)])
    found = source(where, "daily", groups=["end_user_id"])

    connection = sqlite3.connect(store.path)
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT end_user_id, sum(requests) FROM {found.sql} GROUP BY +end_user_id",
        found.values,
    ).fetchall()
    connection.close()

    steps = "\n".join(line[3] for line in plan)
    assert any(wanted in steps for wanted in expected.split("|"))
    store.close()


def test_an_older_store_learns_what_was_billed_elsewhere(tmp_path: Path) -> None:
    older = next(n for n, one in enumerate(MIGRATIONS) if any("TABLE byok" in each for each in one))
    url = f"sqlite:///{tmp_path}/old.db"
    store = open_store(url)
    store.append([FULL, generation(1)])
    store.close()
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        for table in (
            "byok",
            "content",
            "key_change",
            "erasure",
            "alias",
            "external_user",
            "days",
            "billed",
        ):
            connection.execute(f"DROP TABLE {table}")
        for column in ("terms", "users"):
            connection.execute(f"ALTER TABLE api_key DROP COLUMN {column}")
        connection.execute(f"PRAGMA user_version = {older}")

    store = open_store(url)

    assert FULL.cost is not None
    spent = store.spent_since("default", FULL.key_hash, None)
    assert (spent.nanousd, spent.byok_nanousd) == (3000, FULL.cost.byok)
    store.close()
