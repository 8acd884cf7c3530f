"""kill -9 during an erasure, and of a gateway whose user was erased while it worked for him."""

import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from threading import Thread

import pytest
from msgspec.structs import replace

from fakes.kept_files import kept
from fakes.provider import ScriptedProvider
from fakes.provider_script import Script
from fakes.sample_ledger import sample_rows
from fakes.served_process import config_text, served_process
from regulars.ledger.erase import erase_user
from regulars.ledger.spool import write_spool
from regulars.stores.base import Filter
from regulars.stores.sqlite import open_store

SRC = Path(__file__).parents[2] / "src"
CANARY = "canary-4711"
NOW_S = 1_800_000_000.0
WAIT_S = 20.0

ERASER = """
import sys
from regulars.ledger.erase import erase_user
from regulars.stores.sqlite import open_store

store = open_store(sys.argv[1])
print("begins", flush=True)
erase_user(store, "default", (sys.argv[2],), now_s=float(sys.argv[3]))
"""


def bytes_left(folder: Path) -> list[str]:
    return [name for name, content in kept(folder).items() if CANARY.encode() in content]


def wait_until(so: Callable[[], bool]) -> None:
    for _ in range(int(WAIT_S / 0.05)):
        if so():
            return
        time.sleep(0.05)
    raise AssertionError(f"not so after {WAIT_S} s")


@pytest.mark.parametrize("alive_s", [0.0, 0.004, 0.015, 0.05])
def test_an_erasure_killed_anywhere_is_finished_by_the_next(tmp_path: Path, alive_s: float) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    store = open_store(url)
    rows = [replace(row, end_user=CANARY) for row in sample_rows(NOW_S, days=9, count=3000)]
    store.append(rows[:2990])
    store.fold()
    write_spool(store.spool_path, rows[2990:])
    before = store.totals(Filter("default"))
    eraser = subprocess.Popen(
        [sys.executable, "-c", ERASER, url, CANARY, str(NOW_S)],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(SRC)},
    )
    assert eraser.stdout is not None
    assert eraser.stdout.readline() == b"begins\n"

    time.sleep(alive_s)
    eraser.kill()
    eraser.communicate(timeout=WAIT_S)
    receipt = erase_user(store, "default", (CANARY,), now_s=NOW_S)

    assert bytes_left(tmp_path) == []
    assert receipt["occurrences_left"] == 0
    assert store.totals(Filter("default")) == before
    assert list(store.verify()) == []
    store.close()


def test_what_a_killed_gateway_was_doing_for_an_erased_user_is_anonymous(tmp_path: Path) -> None:
    def ask() -> None:
        # Killed in the middle of its answer, the gateway closes the connection.
        with pytest.raises((OSError, HTTPException)):
            gateway.chat(user=CANARY, session_id=f"s-{CANARY}")

    with ScriptedProvider(default=Script(body_delay_s=WAIT_S)) as provider:
        config = config_text(tmp_path, {"alpha": provider.url})
        with served_process(tmp_path, config) as gateway:
            client = Thread(target=ask)
            client.start()
            wait_until(lambda: bool(bytes_left(tmp_path)))
            store = open_store(gateway.store_url)
            erase_user(store, "default", (CANARY,), now_s=time.time())
            store.close()
            left = bytes_left(tmp_path)
            gateway.process.kill()
            client.join(WAIT_S)
        with served_process(tmp_path, config) as gateway:
            wait_until(lambda: bool(gateway.rows()))
            rows = gateway.rows()

    assert left == []
    assert bytes_left(tmp_path) == []
    assert [(row.outcome, row.end_user, row.session) for row in rows] == [
        ("interrupted", "erased-0", None)
    ]
