"""The file a person writes, `regulars.toml`: every key with its default, unit and bounds.

Only shape and single values are judged here; what needs the rest of the file or the
environment (a provider's name, a variable) is judged in `references.py`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from regulars.config.values import (
    ContextLength,
    Cron,
    Dialect,
    Headers,
    HttpUrl,
    ModelId,
    Network,
    Seconds,
    ServiceTier,
    Slug,
    StoreUrl,
    Tag,
    TimeZone,
    Usd,
    Variable,
    refuse,
)
from regulars.model.catalog import CacheKeyRule, EndUserField, Quantization
from regulars.model.tokens import TOKENS_MAX


class Table(BaseModel):
    """A table of the file: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerTable(Table):
    """The public side."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(8787, ge=0, le=65_535, description="TCP port to listen on; 0 picks one.")
    workers: int = Field(1, ge=1, le=256, description="Processes that serve requests.")
    header_timeout_s: Seconds = Field(10.0, description="For a request's head to arrive.")
    body_timeout_s: Seconds = Field(30.0, description="For a request's body to arrive.")
    header_limit_bytes: int = Field(
        65_536, ge=1024, le=16_777_216, description="Largest request head."
    )
    body_limit_bytes: int = Field(
        20_000_000, ge=1024, le=2_000_000_000, description="Largest request body."
    )
    in_flight_max: int = Field(
        2000, ge=1, le=1_000_000, description="Requests in work per worker; beyond it: 503."
    )
    in_flight_per_key_max: int = Field(
        1000, ge=1, le=1_000_000, description="Likewise of one API key."
    )
    drain_timeout_s: Seconds = Field(
        30.0, description="For requests in work to end when the gateway stops."
    )
    write_stall_timeout_s: Seconds = Field(
        60.0, description="A client that takes nothing for this long is cut."
    )
    keepalive_comment_s: Seconds = Field(
        15.0, description="Quiet time in a stream before a comment line is sent."
    )


class UpstreamTable(Table):
    """Bounds on upstreams; the times may be overridden per provider and per endpoint."""

    connect_timeout_s: Seconds = Field(5.0, description="For the connection and TLS.")
    first_byte_timeout_s: Seconds = Field(120.0, description="For the first byte of an answer.")
    idle_timeout_s: Seconds = Field(60.0, description="Between two pieces of an answer.")
    total_timeout_s: Seconds = Field(600.0, description="For a whole answer.")
    header_limit_bytes: int = Field(65_536, ge=1024, le=16_777_216, description="Largest head.")
    body_limit_bytes: int = Field(
        100_000_000, ge=1024, le=2_000_000_000, description="Largest answer."
    )
    buffer_bytes: int = Field(
        262_144, ge=4096, le=67_108_864, description="Waits for a slow client per stream."
    )
    connections_max: int = Field(1000, ge=1, le=100_000, description="Per origin and worker.")
    idle_connections_max: int = Field(256, ge=0, le=100_000, description="Kept open per origin.")
    idle_connection_s: Seconds = Field(30.0, description="How long an idle one is kept.")
    attempts_max: int = Field(4, ge=1, le=32, description="Endpoints one request may try.")
    attempts_time_s: Seconds = Field(300.0, description="An older request tries no further one.")


class LedgerTable(Table):
    """How rows reach the store."""

    enabled: bool = Field(
        True, description="False: nothing is recorded. To measure, or to serve without a record."
    )
    queue_rows_max: int = Field(
        50_000, ge=1, le=10_000_000, description="Rows waiting for the store; when full: 503."
    )
    batch_rows_max: int = Field(512, ge=1, le=100_000, description="Rows of one transaction.")
    commit_wait_s: Seconds = Field(2.0, description="How long an answer waits for its row.")
    retry_s: Seconds = Field(0.5, description="Pause before a failed batch is tried again.")
    when_late: Literal["serve", "refuse"] = Field(
        "serve",
        description="A row the store does not take in time: spooled, and served; or a 503.",
    )
    spool_rows_max: int = Field(
        1_000_000, ge=0, le=2**40, description="Rows kept in files while the store is away."
    )
    keep_days: int | None = Field(
        None, ge=1, le=36_500, description="Older rows are deleted, sums stay; absent: kept."
    )


class ContentTable(Table):
    """Prompts and completions, of the keys that have them kept."""

    enabled: bool = Field(False, description="Whether any may be kept; each key says how many.")
    keep_days: int = Field(7, ge=1, le=3650, description="Older ones are deleted.")
    item_bytes_max: int = Field(
        65_536, ge=256, le=4_194_304, description="Of each text; what is longer is cut."
    )
    waiting_bytes_max: int = Field(
        67_108_864, ge=65_536, le=2**32, description="Waiting for the store; beyond it: dropped."
    )


class RoutingTable(Table):
    """How users are placed."""

    price_counts: bool = Field(False, description="Cheaper endpoints draw more users, by 1/price².")
    floor: float = Field(
        50_000.0,
        ge=0,
        le=1e12,
        allow_inf_nan=False,
        description="Cost units a minute and endpoint below which balance is worth nothing.",
    )
    holdout_share: float = Field(
        0.0, ge=0, le=0.5, description="Share of users routed without warmth, to measure its worth."
    )
    share_s: float = Field(
        1.0, ge=0.05, le=60, description="How often workers tell each other what is warm where."
    )
    ask_timeout_s: float = Field(
        0.05, gt=0, le=5, description="For what other workers know of an unknown conversation."
    )


class IdentityTable(Table):
    """How end users are kept."""

    at_rest: Literal["plain", "pseudonym", "encrypted"] = Field(
        "plain", description="Keep ids as they come, only pseudonyms of them, or encrypted."
    )
    rotation_window_days: int = Field(
        30, ge=1, le=3650, description="So long a key's people are found after its rotation."
    )
    new_users_per_hour_max: int = Field(
        50_000, ge=1, le=100_000_000, description="Unknown users a key may bring; beyond it: 429."
    )
    count_addresses: bool = Field(
        True, description="Notice ids used from hundreds of addresses; no address is kept."
    )
    trusted_proxies: tuple[Network, ...] = Field(
        ("127.0.0.1/32", "::1/128"),
        max_length=100,
        description="Proxies whose X-Forwarded-For tells addresses, as networks like 10.0.0.0/8.",
    )


class StoreTable(Table):
    """Where the ledger and the keys are kept."""

    url: StoreUrl | None = Field(
        None,
        description="`sqlite:///path`, relative to this file; absent: regulars.db in REGULARS_HOME.",
    )


class TimesTable(Table):
    """The times of [upstream], overridden."""

    connect_timeout_s: Seconds | None = Field(None, description="Absent: as in [upstream].")
    first_byte_timeout_s: Seconds | None = Field(None, description="Absent: as in [upstream].")
    idle_timeout_s: Seconds | None = Field(None, description="Absent: as in [upstream].")
    total_timeout_s: Seconds | None = Field(None, description="Absent: as in [upstream].")


class SharedTable(TimesTable):
    """What a provider says of all its endpoints, and an endpoint of itself."""

    end_user_field: EndUserField | None = Field(
        None,
        description="The request field that carries the end user's pseudonym; absent: as known "
        "of the provider, else none.",
    )
    prompt_cache_key: CacheKeyRule | None = Field(
        None,
        description="`pass` the client's own on, `fill` it with the end user's pseudonym where "
        "there is none, or `drop` it; absent: as known of the provider, else pass.",
    )


class ProviderTable(SharedTable):
    """Who runs models, and how to reach them."""

    name: str | None = Field(None, min_length=1, max_length=100, description="As people read it.")
    dialect: Dialect = Field("openai", description="The API it speaks.")
    base_url: HttpUrl = Field(
        description="Up to and with `/v1`: `/chat/completions` is put behind it."
    )
    key_env: Variable | None = Field(
        None, description="The environment variable that holds the key; absent: no key is sent."
    )
    headers: Headers = Field(default_factory=dict[str, str], description="Sent with every request.")
    cache_ttl_s: Seconds | None = Field(
        None, description="How long a prompt stays in its cache; absent: learned."
    )
    allow_link_local: bool = Field(
        False,
        description="Its address may be link-local or a cloud's metadata service: else refused.",
    )


class PriceTable(Table):
    """USD per million tokens (`request`: USD per request)."""

    prompt: Usd = Field(description="Fresh input.")
    completion: Usd = Field(description="Output.")
    cache_read: Usd | None = Field(None, description="Input read from a cache; absent: prompt.")
    cache_write: Usd | None = Field(None, description="Input written to one; absent: prompt.")
    cache_write_1h: Usd | None = Field(None, description="Likewise for 1 h; absent: cache_write.")
    audio: Usd | None = Field(None, description="Audio input; absent: prompt.")
    audio_output: Usd | None = Field(None, description="Audio output; absent: completion.")
    request: Usd | None = Field(None, description="Each request, whatever its size; absent: 0.")


class LengthsTable(PriceTable):
    """A price, and what longer prompts cost."""

    above: dict[Annotated[int, Field(gt=0, le=TOKENS_MAX)], PriceTable] = Field(
        default_factory=dict[int, PriceTable],
        max_length=16,
        description="The whole price of prompts longer than so many tokens: `200000`.",
    )


class OfferTable(LengthsTable):
    """A price, and what the provider's other service tiers cost."""

    services: dict[ServiceTier, LengthsTable] = Field(
        default_factory=dict[str, LengthsTable],
        max_length=16,
        description="By tier as answers name it: `flex`, `priority`, `batch`.",
    )


class EndpointTable(SharedTable):
    """One provider's offer of one model."""

    provider: Slug = Field(description="A name under [providers].")
    upstream_model: str = Field(
        min_length=1, max_length=300, description="The model as the provider names it."
    )
    id: ModelId | None = Field(
        None, description="Places users, so keep it; absent: `provider/model`."
    )
    price: OfferTable | None = Field(None, description="Absent: looked up in genai-prices.")
    capacity: float = Field(
        1.0, gt=0, le=1_000_000, allow_inf_nan=False, description="Share of the load it can take."
    )
    context_length: ContextLength | None = Field(None, description="Tokens; absent: the model's.")
    cache_ttl_s: Seconds | None = Field(None, description="Absent: the provider's.")
    tokens_per_minute: float | None = Field(
        None, gt=0, le=1e12, allow_inf_nan=False, description="What it can take; absent: unknown."
    )
    tag: Tag | None = Field(
        None, description="The slug that means this endpoint alone, like `alpha/turbo`."
    )
    tier: bool = Field(
        False, description="A service tier: only its tag or id means it, not its provider's name."
    )
    parameters: Annotated[list[str], Field(max_length=200)] | None = Field(
        None, description="Request fields it supports, like `tools`; absent: all."
    )
    quantization: Quantization = Field("unknown", description="Of its weights.")
    keeps_data: bool | None = Field(
        None, description="Whether prompts are kept or trained on; absent: unknown."
    )
    zdr: bool = Field(False, description="Whether it has zero data retention.")
    max_completion_tokens: ContextLength | None = Field(
        None, description="The longest output it produces; absent: unknown."
    )


class ModelTable(Table):
    """One model as clients name it."""

    name: str | None = Field(None, min_length=1, max_length=200, description="Absent: its id.")
    created: int = Field(0, ge=0, le=2**40, description="When it was released, Unix seconds.")
    context_length: ContextLength | None = Field(None, description="Tokens; absent: unknown.")
    distillable: bool | None = Field(
        None, description="Whether others may be trained on its text; absent: unknown."
    )
    endpoints: list[EndpointTable] = Field(
        min_length=1, max_length=1000, description="Who serves it."
    )


class ReportTable(Table):
    """One scheduled report: when, what, and where to."""

    name: Slug = Field(description="Names its files and deliveries.")
    cron: Cron = Field(description="When it is due: minute, hour, day, month, weekday.")
    time_zone: TimeZone = Field(
        "UTC", description="Of the schedule, of days and of times in the file."
    )
    period: Literal["hour", "day", "week", "month"] = Field(
        "day", description="What it tells of: the whole one before it is due."
    )
    format: Literal["csv", "jsonl", "parquet", "pdf"] = Field("csv", description="Of the file.")
    group_by: Annotated[list[str], Field(max_length=4)] = Field(
        default_factory=list[str],
        description="Dimensions, like `user`; absent: every request, or a PDF's usual tables.",
    )
    metrics: Annotated[list[str], Field(max_length=40)] = Field(
        default_factory=list[str],
        description="Figures of each group, a PDF's up to 6; absent: the usual ones.",
    )
    user: str | None = Field(None, max_length=512, description="Only this end user.")
    model: str | None = Field(None, max_length=512, description="Only this model.")
    provider: str | None = Field(None, max_length=512, description="Only this provider, by name.")
    folder: str | None = Field(
        None, min_length=1, description="Where its files go, relative to this file."
    )
    webhook: HttpUrl | None = Field(None, description="The address its files are sent to.")
    secret_env: Variable | None = Field(
        None, description="The environment variable that holds the webhook's signing secret."
    )
    attempts_max: int = Field(5, ge=1, le=20, description="How often the webhook is tried.")
    retry_s: Seconds = Field(1.0, description="Before the second try; then four times as long.")

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if (self.folder is None) == (self.webhook is None):
            raise refuse("goes nowhere, or to two places", "give it a folder or a webhook")
        if (self.webhook is None) != (self.secret_env is None):
            raise refuse(
                "a webhook and its secret_env belong together",
                "name the variable that holds the secret; leave both away for a folder",
            )
        return self


class File(Table):
    """All of `regulars.toml`."""

    model_config = ConfigDict(title="regulars.toml")

    server: ServerTable = ServerTable()  # pyright: ignore[reportCallIssue] - defaults in Field()
    upstream: UpstreamTable = UpstreamTable()  # pyright: ignore[reportCallIssue] - likewise
    ledger: LedgerTable = LedgerTable()  # pyright: ignore[reportCallIssue] - likewise
    content: ContentTable = ContentTable()  # pyright: ignore[reportCallIssue] - likewise
    routing: RoutingTable = RoutingTable()  # pyright: ignore[reportCallIssue] - likewise
    identity: IdentityTable = IdentityTable()  # pyright: ignore[reportCallIssue] - likewise
    store: StoreTable = StoreTable()  # pyright: ignore[reportCallIssue] - likewise
    providers: dict[Slug, ProviderTable] = Field(
        default_factory=dict[str, ProviderTable], max_length=1000, description="By name."
    )
    models: dict[ModelId, ModelTable] = Field(
        default_factory=dict[str, ModelTable], max_length=10_000, description="By id."
    )
    reports: list[ReportTable] = Field(
        default_factory=list[ReportTable], max_length=100, description="Scheduled reports."
    )


def json_schema() -> dict[str, Any]:
    """Describe the file as a JSON schema, for editors."""
    schema = File.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
