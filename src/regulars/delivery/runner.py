"""Runs the schedules of one process in a thread; of several processes one delivers each report.

While no gateway ran, due times passed: of those only the last is made up for, at the next start.
A report that is new is first due at its next time. A delivery that never ended, since its process
was killed, is taken over after LOST_S.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from regulars.config.settings import ReportSettings
from regulars.delivery.deliver import Means, StoppedError, deliver
from regulars.delivery.schedule import last_due, next_due
from regulars.delivery.webhook import WebhookError
from regulars.exports.export import Source
from regulars.exports.missing import ExportError
from regulars.reports.schema import ReportError
from regulars.reports.windows import zone_named
from regulars.stores.base import StoreError
from regulars.stores.deliveries import Deliveries, Delivery

LOOK_MAX_S: Final = 30.0
"""At most so long between two looks at the clock, which may be set meanwhile."""
LOST_S: Final = 3600.0
STOP_S: Final = 5.0

log = logging.getLogger("regulars.delivery")


class ReportRunner:
    """Delivers reports when they are due. `start` and `stop` it, or call `run_due`."""

    def __init__(
        self,
        reports: Sequence[ReportSettings],
        *,
        source: Source,
        deliveries: Deliveries,
        account: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reports = reports
        self._deliveries = deliveries
        self._clock = clock
        self._stopping = threading.Event()
        self._means = Means(source, account, clock, self._stopping.wait)
        self._thread = threading.Thread(target=self._run, name="regulars-reports", daemon=True)

    def start(self) -> None:
        """Begin to look at the clock."""
        self._thread.start()

    def stop(self) -> None:
        """Leave off, within a bound; what is unfinished another takes over later."""
        self._stopping.set()
        self._thread.join(STOP_S)

    def run_due(self) -> None:
        """Deliver whatever is due now and nobody else took."""
        for report in self._reports:
            try:
                for due in self._due(report):
                    self._take(report, due)
            except StoreError:
                log.exception("report_not_looked_at report=%s", report.name)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.run_due()
            self._stopping.wait(self._until_next())

    def _until_next(self) -> float:
        now_s = self._clock()
        waits = [
            next_due(each.cron, _at(now_s, each)).timestamp() - now_s for each in self._reports
        ]
        return max(min([LOOK_MAX_S, *waits]), 0.1)

    def _due(self, report: ReportSettings) -> list[datetime]:
        now_s = self._clock()
        now_us = int(now_s * 1_000_000)
        found = [
            _at(due_us / 1_000_000, report)
            for due_us in self._deliveries.unfinished(report.name, _lost_before(now_us))
        ]
        due = last_due(report.cron, _at(now_s, report))
        if int(due.timestamp()) * 1_000_000 > self._deliveries.last_due(report.name, now_us):
            found.append(due)
        return found

    def _take(self, report: ReportSettings, due: datetime) -> None:
        now_us = int(self._clock() * 1_000_000)
        wanted = Delivery(
            0, report.name, int(due.timestamp()) * 1_000_000, now_us, target=report.target
        )
        number = self._deliveries.claim(wanted, lost_before_us=_lost_before(now_us))
        if number is not None:
            self._deliver(report, due, replace(wanted, id=number))

    def _deliver(self, report: ReportSettings, due: datetime, delivery: Delivery) -> None:
        try:
            done = deliver(self._means, report, due)
            ended = replace(delivery, status="delivered", attempts=done.attempts, bytes=done.bytes)
        except StoppedError:
            log.info("report_left report=%s", report.name)
            return
        except (StoreError, ExportError, ReportError, WebhookError, OSError) as exc:
            attempts = exc.attempts if isinstance(exc, WebhookError) else 1
            ended = replace(delivery, status="failed", attempts=attempts, error=str(exc)[:500])
        self._deliveries.end(replace(ended, ended_us=int(self._clock() * 1_000_000)))
        level = logging.INFO if ended.status == "delivered" else logging.ERROR
        log.log(level, "report_%s report=%s error=%s", ended.status, report.name, ended.error)


def _at(seconds: float, report: ReportSettings) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone_named(report.time_zone))


def _lost_before(now_us: int) -> int:
    return now_us - int(LOST_S * 1_000_000)
