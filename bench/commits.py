"""How long rows wait to be durable when they come at a steady rate, whatever the disk does."""

import asyncio
import os
import tempfile
import time
from array import array
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.reader import percentile
from bench.steps import TimedStore
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerWriter
from regulars.model.generation import Generation
from regulars.stores.base import Ledger
from regulars.stores.sqlite import SqliteStore

PACES = (500, 2000, 15_000)
"""Rows a second: few; half of what one worker serves; what the ledger must take."""
TICK_S = 0.002
WAIT_MAX_S = 60.0
SYNCS = 200
BATCH_BYTES = 20_000


def waits_ms(store: SqliteStore, rows: Sequence[Generation], rate: int) -> dict[str, float]:
    """Submit rows at a rate, and tell how long they waited; late ticks count from their due time."""
    # An older tree, run to compare with, does not know what is timed.
    timed = TimedStore(store) if hasattr(store, "is_pressed") else None
    waits = asyncio.run(_submit(timed or store, rows, rate))
    print("" if timed is None else f"  {timed.report()}")
    return {name: percentile(waits, share) * 1e3 for name, share in (("p50", 0.5), ("p99", 0.99))}


def disk_ms(folder: Path) -> dict[str, float]:
    """Tell how long the disk itself takes to make a batch's bytes durable, others' load included."""
    waits = array("d")
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNCS):
            os.write(file.fileno(), bytes(BATCH_BYTES))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            waits.append(time.perf_counter() - began)
    return {name: percentile(waits, share) * 1e3 for name, share in (("p50", 0.5), ("p99", 0.99))}


async def _submit(store: Ledger, rows: Sequence[Generation], rate: int) -> "array[float]":
    waits = array("d")
    writer = LedgerWriter(store, LedgerSettings())
    writer.start()
    began = time.perf_counter()
    step = max(1, round(rate * TICK_S))
    for start in range(0, len(rows), step):
        due = began + start / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        for row in rows[start : start + step]:
            writer.submit(row).add_done_callback(partial(_note, waits, due))
    await writer.drain(WAIT_MAX_S)
    writer.stop()
    assert len(waits) == len(rows), "every row is durable"
    return waits


def _note(waits: "array[float]", due: float, _durable: "asyncio.Future[bool]") -> None:
    waits.append(time.perf_counter() - due)
