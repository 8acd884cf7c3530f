"""Scheduled reports over a real store: folders, webhooks, several workers, a time out of service."""

import csv
import hmac
import io
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fakes.sample_ledger import sample_rows
from regulars.config.settings import ReportSettings, WebhookSettings
from regulars.delivery.runner import LOST_S, ReportRunner
from regulars.stores.deliveries import Delivery
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.deliveries import SqliteDeliveries

NOON_S = 1_790_000_000 // 86_400 * 86_400 + 43_200
DAY_S = 86_400
DAILY = "0 6 * * *"


@dataclass(slots=True)
class Clock:
    now_s: float = NOON_S

    def __call__(self) -> float:
        return self.now_s


@dataclass(slots=True)
class Hook:
    """A webhook that answers with these statuses, then 200."""

    statuses: list[int] = field(default_factory=list[int])
    got: list[tuple[dict[str, str], bytes]] = field(
        default_factory=list[tuple[dict[str, str], bytes]]
    )
    url: str = ""


@contextmanager
def listening(hook: Hook) -> Generator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            hook.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(hook.statuses.pop(0) if hook.statuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/hook?token=secret-part"
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> Generator[SqliteStore]:
    opened = open_store(f"sqlite:///{tmp_path}/ledger.db")
    opened.append(sample_rows(NOON_S + 3 * DAY_S, days=6, count=500))
    yield opened
    opened.close()


@pytest.fixture
def book(tmp_path: Path) -> Generator[SqliteDeliveries]:
    opened = SqliteDeliveries(tmp_path / "ledger.db.deliveries")
    yield opened
    opened.close()


def runner(
    store: SqliteStore, book: SqliteDeliveries, clock: Clock, *reports: ReportSettings
) -> ReportRunner:
    return ReportRunner(reports, source=store, deliveries=book, account="default", clock=clock)


def to_folder(folder: Path) -> ReportSettings:
    return ReportSettings(name="daily", cron=DAILY, folder=folder)


def to_hook(hook: Hook, attempts_max: int = 3) -> ReportSettings:
    webhook = WebhookSettings(hook.url, "shared-secret", attempts_max, 0.01)
    return ReportSettings(name="hooked", cron=DAILY, webhook=webhook, group_by=("user",))


def test_a_new_report_waits_for_its_next_time_and_tells_of_the_day_before(
    tmp_path: Path, store: SqliteStore, book: SqliteDeliveries
) -> None:
    clock = Clock()
    running = runner(store, book, clock, to_folder(tmp_path / "out"))

    running.run_due()
    assert not (tmp_path / "out").exists()
    clock.now_s = NOON_S + DAY_S
    running.run_due()
    running.run_due()

    (file,) = (tmp_path / "out").iterdir()
    found = list(csv.DictReader(io.StringIO(file.read_text(), newline="")))
    midnight_us = (NOON_S - 43_200) * 1_000_000
    page, _ = store.generations(_all(), limit=1000, before=None)
    inside = [r for r in page if midnight_us <= r.created_at_us < midnight_us + DAY_S * 1_000_000]
    assert inside
    assert [row["generation_id"] for row in found] == [row.id for row in inside]
    (delivery,) = book.newest(10)
    assert (delivery.status, delivery.bytes) == ("delivered", file.stat().st_size)


def test_of_the_runs_missed_only_the_last_is_made_up(
    tmp_path: Path, store: SqliteStore, book: SqliteDeliveries
) -> None:
    clock = Clock()
    running = runner(store, book, clock, to_folder(tmp_path / "out"))
    running.run_due()

    clock.now_s = NOON_S + 3 * DAY_S
    running.run_due()

    assert [each.due_us // 1_000_000 for each in book.newest(10)] == [NOON_S + 3 * DAY_S - 21_600]


def test_of_several_workers_one_delivers(
    tmp_path: Path, store: SqliteStore, book: SqliteDeliveries
) -> None:
    with listening(Hook()) as hook:
        clock = Clock()
        books = [SqliteDeliveries(tmp_path / "ledger.db.deliveries") for _ in range(3)]
        runners = [runner(store, each, clock, to_hook(hook)) for each in (book, *books)]
        runners[0].run_due()
        clock.now_s += DAY_S
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ReportRunner.run_due, runners))
        for each in books:
            each.close()

    assert len(hook.got) == 1
    assert [each.status for each in book.newest(10)] == ["delivered"]


def test_a_webhook_can_check_the_signature_and_is_tried_again(
    store: SqliteStore, book: SqliteDeliveries
) -> None:
    with listening(Hook(statuses=[503, 429])) as hook:
        clock = Clock()
        running = runner(store, book, clock, to_hook(hook))
        running.run_due()
        clock.now_s += DAY_S
        running.run_due()

    (delivery,) = book.newest(10)
    assert (delivery.status, delivery.attempts) == ("delivered", 3)
    assert "secret" not in delivery.target
    headers, body = hook.got[-1]
    signed = f"{headers['x-regulars-timestamp']}.".encode() + body
    wanted = hmac.new(b"shared-secret", signed, "sha256").hexdigest()
    assert headers["x-regulars-signature"] == f"v1={wanted}"
    assert len({head["x-regulars-delivery"] for head, _ in hook.got}) == 1
    assert body.startswith(b"user,requests,")


@pytest.mark.parametrize(("statuses", "asked"), [([500] * 9, 3), ([404], 1), ([302], 1)])
def test_a_webhook_that_refuses_is_a_failed_delivery(
    store: SqliteStore, book: SqliteDeliveries, statuses: list[int], asked: int
) -> None:
    with listening(Hook(statuses=list(statuses))) as hook:
        clock = Clock()
        running = runner(store, book, clock, to_hook(hook))
        running.run_due()
        clock.now_s += DAY_S
        running.run_due()
        running.run_due()

    (delivery,) = book.newest(10)
    assert (delivery.status, delivery.attempts) == ("failed", asked)
    assert delivery.error == f"the webhook answered with status {statuses[0]}"
    assert len(hook.got) == asked


def test_a_delivery_whose_process_was_killed_is_taken_over_later(
    tmp_path: Path, store: SqliteStore, book: SqliteDeliveries
) -> None:
    clock = Clock()
    running = runner(store, book, clock, to_folder(tmp_path / "out"))
    book.last_due("daily", NOON_S * 1_000_000)
    due_us = (NOON_S + DAY_S - 21_600) * 1_000_000
    clock.now_s = NOON_S + DAY_S
    assert book.claim(Delivery(0, "daily", due_us, int(clock.now_s) * 1_000_000), lost_before_us=0)

    running.run_due()
    assert [each.status for each in book.newest(10)] == ["running"]
    clock.now_s += LOST_S + 1
    running.run_due()

    assert [each.status for each in book.newest(10)] == ["delivered"]


def test_a_folder_that_cannot_be_written_is_a_failed_delivery(
    tmp_path: Path, store: SqliteStore, book: SqliteDeliveries
) -> None:
    (tmp_path / "out").write_text("a file, no folder")
    clock = Clock()
    running = runner(store, book, clock, to_folder(tmp_path / "out"))
    running.run_due()
    clock.now_s += DAY_S

    running.run_due()

    (delivery,) = book.newest(10)
    assert delivery.status == "failed"
    assert "File exists" in str(delivery.error)


def test_the_thread_stops_when_told(
    tmp_path: Path, store: SqliteStore, book: SqliteDeliveries
) -> None:
    running = runner(store, book, Clock(), to_folder(tmp_path / "out"))

    running.start()
    running.stop()

    assert "regulars-reports" not in [each.name for each in threading.enumerate()]


def _all():  # noqa: ANN202 - a Filter
    from regulars.stores.base import Filter

    return Filter("default")
