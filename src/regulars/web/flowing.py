"""Pages in pieces: what is known at once is on the wire while the heavier questions are asked.

A template says `{{ flush }}` where a piece ends, and calls for what comes after it. Pieces come in
the page's own order, so a browser paints the first one meanwhile, without any script.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Generic, TypeVar

from jinja2 import Template
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import StreamingResponse

from regulars.reports.schema import ReportError
from regulars.stores.base import StoreError

FLUSH: Final = Markup("<!-- a piece ends -->")
COMPRESS_LEVEL: Final = 6
_GZIP: Final = 31
"""zlib's number for gzip with the largest window."""

Asked = TypeVar("Asked")


class Once(Generic[Asked]):
    """A question that is asked when the template first calls for its answer."""

    def __init__(self, ask: Callable[[], Asked]) -> None:
        self._ask = ask
        self._answers: list[Asked] = []

    def __call__(self) -> Asked:
        """Return the answer. Blocking the first time."""
        if not self._answers:
            self._answers.append(self._ask())
        return self._answers[0]


def flowing(
    request: Request, template: Template, values: Mapping[str, object]
) -> StreamingResponse:
    """Answer with a page in pieces, compressed where the browser takes that."""
    pieces = _pieces(template, values)
    headers = {"Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        pieces = _compressed(pieces)
        headers["Content-Encoding"] = "gzip"
    # Starlette draws each piece in a thread: the questions may block.
    return StreamingResponse(pieces, media_type="text/html", headers=headers)


def _pieces(template: Template, values: Mapping[str, object]) -> Iterator[bytes]:
    waiting: list[str] = []
    try:
        for text in template.generate(values):
            if text == FLUSH:
                yield "".join(waiting).encode()
                waiting.clear()
            else:
                waiting.append(text)
    except (StoreError, ReportError) as exc:
        # The status has been sent: all that is left is to say it where the rest would stand.
        waiting.append(
            Markup('<p class="problem" role="alert">The rest is missing. {}</p>').format(exc)
        )
    yield "".join(waiting).encode()


def _compressed(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(COMPRESS_LEVEL, zlib.DEFLATED, _GZIP)
    for piece in pieces:
        yield packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
    yield packer.flush()
