"""The roles a store can play, as protocols: ledger, keys, people, reports; others stand beside this.

A store may play just one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, runtime_checkable

from regulars.model.caller import ApiKey
from regulars.model.generation import Generation
from regulars.reports.schema import ReportQuery, ReportResult


class StoreError(Exception):
    """The store cannot do it now: locked, full, gone. The message says which, where and what helps."""


class StoreVersionError(StoreError):
    """The store was written by a newer program."""


class StoreTimeoutError(StoreError):
    """The question takes longer than a report may; a narrower one may succeed."""


class RowError(ValueError):
    """A row itself cannot be kept, whatever the store's state: trying again is no use."""


class Ledger(Protocol):
    """Keeps generations. Blocking: called from the writer's thread only."""

    def append(self, rows: Sequence[Generation]) -> None:
        """Make the rows, and all that sums need of them, durable in one transaction; a known id changes nothing.

        Raises:
            StoreError: nothing of the batch was kept; it may be tried again.
            RowError: nothing of the batch was kept; at least one row can never be.
        """
        ...


@runtime_checkable
class Tidy(Protocol):
    """A ledger that has work of its own, to be done between batches by the thread that writes."""

    def tidy(self, *, keep_from_us: int | None) -> bool:
        """Do one small step of what is due; True where more of it is.

        Rows from before `keep_from_us` are due to be deleted; their sums stay. None keeps all.

        Raises:
            StoreError: nothing was done; answers stay right, and it may be tried again.
        """
        ...

    @property
    def is_pressed(self) -> bool:
        """Whether so much is due that rows are to wait for it."""
        ...

    def kept_from_us(self) -> int:
        """Return since when no row has been deleted: one from before may have been here.

        Raises:
            StoreError: it cannot be told now.
        """
        ...


@runtime_checkable
class Checkpointing(Protocol):
    """A store that keeps a log beside its file, which is to stay short."""

    @property
    def written(self) -> int:
        """How many rows the log got since the start: once committed, once more folded."""
        ...

    def checkpoint(self) -> None:
        """Move what is in the log into the file, as far as nobody is in the way; holds up no writer.

        By one thread, which need not be the one that writes.

        Raises:
            StoreError: nothing is lost; the log goes on growing.
        """
        ...


@runtime_checkable
class Correcting(Protocol):
    """A ledger that can say afterwards how a request ended."""

    def correct(self, row: Generation) -> None:
        """Make outcome, status and error of the row with this id those of `row`, sums included.

        Raises:
            StoreError: nothing was changed; it may be tried again.
        """
        ...


COMMAND_LINE: Final = "command line"
"""Who changes keys without a key of his own."""


KeyAction = Literal[
    "created",
    "changed",
    "deleted",
    "user_erased",
    "user_exported",
    "user_named",
    "users_merged",
]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What somebody did to a key, or with one to a user. `actor` is a management key's hash.

    Or it is COMMAND_LINE, whose doings with users have no key: hash and name are empty. What was
    done to a user names him by a digest, as receipts do.

    `details` has each field that changed: (before, after).
    """

    at_us: int
    actor: str
    key_hash: str
    key_name: str
    action: KeyAction
    details: dict[str, Any]


class Keys(Protocol):
    """Keeps API keys. Blocking, quick. `by` names who changes one, for the record of changes."""

    def find_key(self, key_hash: str) -> ApiKey | None:
        """Return the key with this hash, disabled ones too."""
        ...

    def create_key(self, key: ApiKey, *, by: str = COMMAND_LINE) -> None:
        """Keep a new key."""
        ...

    def list_keys(self) -> list[ApiKey]:
        """Return all keys, oldest first."""
        ...

    def change_key(
        self, key_hash: str, change: Callable[[ApiKey], ApiKey], *, by: str = COMMAND_LINE
    ) -> ApiKey | None:
        """Let `change` make another of a key's name, terms, users and state; return it, None for no key.

        Nobody else changes it meanwhile. What `change` raises leaves all as it was.
        """
        ...

    def delete_key(self, key_hash: str, *, by: str = COMMAND_LINE) -> bool:
        """Forget a key; False when there is none. Its generations stay."""
        ...

    def note_use(self, key: ApiKey | None, action: KeyAction, details: Mapping[str, Any]) -> None:
        """Put on record what was done to a user with a key, or on the command line (None)."""
        ...

    def key_changes(self, limit: int, *, key_hash: str | None = None) -> list[KeyChange]:
        """Return what was done to keys, or to one, the newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Filter:
    """Which generations a question is about; None asks for all. Times: half-open [from, to)."""

    account: str
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    key_hash: str | None = None
    from_us: int | None = None
    to_us: int | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """Additive figures of a group of generations; tokens and nano-USD.

    `unpriced` counts generations with usage whose price nobody knows: `cost_nanousd` is
    without them. `failed` counts outcomes other than completed.
    """

    requests: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cost_nanousd: int = 0
    cache_saving_nanousd: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One group of the activity report. Fields that were not grouped by are None."""

    day: str | None
    user: str | None
    model: str | None
    provider: str | None
    endpoint: str | None
    sums: Sums


@dataclass(frozen=True, slots=True)
class UserRow:
    """One end user in a time range. `user` None: requests that named nobody."""

    user: str | None
    sums: Sums
    last_seen_us: int


@dataclass(frozen=True, slots=True)
class SeriesPoint:
    """One bar segment of a chart: a bucket's start (microseconds, UTC), a group, its sums."""

    bucket_us: int
    group: str | None
    sums: Sums


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of a rollup that is not what the rows add up to. `where` names its group."""

    table: str
    where: str
    figure: str
    from_rows: int | str | None
    kept: int | str | None


@dataclass(frozen=True, slots=True)
class Erased:
    """What the tables held of one person; `anonymous` are the names his sums now stand under.

    `sessions` are (model, session) pairs, by which placements are found; `providers` counts
    the generations each provider served.
    """

    digest: bytes
    anonymous: tuple[str, ...]
    rows: int
    models: tuple[str, ...]
    sessions: tuple[tuple[str, str], ...]
    providers: tuple[tuple[str, int], ...]


class People(Protocol):
    """Knows what people are called, and forgets them. Blocking; as long as a person has rows."""

    def knows(self, account: str, user: str) -> bool:
        """Say whether rows of this user have been kept. Quick."""
        ...

    def erase(self, account: str, user: str, *, now_us: int, by: str = COMMAND_LINE) -> Erased:
        """Put an anonymous number in the place of a user, in every table; again goes on.

        Rows of requests accepted before `now_us` that are still to come get the number too. Keys
        that are his alone are disabled, on record as done by `by`.
        """
        ...

    def rename(self, account: str, name: str, into: str) -> bool:
        """Give a user another name, or his rows and sums to who has it; False: there is none.

        In one transaction, as long as he has rows.
        """
        ...

    def alias(self, account: str, name: str, person: str) -> None:
        """Make `name` another name of `person`: rows that are there, and all that come."""
        ...

    def aliases(self, account: str) -> list[tuple[str, str]]:
        """Return all (name, person)."""
        ...

    def person(self, account: str, name: str) -> str:
        """Return whose name it is: an alias' person, otherwise the name itself."""
        ...

    def unalias(self, account: str, name: str) -> None:
        """Let rows that come under a name be its own again."""
        ...

    def names(self, account: str) -> list[str]:
        """Return what all users of an account are called."""
        ...

    def names_stamp(self) -> object:
        """Return what differs whenever a name has been changed, merged or erased. Quick."""
        ...

    def compact(self) -> None:
        """Rewrite the files, so that nothing deleted is left in them."""
        ...

    def purge(self, texts: Sequence[bytes]) -> int:
        """Rewrite what the files still hold of deleted text; how often it is still there."""
        ...

    def finish(self, digest: bytes) -> None:
        """Note that an erasure is complete."""
        ...


@dataclass(frozen=True, slots=True)
class Unpriced:
    """What was served without a known price: its cost is NULL in as many rows."""

    model: str
    provider: str | None
    endpoint: str | None
    requests: int
    last_seen_us: int


GroupBy = Literal["user", "model", "provider", "key"]
Step = Literal["minute", "hour", "day"]


class Reports(Protocol):
    """Answers questions from the ledger. Blocking, bounded in rows and time; call in a thread."""

    def generation(self, generation_id: str) -> Generation | None:
        """Return the generation of this id."""
        ...

    def generations(
        self, where: Filter, *, limit: int, before: str | None
    ) -> tuple[list[Generation], str | None]:
        """Newest first; `before` is the id the last page ended with; answers (page, next)."""
        ...

    def activity(self, where: Filter, *, by_user: bool, limit: int) -> list[ActivityRow]:
        """Per UTC day x model x endpoint (x user when asked), newest day first."""
        ...

    def users(self, where: Filter, *, limit: int) -> list[UserRow]:
        """Users by cost, then requests, descending."""
        ...

    def totals(self, where: Filter) -> Sums:
        """Return the sums of all that the filter selects."""
        ...

    def series(
        self, where: Filter, *, step: Step, group_by: GroupBy, groups_max: int
    ) -> list[SeriesPoint]:
        """Per bucket and group; groups beyond the top `groups_max` by cost fold into `Other`."""
        ...

    def run(self, query: ReportQuery) -> ReportResult:
        """Answer any question of `reports.definitions`.

        Raises:
            ReportError: the question is wrong; the message says what to change.
            StoreTimeoutError: it takes too long; a shorter time range may do.
        """
        ...

    def first_seen(self, account: str, users: Sequence[str]) -> dict[str, int]:
        """Return when each end user's first kept generation was accepted; strangers are left out."""
        ...
