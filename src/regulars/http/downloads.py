"""Exports on their way to clients: few at once, streamed, cut short where they cannot be whole."""

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from regulars.exports.export import MEDIA_TYPES, ExportQuery, Source, export_pieces
from regulars.exports.missing import ExportError
from regulars.http.turns import Turns, give_way
from regulars.model.errors import CallerError, UnavailableError

EXPORTS_MAX: Final = 2
"""Exports a process makes at once; each is work of many seconds beside the requests'."""
RETRY_AFTER_S: Final = 10.0


class Downloads:
    """Makes files for the API and for the pages, whose exports share the same places."""

    def __init__(self, source: Source, turns: Turns) -> None:
        self._source = source
        self._places = _Places(turns)

    async def send(self, wanted: ExportQuery) -> Response:
        """Begin an export and return the answer that streams it.

        Raises:
            UnavailableError: all places are taken.
            CallerError: the format needs a package that is not installed.
        """
        places = self._places
        if not places.free:
            raise UnavailableError(
                f"{EXPORTS_MAX} exports are already being made; try again shortly",
                retry_after_s=RETRY_AFTER_S,
            )
        places.take()
        download = _Download(export_pieces(self._source, wanted), places)
        try:
            # What can be refused is refused before the answer begins.
            return await download.response(wanted)
        except BaseException:
            download.end()
            raise


class _Places:
    """The exports under way; event loop only."""

    def __init__(self, turns: Turns) -> None:
        self._taken = 0
        self._turns = turns

    @property
    def free(self) -> bool:
        return self._taken < EXPORTS_MAX

    def take(self) -> None:
        self._taken += 1
        self._turns.begin()

    def give_back(self) -> None:
        self._taken -= 1
        self._turns.end()


class _Download:
    """Pieces on their way to one client, and the place among the exports that they take."""

    def __init__(self, pieces: Generator[bytes], places: _Places) -> None:
        self._pieces = pieces
        self._places = places

    async def response(self, wanted: ExportQuery) -> Response:
        """Make the first piece and the answer that begins with it."""
        first = await run_in_threadpool(self._next)
        headers = {
            "content-disposition": f'attachment; filename="{wanted.file_name}"',
            "cache-control": "no-store",
        }
        return _DownloadResponse(
            self._stream(first),
            headers=headers,
            media_type=MEDIA_TYPES[wanted.format],
            end=self.end,
        )

    def end(self) -> None:
        """Close what is open; nobody may be making a piece."""
        try:
            self._pieces.close()
        finally:
            self._places.give_back()

    def _next(self) -> bytes | None:
        give_way()
        try:
            return next(self._pieces, None)
        except ExportError as exc:
            raise CallerError(str(exc)) from exc

    async def _stream(self, piece: bytes | None) -> AsyncGenerator[bytes]:
        # An error in here cuts the answer short of its last chunk: no client takes it for whole.
        while piece is not None:
            yield piece
            piece = await run_in_threadpool(self._next)


class _DownloadResponse(StreamingResponse):
    """Tells when it is over, however that came: whole, cut, or the client left."""

    def __init__(
        self,
        content: AsyncGenerator[bytes],
        *,
        headers: Mapping[str, str],
        media_type: str,
        end: Callable[[], None],
    ) -> None:
        super().__init__(content, headers=headers, media_type=media_type)
        self._end = end

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._end()
