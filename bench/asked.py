"""Reports and exports by themselves: fill a ledger at a path, ask it, print figures as JSON.

python -m bench.asked FILE --rows 300000 --users 20000

With --exported a filled ledger is exported and nothing else is done: the memory a process ever had
is that of the export alone.
"""

import argparse
import gc
import json
import math
import random
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec.structs import replace as changed

from bench.ledger import DAY_US, START_US, Load, made
from regulars.exports.export import ExportQuery, export_pieces
from regulars.http.report_json import FIGURES
from regulars.http.users import user_view
from regulars.model.generation import Generation, Outcome
from regulars.reports.definitions import METRICS
from regulars.reports.schema import Condition, Order, ReportQuery, Window
from regulars.stores.base import Filter
from regulars.stores.sqlite import SqliteStore, open_store

DAYS = 31
BATCH_ROWS = 5_000
TIMES = 3
PAGES = 6
LONG_AGO_DAYS = range(1, 9)
"""A window begins at each of the eight days of a block in turn: the slowest counts."""
ANY_DAY = ("cost", "cached_share", "duration_p90", "sessions")
"""A sum, a share, what users' own rows tell and what all rows tell: asked from each first day."""
MODELS = ("meta/llama-3.3-70b", "qwen/qwen3-235b", "deepseek/deepseek-v3.2", "mistral/small")
RARE = "rare/model"
FIRST_TOKEN = (math.log(300), 0.6)
EACH_TOKEN = (math.log(15), 0.4)
"""Milliseconds, lognormal, the same for every user: nobody stands out, so ranking has most to do."""
RARE_SHARE = 2e-5
EXPORTED_ROWS_MAX = 1_000_000


def main() -> None:
    """Fill and ask, or export; print."""
    parser = argparse.ArgumentParser(prog="bench.asked", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--exported", action="store_true")
    given = parser.parse_args()
    store = open_store(f"sqlite:///{given.file}")
    if given.exported:
        print(json.dumps(exported(store)))
    else:
        fill(store, Load(rows=given.rows, users=given.users, days=DAYS, seed=1, seconds=0.0))
        print(json.dumps(questions(store)))
    store.close()


def fill(store: SqliteStore, load: Load) -> None:
    """Bring the ledger to its size."""
    rows = varied(load)
    for _ in range(load.rows // BATCH_ROWS):
        store.append([next(rows) for _ in range(BATCH_ROWS)])
        store.fold()


def varied(load: Load) -> Iterator[Generation]:
    """Make rows of several models, some failed, with sessions, each as quick as it happens."""
    chance = random.Random(load.seed)
    for row in made(load):
        model = RARE if chance.random() < RARE_SHARE else chance.choice(MODELS)
        ttft_ms = chance.lognormvariate(*FIRST_TOKEN)
        tokens = row.usage.completion_tokens if row.usage else 0
        duration_ms = ttft_ms + tokens * chance.lognormvariate(*EACH_TOKEN)
        yield changed(
            row,
            model=model,
            endpoint=f"{row.provider}/{model}",
            outcome=Outcome.COMPLETED if chance.random() > 0.03 else Outcome.FAILED,
            session=f"s-{row.end_user}-{chance.randrange(20)}",
            ttft_ms=int(ttft_ms * 1000) / 1000,
            duration_ms=int(duration_ms * 1000) / 1000,
        )


def questions(store: SqliteStore) -> dict[str, Any]:
    """Time each question of the issue, in milliseconds; of the rankings the slowest."""
    begin = (START_US // DAY_US + 1) * DAY_US
    month = Window(begin, begin + 30 * DAY_US)
    plain = ReportQuery(account="default", metrics=FIGURES, window=month, limit=100)
    nobody = Condition("user", "neq", (None,))
    users = replace(plain, dimensions=("user",), where=(nobody,))
    daily = replace(plain, dimensions=("model",), step="day", limit=10_000)
    one = replace(plain, where=(Condition("user", "eq", ("user-7",)),))
    top = {name: _ms(lambda name=name: store.run(_by(users, name))) for name in METRICS}
    any_day = [
        _ms(lambda name=name, day=day: store.run(replace(_by(users, name), window=_since(day))))
        for name in ANY_DAY
        for day in LONG_AGO_DAYS
    ]
    print({name: round(each) for name, each in top.items()}, file=sys.stderr)
    return {
        "top_ms": max(top.values()),
        "top_by": max(top, key=lambda name: top[name]),
        "top_any_day_ms": max(any_day),
        "one_ms": _ms(lambda: user_view(store, "user-7", one)),
        "daily_ms": _ms(lambda: store.run(daily)),
        "kathmandu_ms": _ms(lambda: store.run(replace(daily, zone="Asia/Kathmandu"))),
        "list_ms": _page_ms(store, Filter("default", provider="beta")),
        "rare_list_ms": _page_ms(store, Filter("default", model=RARE)),
    }


def exported(store: SqliteStore) -> dict[str, float]:
    """Export to CSV; CPU in microseconds a row, and the most memory the process ever had."""
    end = START_US + 2 * DAYS * DAY_US
    wanted = ExportQuery(format="csv", where=Filter("default", to_us=end), now_us=end)
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
    count, cpu, wall = 0, time.process_time(), time.perf_counter()
    pieces = export_pieces(store, wanted)
    for piece in pieces:
        count += piece.count(b"\n")
        if count > EXPORTED_ROWS_MAX:
            break
    pieces.close()
    return {
        "export_rows": count,
        "export_cpu_us": (time.process_time() - cpu) / count * 1e6,
        "export_wall_us": (time.perf_counter() - wall) / count * 1e6,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _by(query: ReportQuery, metric: str) -> ReportQuery:
    figures = FIGURES if metric in FIGURES else (*FIGURES, metric)
    return replace(query, metrics=figures, order=(Order(metric),))


def _since(day: int) -> Window:
    begin = (START_US // DAY_US + day) * DAY_US
    return Window(begin, begin + 30 * DAY_US)


def _page_ms(store: SqliteStore, where: Filter) -> float:
    """Walk pages; the slowest counts, each asked again as others load the machine too."""
    slowest, before = 0.0, None
    for _ in range(PAGES):
        at = before
        slowest = max(slowest, _ms(lambda at=at: store.generations(where, limit=50, before=at)))
        _, before = store.generations(where, limit=50, before=at)
        if before is None:
            break
    return slowest


def _ms(ask: Callable[[], Any]) -> float:
    """Return the quickest of some tries, CPU of this thread: others load the machine too."""
    waits: list[float] = []
    for _ in range(TIMES):
        began = time.thread_time()
        ask()
        waits.append(time.thread_time() - began)
    return min(waits) * 1000


if __name__ == "__main__":
    main()
