"""The ledger by itself: CPU per row at small and large batches, reports at size, and the writer.

    python -m bench.ledger --rows 1000000 --users 100000

CPU per row (thread and process) is steadier than rows per second on a shared machine. The last
line of what it prints is one JSON object, which `bench.recorded` makes rows of.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.commits import PACES, disk_ms, waits_ms
from bench.process import resident_mb
from regulars.config.settings import LedgerSettings
from regulars.ledger import LedgerWriter
from regulars.model.generation import Attempt, Generation, Outcome, UsageSource
from regulars.model.ids import GENERATION_RANDOM_BITS, generation_id
from regulars.model.money import Cost
from regulars.model.tokens import Usage
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore, open_store

START_US = 1_760_000_000_000_000
PROVIDERS = ("alpha", "beta", "gamma")
FILL_ROWS = 5_000
MEASURED_ROWS = 20_000
SETTLE_AT_ONCE = 32
ALL = Filter(account="default")
DAY_US = 86_400_000_000
LOOKUP_PAGES = 20
LOOKUPS = 2000
CALM_S = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """How the ledger is filled."""

    rows: int
    users: int
    days: int
    seed: int
    seconds: float


def main() -> None:
    """Fill a ledger, measuring on the way, and ask it."""
    parser = argparse.ArgumentParser(prog="bench.ledger", description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="Rows in the ledger.")
    parser.add_argument("--users", type=int, default=20_000, help="End users among them.")
    parser.add_argument("--days", type=int, default=30, help="Time the rows are spread over.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0, help="Length of each paced load.")
    load = Load(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(dir=os.curdir) as folder:
        store = open_store(f"sqlite:///{Path(folder).absolute()}/ledger.db")
        rows = made(load)
        figures = fill(store, rows, load.rows)
        for batch in (16, 512):
            measure(store, rows, batch)
        settle(store, rows)
        for rate in PACES:
            ready = take(rows, int(rate * load.seconds))
            calm(store)
            figures |= {f"wait_{rate}": waits_ms(store, ready, rate)}
            print(f"{rate} rows/s: {figures[f'wait_{rate}']}")
        figures |= {"lookup_ms": lookup_ms(store), "disk": disk_ms(store.path.parent)}
        ask(store, load)
        began = time.perf_counter()
        differences = len(list(store.verify()))
        print(f"verify: {time.perf_counter() - began:.1f} s, {differences} differences")
        store.close()
        print(json.dumps(figures))


def made(load: Load) -> Iterator[Generation]:
    """Make rows for ever, in time order, at the load's pace."""
    chance = random.Random(load.seed)
    step_us = max(load.days * DAY_US // load.rows, 1)
    at_us = START_US
    while True:
        at_us += chance.randrange(2 * step_us) + 1
        yield row(at_us, chance, load.users)


def row(at_us: int, chance: random.Random, users: int) -> Generation:
    """Make one completed streamed generation as the gateway would."""
    prompt, completion = chance.randrange(200, 3000), chance.randrange(20, 400)
    provider = chance.choice(PROVIDERS)
    cost = Cost(prompt * 600 + completion * 800, prompt * 600, completion * 800, prompt * 200)
    return Generation(
        id=generation_id(at_us, chance.getrandbits(GENERATION_RANDOM_BITS)),
        created_at_us=at_us,
        account="default",
        key_hash="k" * 64,
        outcome=Outcome.COMPLETED,
        status=200,
        model="meta/llama-3.3-70b",
        streamed=True,
        end_user=f"user-{chance.randrange(users)}",
        provider=provider,
        endpoint=f"{provider}/meta/llama-3.3-70b",
        upstream_model="llama-3.3-70b",
        upstream_id=f"chatcmpl-{chance.getrandbits(96):024x}",
        finish_reason="stop",
        native_finish_reason="stop",
        usage=Usage(prompt, completion, prompt // 2),
        usage_source=UsageSource.REPORTED,
        cost=cost,
        ttft_ms=12.345,
        duration_ms=45.678,
        user_agent="OpenAI/Python 2.1",
        attempts=(
            Attempt(
                f"{provider}/meta/llama-3.3-70b", provider, "warm-user", 200, None, 0.123, 45.5
            ),
        ),
    )


def take(rows: Iterator[Generation], count: int) -> list[Generation]:
    """Make the next rows ahead of what is measured."""
    return [next(rows) for _ in range(count)]


def fill(store: SqliteStore, rows: Iterator[Generation], count: int) -> dict[str, object]:
    """Bring the ledger to its size in large batches; CPU a row, and memory on the way."""
    wall, cpu = 0.0, 0.0
    memory_mb: list[float] = []
    for start in range(0, count, FILL_ROWS):
        batch = take(rows, min(FILL_ROWS, count - start))
        began, before = time.perf_counter(), time.thread_time()
        store.append(batch)
        # An older tree, run to compare with, is always pressed.
        while getattr(store, "is_pressed", True) and store.tidy(keep_from_us=None):
            pass  # bounded by the tail
        wall, cpu = wall + time.perf_counter() - began, cpu + time.thread_time() - before
        memory_mb.append(resident_mb(os.getpid()))
    size = sum(file.stat().st_size for file in store.path.parent.glob("*.db*"))
    print(f"filled {count} rows: {count / wall:,.0f} rows/s, {size / count:.0f} bytes a row")
    return {
        "rows": count,
        "rows_per_s": count / wall,
        "cpu_us": cpu / count * 1e6,
        "memory_mb": memory_mb[-1],
        "grown_mb": memory_mb[-1] - memory_mb[len(memory_mb) // 2],
    }


def calm(store: SqliteStore) -> None:
    """Let the disk finish what was written before: a paced load is to meet its own writes only."""
    if hasattr(store, "checkpoint"):  # an older tree, run to compare with, may have none
        store.checkpoint()
    os.sync()
    time.sleep(CALM_S)


def lookup_ms(store: SqliteStore) -> float:
    """Look up rows all over the ledger by id, in any order: the median."""
    pages = islice(store.scan(ALL, ("id",)), 0, LOOKUP_PAGES, 2)
    ids = [one for (page,) in pages for one in page]
    random.Random(1).shuffle(ids)
    waits: list[float] = []
    for one in ids[:LOOKUPS]:
        began = time.perf_counter()
        store.generation(one)
        waits.append(time.perf_counter() - began)
    return _at(waits, 0.5)


def measure(store: SqliteStore, rows: Iterator[Generation], batch: int) -> None:
    """Append in batches of one size, folds and checkpoints included."""
    ready = take(rows, MEASURED_ROWS)
    store.fold()  # what was filled before is not measured here
    gc.collect()
    gc.freeze()
    waits: list[float] = []
    cpu, wall, before = time.thread_time(), time.perf_counter(), os.times()
    for start in range(0, MEASURED_ROWS, batch):
        began = time.perf_counter()
        store.append(ready[start : start + batch])
        waits.append(time.perf_counter() - began)
        store.tidy(keep_from_us=None)
    store.fold()
    cpu, wall, after = time.thread_time() - cpu, time.perf_counter() - wall, os.times()
    system = (after.system - before.system) / MEASURED_ROWS * 1e6
    print(
        f"batches of {batch}: {cpu / MEASURED_ROWS * 1e6:.1f} µs CPU a row ({system:.1f} system), "
        f"{MEASURED_ROWS / wall:,.0f} rows/s, commit p50 {_at(waits, 0.5):.2f} ms, "
        f"p99 {_at(waits, 0.99):.2f} ms"
    )


def settle(store: SqliteStore, rows: Iterator[Generation]) -> None:
    """Send rows through the writer as 32 clients would, each waiting for its row."""
    ready = take(rows, MEASURED_ROWS)

    async def client(writer: LedgerWriter, mine: Sequence[Generation]) -> None:
        for one in mine:
            await writer.settle(one)

    async def session() -> None:
        writer = LedgerWriter(store, LedgerSettings())
        writer.start()
        loop_cpu, all_cpu, wall = time.thread_time(), time.process_time(), time.perf_counter()
        mine = [ready[number::SETTLE_AT_ONCE] for number in range(SETTLE_AT_ONCE)]
        await asyncio.gather(*(client(writer, some) for some in mine))
        loop_us = (time.thread_time() - loop_cpu) / MEASURED_ROWS * 1e6
        all_us = (time.process_time() - all_cpu) / MEASURED_ROWS * 1e6
        wall = time.perf_counter() - wall
        writer.stop()
        print(
            f"writer, {SETTLE_AT_ONCE} clients: loop {loop_us:.1f} µs, thread {all_us - loop_us:.1f} µs "
            f"CPU a row, {MEASURED_ROWS / wall:,.0f} rows/s"
        )

    asyncio.run(session())


def ask(store: SqliteStore, load: Load) -> None:
    """Time the reports."""
    end_us = START_US + load.days * DAY_US
    one = store.generations(ALL, limit=1, before=None)[0][0]
    month = Filter("default", from_us=end_us - 30 * DAY_US, to_us=end_us)
    week = Filter("default", from_us=end_us - 7 * DAY_US, to_us=end_us)
    user = Filter("default", user="user-7")
    questions: dict[str, Callable[[], object]] = {
        "point lookup": lambda: store.generation(one.id),
        "newest page": lambda: store.generations(ALL, limit=100, before=None),
        "a user's page": lambda: store.generations(user, limit=100, before=None),
        "a user's total": lambda: store.totals(user),
        "top users, all time": lambda: store.users(ALL, limit=50),
        "top users, 30 days": lambda: store.users(month, limit=50),
        "top users, 7 days": lambda: store.users(week, limit=50),
        "activity, 30 days": lambda: store.activity(month, by_user=False, limit=1000),
    }
    for name, question in questions.items():
        waits: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            question()
            waits.append(time.perf_counter() - began)
        print(f"{name}: {min(waits) * 1000:.2f} ms")


def _at(waits: Sequence[float], share: float) -> float:
    return sorted(waits)[int(share * (len(waits) - 1))] * 1000


if __name__ == "__main__":
    main()
