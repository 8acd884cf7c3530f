"""Requests that reached an upstream, noted beside the store so that a killed process's are known.

Each process appends to a file of its own and holds a lock on it for as long as it lives. A file
nobody holds belongs to a process that died: whoever starts next turns its requests into rows
with the outcome `interrupted` and an estimated usage, unless the ledger has their row already.

Lines are written in batches by the writer's thread, some milliseconds after a request started,
and are not forced to the disk: a killed process loses at most those milliseconds, a power cut
what the system had not written yet (some 30 s on Linux). Rows themselves are never at risk so.
"""

import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from regulars.billing.charge import charge, service_price
from regulars.billing.price import estimate
from regulars.exchange.exchange import INTERRUPTED, Accepted
from regulars.model.catalog import Endpoint
from regulars.model.generation import Generation, UsageSource
from regulars.model.money import Price

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

JOURNAL_BYTES_MAX: Final = 4_194_304
"""At this size a journal is written anew with what is still open, and doubles where that is more."""

WRITTEN_MAX: Final = 4096
"""How many endpoints, each with a price, are kept as they stand in lines."""

FILE_MODE: Final = 0o600
MARK: Final = ".journal."

Started = tuple[Accepted, Endpoint]

logger = logging.getLogger("regulars.ledger")


class _Line(msgspec.Struct, array_like=True):
    """What is noted of a request: enough for its row."""

    accepted: Accepted
    provider: str
    endpoint: str
    upstream_model: str
    price: Price | None


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Line)


class Journal:
    """This process's file, made at the first line. For the writer's thread alone.

    `open_` holds the requests whose rows are not durable yet, by id; the loop's thread adds and
    removes, this one only reads.
    """

    def __init__(self, prefix: Path, open_: Mapping[str, Started]) -> None:
        self._prefix = prefix
        self._open = open_
        self._file: int | None = None
        self._path = prefix
        self._bytes = 0
        self._bytes_max = JOURNAL_BYTES_MAX

    def add(self, started: Iterable[Started]) -> None:
        """Note the requests that are still open. Raises OSError."""
        lines = [_line(one) for one in started if one[0].id in self._open]
        if not lines:
            return
        if self._file is None:
            self._file, self._path = _new_file(self._prefix)
        data = b"".join(lines)
        _write_all(self._file, data)
        self._bytes += len(data)
        if self._bytes > self._bytes_max:
            self._renew()

    def close(self, *, keep: bool) -> None:
        """Let go of the file; `keep` it where a request's row is kept nowhere else."""
        if self._file is None:
            return
        if not keep:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = None

    def _renew(self) -> None:
        """Go on in a new file that holds only what is open; complete before the old one goes."""
        lines = [_line(one) for one in list(self._open.values())]
        file, path = _new_file(self._prefix)
        data = b"".join(lines)
        _write_all(file, data)
        self.close(keep=False)
        self._file, self._path, self._bytes = file, path, len(data)
        self._bytes_max = max(JOURNAL_BYTES_MAX, 2 * len(data))


class Orphan:
    """A dead process's journal, locked so that only one process recovers it."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self._file = file

    def rows(self) -> tuple[list[Generation], int]:
        """Return the rows of its requests, and how many lines could not be read.

        A line that was being written when the process died is cut: it is one of those.
        """
        by_id: dict[str, _Line] = {}
        unreadable = 0
        for text in self.path.read_bytes().splitlines():
            try:
                line = _DECODER.decode(text)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                unreadable += 1
            else:
                by_id[line.accepted.id] = line  # the last endpoint tried counts
        return [_interrupted(line) for line in by_id.values()], unreadable

    def remove(self) -> None:
        """Its rows are stored: delete it."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._file)


def orphans(prefix: Path) -> list[Orphan]:
    """Lock and return the journals whose owners are dead; the caller closes them."""
    start = prefix.name + MARK
    found: list[Orphan] = []
    for path in sorted(prefix.parent.glob(f"{start}*")):
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another process has just recovered it
        except OSError as exc:
            logger.warning("ledger_journal_unreadable file=%s reason=%r", path, str(exc))
            continue
        if _lock(file) and path.exists():
            found.append(Orphan(path, file))
        else:
            os.close(file)
    return found


def is_supported() -> bool:
    """Say whether locks tell a dead owner from a living one here."""
    return fcntl is not None


def _lock(file: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _new_file(prefix: Path) -> tuple[int, Path]:
    """Make a file that nobody takes for an orphan: locked before it has its final name."""
    final = prefix.with_name(f"{prefix.name}{MARK}{secrets.token_hex(8)}")
    partial = final.with_name(f"{prefix.name}.new-journal.{final.suffix[1:]}")
    file = os.open(
        partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, FILE_MODE
    )
    try:
        _lock(file)
        partial.rename(final)
    except OSError:
        os.close(file)
        raise
    return file, final


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _line(started: Started) -> bytes:
    accepted, endpoint = started
    price = endpoint.price
    if price is not None and accepted.service_tier is not None:
        price = service_price(price, served=None, asked=accepted.service_tier)
    if price is not None:  # only what counts for this request: all dates would be a long line
        tokens = estimate(accepted.prompt_bytes, 0).prompt_tokens
        price = price.of(tokens, accepted.created_at_us)
    return b"[%b,%b]\n" % (_ENCODER.encode(accepted), _written(endpoint, price))


_recent: dict[tuple[int, int], tuple[Endpoint, Price | None, bytes]] = {}


def _written(endpoint: Endpoint, price: Price | None) -> bytes:
    """Write what is the same in every line of an endpoint and a price: decimals are slow."""
    place = (id(endpoint), id(price))
    found = _recent.get(place)
    if found is not None and found[0] is endpoint and found[1] is price:
        return found[2]
    parts = (endpoint.provider.name, endpoint.id, endpoint.upstream_model, price)
    text = _ENCODER.encode(parts)[1:-1]
    if len(_recent) >= WRITTEN_MAX:
        _recent.clear()
    _recent[place] = (endpoint, price, text)
    return text


def _interrupted(line: _Line) -> Generation:
    accepted = line.accepted
    usage = estimate(accepted.prompt_bytes, 0)
    estimated = UsageSource.ESTIMATED
    charged = charge(usage, line.price, usage_source=estimated, at_us=accepted.created_at_us)
    return Generation(
        id=accepted.id,
        created_at_us=accepted.created_at_us,
        account=accepted.account,
        key_hash=accepted.key_hash,
        outcome=INTERRUPTED.outcome,
        status=INTERRUPTED.status,
        model=accepted.model,
        streamed=accepted.streamed,
        end_user=accepted.end_user,
        session=accepted.session,
        provider=line.provider,
        endpoint=line.endpoint,
        upstream_model=line.upstream_model,
        usage=usage,
        usage_source=estimated,
        cost=charged.cost,
        cost_source=charged.source,
        price=charged.price,
        error=INTERRUPTED.error,
        app=accepted.app,
        referer=accepted.referer,
        user_agent=accepted.user_agent,
    )
