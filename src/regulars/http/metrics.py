"""GET /metrics: how this process's ledger and gateway are, in Prometheus' text form.

Read when asked: nothing here is touched by a request that is served. Each worker answers for
itself, so every figure carries the worker's process id.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from regulars.http.api import Api, Handler, with_key
from regulars.ledger import LedgerWriter, NoLedger
from regulars.ledger.contents import ContentKeeper
from regulars.model.caller import ApiKey, Role
from regulars.model.catalog import Catalog
from regulars.model.errors import ForbiddenError

_WORKER = ("worker",)


@dataclass(frozen=True, slots=True, eq=False)
class Watched(Collector):
    """What is measured."""

    writer: LedgerWriter | NoLedger
    contents: ContentKeeper
    catalog: Catalog
    in_flight: Callable[[], int]

    def collect(self) -> Iterator[Metric]:
        """Yield every figure as it is now."""
        writer = self.writer
        unpriced = sum(endpoint.price is None for endpoint in self.catalog.endpoints)
        gauges = (
            ("requests_in_flight", "Requests in work.", self.in_flight()),
            ("ledger_rows_waiting", "Rows not yet known to be durable.", writer.waiting),
            ("ledger_rows_spooled", "Rows in spool files of this process.", writer.spooled),
            ("ledger_store_away", "1 while the store takes no rows.", int(writer.is_store_away)),
            ("endpoints_unpriced", "Endpoints whose price nobody knows.", unpriced),
        )
        counters = (
            ("ledger_commits", "Transactions that made rows durable.", writer.commits),
            ("ledger_rows_committed", "Rows made durable.", writer.committed),
            ("ledger_rows_late", "Rows not durable within commit_wait_s.", writer.late),
            ("contents_kept", "Prompts and completions kept.", self.contents.kept),
            (
                "contents_dropped",
                "Likewise sampled and not kept.",
                self.contents.dropped + self.contents.lost,
            ),
            ("ledger_rows_unwritable", "Rows that can never be kept.", writer.unwritable),
        )
        worker = (str(os.getpid()),)
        for name, meaning, value in gauges:
            gauge = GaugeMetricFamily(f"regulars_{name}", meaning, labels=_WORKER)
            gauge.add_metric(worker, value)
            yield gauge
        for name, meaning, value in counters:
            counter = CounterMetricFamily(f"regulars_{name}", meaning, labels=_WORKER)
            counter.add_metric(worker, value)
            yield counter


def metrics_route(api: Api, watched: Watched) -> Route:
    """Build the route; it needs a management key."""
    registry = CollectorRegistry()
    registry.register(watched)
    return Route("/metrics", with_key(api, _get_metrics(registry)))


def _get_metrics(registry: CollectorRegistry) -> Handler:
    async def handle(_request: Request, key: ApiKey) -> Response:
        if key.role is not Role.MANAGEMENT:
            raise ForbiddenError("metrics are of all keys: use a management key")
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return handle
