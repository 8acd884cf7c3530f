"""Locks on the store's file: other processes see that a gateway uses it, whatever it does besides."""

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from conformance.stores.ledgers import generation
from regulars.ledger.erase import erase_user
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore, open_store

SRC = Path(__file__).parents[2] / "src"
ALL = Filter(account="default")

OTHER = """
import sys
from regulars.stores.base import Filter
from regulars.stores.sqlite import open_store

store = open_store(sys.argv[1])
print(store.totals(Filter(account="default")).requests)
store.close()
"""


def seen_by_another_process(store: SqliteStore) -> int:
    """Have another process open, ask and close the store; return how many requests it saw."""
    done = subprocess.run(
        [sys.executable, "-c", OTHER, f"sqlite:///{store.path}"],
        env={"PYTHONPATH": str(SRC)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return int(done.stdout)


def test_an_erasure_leaves_the_log_to_those_who_write_to_it(tmp_path: Path) -> None:
    with closing(open_store(f"sqlite:///{tmp_path}/ledger.db")) as store:
        store.append([generation(n, end_user=f"u{n}") for n in range(50)])
        erase_user(store, "default", ("u3",), now_s=time.time())
        before = seen_by_another_process(store)
        store.append([generation(n) for n in range(100, 150)])
        after = seen_by_another_process(store)

    assert (before, after) == (50, 100)


def test_opening_a_store_again_leaves_the_log_too(tmp_path: Path) -> None:
    with closing(open_store(f"sqlite:///{tmp_path}/ledger.db")) as store:
        store.append([generation(n) for n in range(50)])
        open_store(f"sqlite:///{store.path}").close()
        before = seen_by_another_process(store)
        store.append([generation(n) for n in range(100, 150)])
        after = seen_by_another_process(store)

    assert (before, after) == (50, 100)
