"""What the pages are given by the composition root."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.responses import Response

from regulars.exports.export import ExportQuery
from regulars.model.catalog import Catalog
from regulars.routing.explain import Explanation
from regulars.routing.overview import Overview
from regulars.stores.base import Keys, Reports


@dataclass(frozen=True, slots=True)
class WebDeps:
    """Everything the pages ask or need; `clock` gives seconds since 1970.

    `routing` and `explain` (model, user, session; empty for none) are asked in the event loop and
    answer at once. `export` begins a file and returns the answer that streams it.
    """

    reports: Reports
    keys: Keys
    secret: bytes = field(repr=False)
    account: str
    catalog: Catalog
    clock: Callable[[], float]
    version: str
    routing: Callable[[], Overview]
    explain: Callable[[str, str, str], Explanation]
    export: Callable[[ExportQuery], Awaitable[Response]]
    recording: bool = True
    """Whether requests are recorded: every page says so when they are not."""
