"""kill -9 while rows flow: what was acknowledged is there, once."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from regulars.stores.base import Filter
from regulars.stores.sqlite import open_store

TESTS = Path(__file__).parents[1]

WORKER = """
import asyncio, sys
from conformance.stores.ledgers import generation
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerWriter
from regulars.stores.sqlite import open_store

async def one(writer, number):
    if await writer.settle(generation(number)):
        print(generation(number).id, flush=True)

async def main():
    writer = LedgerWriter(open_store(sys.argv[1]), LedgerSettings())
    writer.start()
    for start in range(0, 1_000_000, 20):
        await asyncio.gather(*(one(writer, start + n) for n in range(20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("acknowledged", [1, 500])
def test_acknowledged_rows_survive_a_kill(tmp_path: Path, acknowledged: int) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, url],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent / 'src'}"},
    )
    assert worker.stdout is not None

    seen = [worker.stdout.readline().strip() for _ in range(acknowledged)]
    worker.send_signal(signal.SIGKILL)
    rest, _ = worker.communicate(timeout=10)
    seen += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]

    store = open_store(url)
    ids = {line.strip() for line in seen}
    totals = store.totals(Filter(account="default"))
    by_user = store.users(Filter(account="default"), limit=10)
    assert len(ids) >= acknowledged
    assert all(store.generation(row_id) is not None for row_id in ids)
    assert totals.requests == by_user[0].sums.requests >= len(ids)
    store.close()
