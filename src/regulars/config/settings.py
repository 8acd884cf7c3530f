"""Settings as the program uses them: frozen, complete, already checked.

`schema.py` describes the file a person writes, `load.py` turns it into these values.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from regulars.model.catalog import Catalog


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The public side. Times in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: int = 8787
    workers: int = 1
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    header_limit_bytes: int = 65_536
    body_limit_bytes: int = 20_000_000
    in_flight_max: int = 2000
    in_flight_per_key_max: int = 1000
    drain_timeout_s: float = 30.0
    write_stall_timeout_s: float = 60.0
    """A client that takes nothing for this long is cut."""
    keepalive_comment_s: float = 15.0
    """Quiet time in a stream after which a comment line is sent."""


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Bounds on what upstreams may do to us. Sizes in bytes, times in seconds."""

    header_limit_bytes: int = 65_536
    body_limit_bytes: int = 100_000_000
    buffer_bytes: int = 262_144
    """How much of an answer waits for a slow client before the upstream is paused."""
    connections_max: int = 1000
    """Per origin; beyond it an attempt fails at once and the next endpoint is tried."""
    idle_connections_max: int = 256
    idle_connection_s: float = 30.0
    attempts_max: int = 4
    """How many endpoints one request may try."""
    attempts_time_s: float = 300.0
    """A request this old tries no further endpoint."""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """How rows reach the store."""

    enabled: bool = True
    """False: no request is recorded, and the log, the pages and the API say so."""
    queue_rows_max: int = 50_000
    """Rows waiting for the store; when full, new requests get a 503."""
    batch_rows_max: int = 512
    commit_wait_s: float = 2.0
    """How long an answer waits for its row; after that it goes out and the row stays queued."""
    retry_s: float = 0.5
    """Pause before a failed batch is tried again."""
    when_late: Literal["serve", "refuse"] = "serve"
    """What a client gets whose row is not durable in time: its answer, or a 503 instead."""
    spool_rows_max: int = 1_000_000
    """Rows a process keeps in spool files while the store is away and its queue is full."""
    keep_days: int | None = None
    """Rows older than this are deleted, their sums stay; None keeps all."""


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """Whether keys may have prompts and completions kept, and how long. Sizes in bytes."""

    enabled: bool = False
    """False: nothing that is said is kept, whatever a key's terms."""
    keep_days: int = 7
    """What is older is deleted; and never later than its row (`[ledger] keep_days`)."""
    item_bytes_max: int = 65_536
    """Of a prompt, a completion, a reasoning each; what is longer is cut."""
    waiting_bytes_max: int = 67_108_864
    """What waits for the store; beyond it contents are dropped and counted."""


@dataclass(frozen=True, slots=True)
class RoutingSettings:
    """How users are placed. Floor in cost units a minute and endpoint, times in seconds."""

    price_counts: bool = False
    """Cheaper endpoints draw more users, by 1/price²."""
    floor: float = 50_000.0
    """Below this load, balance is worth nothing and warmth always wins."""
    holdout_share: float = 0.0
    """Share of users routed without warmth, to measure what it is worth."""
    share_s: float = 1.0
    """How often workers tell each other what became warm where."""
    ask_timeout_s: float = 0.05
    """How long one conversation nobody here knows may wait for what other workers know of it."""


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """How end users are kept."""

    at_rest: Literal["plain", "pseudonym", "encrypted"] = "plain"
    """Ids as they come, or what the key in `<store>.identity-key` makes of them."""
    rotation_window_days: int = 30
    """So long after a rotation people are still known by pseudonyms of the key before."""
    new_users_per_hour_max: int = 50_000
    """Per key and worker; beyond it requests of unknown users get a 429."""
    count_addresses: bool = True
    """Notice ids that are used from hundreds of addresses; no address is kept."""
    trusted_proxies: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    """Networks of proxies whose `X-Forwarded-For` says where a request comes from."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the ledger and the keys are kept."""

    url: str


Period = Literal["hour", "day", "week", "month"]


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where a report is sent, and the secret that signs it; pauses in seconds."""

    url: str
    secret: str = field(repr=False)
    attempts_max: int = 5
    retry_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSettings:
    """One scheduled report; it goes to a folder or to a webhook."""

    name: str
    cron: str
    time_zone: str = "UTC"
    period: Period = "day"
    format: Literal["csv", "jsonl", "parquet", "pdf"] = "csv"
    group_by: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    user: str | None = None
    model: str | None = None
    provider: str | None = None
    folder: Path | None = None
    webhook: WebhookSettings | None = None

    @property
    def target(self) -> str:
        """Name where it goes, without what an address may hold of secrets."""
        if self.webhook is None:
            return str(self.folder)
        parts = urlsplit(self.webhook.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything, after file, environment and discovery."""

    store: StoreSettings
    catalog: Catalog
    server: ServerSettings = field(default_factory=ServerSettings)
    upstream: UpstreamSettings = field(default_factory=UpstreamSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
    content: ContentSettings = field(default_factory=ContentSettings)
    routing: RoutingSettings = field(default_factory=RoutingSettings)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    reports: tuple[ReportSettings, ...] = ()
