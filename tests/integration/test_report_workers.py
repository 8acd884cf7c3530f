"""A scheduled report of `regulars serve` with several workers, each a process that looks at the clock."""

import csv
import io
import sys
import time
from pathlib import Path

import pytest

from conformance.stores.ledgers import DAY_US, generation
from fakes.provider import ScriptedProvider
from fakes.served_process import config_text, served_process
from regulars.stores.sqlite import open_store
from regulars.stores.sqlite.deliveries import SqliteDeliveries, deliveries_path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
REPORT = """
[[reports]]
name = "by-user"
cron = "0 0 * * *"
group_by = ["user"]
folder = "out"
"""


def test_of_three_worker_processes_one_delivers_what_was_due(tmp_path: Path) -> None:
    now_us = time.time_ns() // 1000
    noon_us = (now_us // DAY_US - 1) * DAY_US + DAY_US // 2
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    store.append([generation(n, created_at_us=noon_us + n, end_user="ann") for n in range(7)])
    store.close()
    book = SqliteDeliveries(deliveries_path(store.path))
    # The report was looked at two days ago, so it is due at once.
    book.last_due("by-user", now_us - 2 * DAY_US)

    with ScriptedProvider() as provider:
        config = config_text(tmp_path, {"p0": provider.url}, more=REPORT)
        with served_process(tmp_path, config, "--workers", "3") as gateway:
            gateway.log.wait_for("report_delivered")
            # Whoever comes to look later finds it taken.
            assert gateway.chat(user="ann").status == 200

    deliveries = book.newest(10)
    book.close()
    (file,) = (tmp_path / "out").iterdir()
    (row,) = csv.DictReader(io.StringIO(file.read_text(), newline=""))
    assert [each.status for each in deliveries] == ["delivered"]
    assert sum("report_delivered" in line for line in gateway.log.lines) == 1
    assert (row["user"], row["requests"]) == ("ann", "7")
