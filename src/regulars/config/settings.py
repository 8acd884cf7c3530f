"""Settings as the program uses them: frozen, complete, already checked.

`schema.py` describes the file a person writes, `load.py` turns it into these values.
"""

from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """How rows reach the store."""

    queue_rows_max: int = 50_000
    """Rows waiting for the store; when full, new requests get a 503."""
    batch_rows_max: int = 512
    commit_wait_s: float = 2.0
    """How long an answer waits for its row; after that it goes out and the row stays queued."""
    retry_s: float = 0.5
    """Pause before a failed batch is tried again."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the ledger and the keys are kept."""

    url: str


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything, after file, environment and discovery."""

    store: StoreSettings
    catalog: Catalog
    server: ServerSettings = field(default_factory=ServerSettings)
    upstream: UpstreamSettings = field(default_factory=UpstreamSettings)
    ledger: LedgerSettings = field(default_factory=LedgerSettings)
