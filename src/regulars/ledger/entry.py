"""One row on its way to the store."""

from asyncio import Future
from typing import NamedTuple

from regulars.model.generation import Generation


class Entry(NamedTuple):
    """A row, who waits for it, and since when; `future` is None for rows read from a file.

    A tuple: one is made for every request on the event loop.
    """

    row: Generation
    future: "Future[bool] | None"
    since_s: float
