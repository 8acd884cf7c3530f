"""The roles a store can play, as protocols. A store may play just one."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, runtime_checkable

from regulars.model.caller import ApiKey
from regulars.model.generation import Generation
from regulars.reports.schema import ReportQuery, ReportResult
from regulars.routing.sharing import Outbox, SharedLoads, SharedPlacement, SharedTrouble


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


@dataclass(frozen=True, slots=True)
class KeyChange:
    """What somebody did to a key. `actor` is a management key's hash, or COMMAND_LINE.

    `details` has each field that changed: (before, after).
    """

    at_us: int
    actor: str
    key_hash: str
    key_name: str
    action: Literal["created", "changed", "deleted"]
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

    def key_changes(self, limit: int, *, key_hash: str | None = None) -> list[KeyChange]:
        """Return what was done to keys, or to one, the newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """What another router told, `late_s` ago; the placements' ages are those of now."""

    placements: tuple[SharedPlacement, ...]
    loads: SharedLoads
    late_s: float
    troubles: tuple[SharedTrouble, ...] = ()


class SharedRouting(Protocol):
    """What routers of the same users tell each other. Blocking, quick; soft state.

    Every method raises StoreError when the others cannot be reached.
    """

    def tell(self, outbox: Outbox) -> None:
        """Tell the others what changed."""
        ...

    def hear(self) -> list[Heard]:
        """Return what others told since the last call; the first call tells what is known."""
        ...

    def ask(self, keys: Sequence[int]) -> list[SharedPlacement]:
        """Return where these keys were last, as far as anybody told."""
        ...

    def close(self) -> None:
        """Let go of it; nobody may be using it."""
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


@dataclass(frozen=True, slots=True)
class Registered:
    """An external user that was registered, or turned off; times are microseconds since 1970.

    `display_name` is how people may call him; it identifies nobody and nothing is found by it.
    """

    name: str
    is_active: bool
    created_us: int
    updated_us: int
    display_name: str | None = None


class Registry(Protocol):
    """Keeps what was said of external users. Blocking, quick."""

    def registered(self, account: str, *, limit: int) -> list[Registered]:
        """Return them by name."""
        ...

    def register(self, account: str, user: Registered) -> None:
        """Keep what is said of one; when he was registered first stays."""
        ...

    def display_names(self, account: str, names: Sequence[str]) -> dict[str, str]:
        """Return the display names of those who have one."""
        ...

    def find_registered(self, account: str, name: str) -> Registered | None:
        """Return one by his name."""
        ...


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


class Scans(Protocol):
    """Reads every row of a question, however many: for exports. Blocking; call in a thread."""

    def scan(self, where: Filter) -> Generator[list[Generation]]:
        """Yield pages, newest first, without a snapshot between them; close it when leaving early.

        Rows that come meanwhile behind the place reached are not seen: give `where` an end.

        Raises:
            StoreError: a page cannot be read; those before stay right.
        """
        ...


DeliveryStatus = Literal["running", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One scheduled report on its way: due when, where to, and how it went."""

    id: int
    report: str
    due_us: int
    started_us: int
    ended_us: int | None = None
    status: DeliveryStatus = "running"
    target: str = ""
    attempts: int = 0
    bytes: int | None = None
    error: str | None = None


class Deliveries(Protocol):
    """Who delivers which scheduled report, and how that went. Blocking, quick.

    Every method raises StoreError when it cannot be asked.
    """

    def last_due(self, report: str, now_us: int) -> int:
        """Return when this report was last due and taken, or first heard of: now, if it is new."""
        ...

    def unfinished(self, report: str, before_us: int) -> list[int]:
        """Return due times whose delivery began before then and never ended."""
        ...

    def claim(self, wanted: Delivery, *, lost_before_us: int) -> int | None:
        """Take a delivery for oneself, return its id; None where another has it or had it.

        One that began before `lost_before_us` and never ended may be taken over.
        """
        ...

    def end(self, delivery: Delivery) -> None:
        """Record how it went."""
        ...

    def newest(self, limit: int) -> list[Delivery]:
        """Return deliveries, the newest first."""
        ...
