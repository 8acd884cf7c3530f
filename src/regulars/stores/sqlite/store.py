"""Opening a store by its URL, and the one value that plays all its roles."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from regulars.model.caller import ApiKey
from regulars.model.generation import Generation
from regulars.reports.schema import ReportQuery, ReportResult
from regulars.stores.backup_list import note_backup
from regulars.stores.base import (
    COMMAND_LINE,
    ActivityRow,
    Difference,
    Erased,
    Filter,
    GroupBy,
    KeyAction,
    KeyChange,
    SeriesPoint,
    Step,
    StoreError,
    Sums,
    Unpriced,
    UserRow,
)
from regulars.stores.contents import Content
from regulars.stores.registry import Registered
from regulars.stores.scans import Field, Page
from regulars.stores.spendings import Begins, KeySpent, Spent
from regulars.stores.sqlite.backup import backup
from regulars.stores.sqlite.checkpoint import SqliteCheckpoints
from regulars.stores.sqlite.connect import create_file
from regulars.stores.sqlite.contents import SqliteContents
from regulars.stores.sqlite.costs import unpriced
from regulars.stores.sqlite.keys import SqliteKeys
from regulars.stores.sqlite.ledger import SqliteLedger
from regulars.stores.sqlite.migrate import prepare
from regulars.stores.sqlite.people import SqlitePeople
from regulars.stores.sqlite.raw import RawFiles
from regulars.stores.sqlite.readers import QUERY_TIME_MAX_S, Readers
from regulars.stores.sqlite.registry import SqliteRegistry
from regulars.stores.sqlite.reports import SqliteReports
from regulars.stores.sqlite.retention import kept_from_us
from regulars.stores.sqlite.scan import scan
from regulars.stores.sqlite.spendings import keys_spent, spent_since
from regulars.stores.sqlite.verify import count_rows, verify

URL_SCHEME: Final = "sqlite:///"


class SqliteStore:
    """One file in the roles of `stores.base`: ledger, keys, spendings, contents, reports, scans."""

    def __init__(self, path: Path, *, query_time_max_s: float = QUERY_TIME_MAX_S) -> None:
        self.path = path
        self._readers = Readers(path, query_time_max_s=query_time_max_s)
        self._ledger = SqliteLedger(path)
        self._checkpoints = SqliteCheckpoints(path)
        self._keys = SqliteKeys(path)
        self._contents = SqliteContents(path)
        self._raw = RawFiles()
        self._people = SqlitePeople(path, self._raw)
        self._registry = SqliteRegistry(path)
        self._reports = SqliteReports(self._readers)

    @property
    def spool_path(self) -> Path:
        """Where rows the store would not take are left: this path is a prefix of files."""
        return self.path.with_name(f"{self.path.name}.spool")

    def append(self, rows: Sequence[Generation]) -> None:
        """See `stores.base.Ledger`."""
        self._ledger.append(rows)

    def tidy(self, *, keep_from_us: int | None) -> bool:
        """See `stores.base.Tidy`."""
        return self._ledger.tidy(keep_from_us=keep_from_us)

    @property
    def is_pressed(self) -> bool:
        """See `stores.base.Tidy`."""
        return self._ledger.is_pressed

    @property
    def written(self) -> int:
        """See `stores.base.Checkpointing`."""
        return self._ledger.written

    def kept_from_us(self) -> int:
        """See `stores.base.Tidy`."""
        with self._readers.snapshot() as connection:
            return kept_from_us(connection)

    def checkpoint(self) -> None:
        """See `stores.base.Checkpointing`."""
        self._checkpoints.checkpoint()

    def correct(self, row: Generation) -> None:
        """See `stores.base.Correcting`."""
        self._ledger.correct(row)

    def fold(self) -> None:
        """Fold all rows into what is kept per user: `tidy` does it by and by."""
        self._ledger.fold()

    def verify(self) -> Iterator[Difference]:
        """Yield where rollups are not what the rows add up to, or a cost not what its price says.

        Takes minutes for 5 M rows.
        """
        return verify(self.path)

    def unpriced(self) -> list[Unpriced]:
        """Return what was served without a known price, most requests first. Raises StoreError."""
        with self._readers.snapshot() as connection:
            return unpriced(connection)

    def count_rows(self) -> int:
        """Count the generations."""
        return count_rows(self.path)

    def backup(self, target: Path) -> int:
        """Copy the store to a new file, whole and verified; return its size in bytes."""
        size = backup(self.path, target)
        note_backup(self.path, target, size=size, now_s=time.time())
        return size

    def find_key(self, key_hash: str) -> ApiKey | None:
        """See `stores.base.Keys`."""
        return self._keys.find_key(key_hash)

    def create_key(self, key: ApiKey, *, by: str = COMMAND_LINE) -> None:
        """See `stores.base.Keys`."""
        self._keys.create_key(key, by=by)

    def list_keys(self) -> list[ApiKey]:
        """See `stores.base.Keys`."""
        return self._keys.list_keys()

    def disable_key(self, key_hash: str) -> bool:
        """Refuse a key from now on; False when there is none with this hash."""
        return self._keys.disable_key(key_hash)

    def change_key(
        self, key_hash: str, change: Callable[[ApiKey], ApiKey], *, by: str = COMMAND_LINE
    ) -> ApiKey | None:
        """See `stores.base.Keys`."""
        return self._keys.change_key(key_hash, change, by=by)

    def delete_key(self, key_hash: str, *, by: str = COMMAND_LINE) -> bool:
        """See `stores.base.Keys`."""
        return self._keys.delete_key(key_hash, by=by)

    def note_use(self, key: ApiKey | None, action: KeyAction, details: Mapping[str, Any]) -> None:
        """See `stores.base.Keys`."""
        self._keys.note_use(key, action, details)

    def key_changes(self, limit: int, *, key_hash: str | None = None) -> list[KeyChange]:
        """See `stores.base.Keys`."""
        return self._keys.key_changes(limit, key_hash=key_hash)

    def spent_since(self, account: str, key_hash: str, begin_us: int | None) -> Spent:
        """See `stores.spendings.Spendings`."""
        with self._readers.snapshot() as connection:
            return spent_since(connection, account, key_hash, begin_us)

    def keys_spent(
        self, account: str, begins: Begins, *, key_hash: str | None = None
    ) -> dict[str, KeySpent]:
        """See `stores.spendings.Spendings`."""
        with self._readers.snapshot() as connection:
            return keys_spent(connection, account, begins, key_hash)

    def keep_contents(self, contents: Sequence[Content]) -> None:
        """See `stores.contents.Contents`."""
        self._contents.keep_contents(contents)

    def content(self, generation_id: str) -> Content | None:
        """See `stores.contents.Contents`."""
        return self._contents.content(generation_id)

    def drop_contents(self, before_us: int) -> bool:
        """See `stores.contents.Contents`."""
        return self._contents.drop_contents(before_us)

    def erase_contents(self, account: str, end_user: str) -> int:
        """See `stores.contents.Contents`."""
        return self._contents.erase_contents(account, end_user)

    def secret(self, name: str) -> bytes:
        """Return the store's secret of this name: 32 bytes, made once, the same for ever."""
        return self._keys.secret(name)

    def knows(self, account: str, user: str) -> bool:
        """Say whether rows of this user have been kept."""
        return self._people.knows(account, user)

    def erase(self, account: str, user: str, *, now_us: int, by: str = COMMAND_LINE) -> Erased:
        """See `stores.base.People`."""
        return self._people.erase(account, user, now_us=now_us, by=by)

    def count_in(self, file: Path, texts: Sequence[bytes]) -> int:
        """Count how often any of the texts stands in a file of this store; 0 where there is none."""
        return self._raw.count_in(file, texts)

    def subject(self, account: str, user: str) -> str:
        """Return the digest that receipts and the record of changes name a user by."""
        return self._people.subject(account, user)

    def rename(self, account: str, name: str, into: str) -> bool:
        """See `stores.base.People`."""
        return self._people.rename(account, name, into)

    def alias(self, account: str, name: str, person: str) -> None:
        """See `stores.base.People`."""
        self._people.alias(account, name, person)

    def aliases(self, account: str) -> list[tuple[str, str]]:
        """See `stores.base.People`."""
        return self._people.aliases(account)

    def person(self, account: str, name: str) -> str:
        """See `stores.base.People`."""
        return self._people.person(account, name)

    def unalias(self, account: str, name: str) -> None:
        """See `stores.base.People`."""
        self._people.unalias(account, name)

    def names(self, account: str) -> list[str]:
        """See `stores.base.People`."""
        return self._people.names(account)

    def names_stamp(self) -> object:
        """See `stores.base.People`."""
        return self._people.names_stamp()

    def compact(self) -> None:
        """See `stores.base.People`."""
        self._people.compact()

    def registered(self, account: str, *, limit: int) -> list[Registered]:
        """See `stores.registry.Registry`."""
        return self._registry.registered(account, limit=limit)

    def register(self, account: str, user: Registered) -> None:
        """See `stores.registry.Registry`."""
        self._registry.register(account, user)

    def display_names(self, account: str, names: Sequence[str]) -> dict[str, str]:
        """See `stores.registry.Registry`."""
        return self._registry.display_names(account, names)

    def find_registered(self, account: str, name: str) -> Registered | None:
        """See `stores.registry.Registry`."""
        return self._registry.find_registered(account, name)

    def purge(self, texts: Sequence[bytes]) -> int:
        """See `stores.base.People`."""
        return self._people.purge(texts)

    def finish(self, digest: bytes) -> None:
        """See `stores.base.People`."""
        self._people.finish(digest)

    def generation(self, generation_id: str) -> Generation | None:
        """See `stores.base.Reports`."""
        return self._reports.generation(generation_id)

    def generations(
        self, where: Filter, *, limit: int, before: str | None
    ) -> tuple[list[Generation], str | None]:
        """See `stores.base.Reports`."""
        return self._reports.generations(where, limit=limit, before=before)

    def activity(self, where: Filter, *, by_user: bool, limit: int) -> list[ActivityRow]:
        """See `stores.base.Reports`."""
        return self._reports.activity(where, by_user=by_user, limit=limit)

    def users(self, where: Filter, *, limit: int) -> list[UserRow]:
        """See `stores.base.Reports`."""
        return self._reports.users(where, limit=limit)

    def totals(self, where: Filter) -> Sums:
        """See `stores.base.Reports`."""
        return self._reports.totals(where)

    def series(
        self, where: Filter, *, step: Step, group_by: GroupBy, groups_max: int
    ) -> list[SeriesPoint]:
        """See `stores.base.Reports`."""
        return self._reports.series(where, step=step, group_by=group_by, groups_max=groups_max)

    def scan(self, where: Filter, fields: Sequence[Field]) -> Generator[Page]:
        """See `stores.scans.Scans`."""
        return scan(self.path, where, fields)

    def run(self, query: ReportQuery) -> ReportResult:
        """See `stores.base.Reports`."""
        return self._reports.run(query)

    def first_seen(self, account: str, users: Sequence[str]) -> dict[str, int]:
        """See `stores.base.Reports`."""
        return self._reports.first_seen(account, users)

    def close(self) -> None:
        """Let go of the file; nobody may be using the store."""
        self._ledger.close()
        self._checkpoints.close()
        self._keys.close()
        self._contents.close()
        self._people.close()
        self._readers.close()
        self._raw.close()


def open_store(url: str) -> SqliteStore:
    """Open `sqlite:///relative.db` or `sqlite:////absolute.db`, making and migrating it.

    Raises:
        StoreError: the URL or the file cannot be used; the message says what to change.
    """
    path = _path_of(url)
    create_file(path)
    prepare(path)
    return SqliteStore(path)


def _path_of(url: str) -> Path:
    wanted = "write sqlite:///file.db, or sqlite:////folder/file.db for an absolute path"
    if not url.startswith(URL_SCHEME):
        raise StoreError(
            f"[store] url {url.rsplit('@', maxsplit=1)[-1]!r} is not a SQLite file: {wanted}"
        )
    name = url.removeprefix(URL_SCHEME)
    if not name or "\0" in name or "?" in name or name == ":memory:":
        raise StoreError(f"[store] url {url!r} names no file: {wanted}")
    path = Path(name).absolute()
    if path.is_dir():
        raise StoreError(f"[store] url {url!r} names a folder: {wanted}")
    return path
