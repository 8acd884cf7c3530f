"""The one loader: file, environment and command line become checked, frozen settings.

Prices come from above (`billing`), as two functions, so that this layer need not know how they
are looked up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from regulars.config.judge import problems_of
from regulars.config.known_providers import known_disclosure
from regulars.config.problems import ConfigError, Problem, dotted
from regulars.config.references import default_ids, reference_problems
from regulars.config.schema import (
    EndpointTable,
    File,
    LengthsTable,
    ModelTable,
    PriceTable,
    ProviderTable,
    ReportTable,
    SharedTable,
    TimesTable,
)
from regulars.config.settings import (
    ContentSettings,
    IdentitySettings,
    LedgerSettings,
    ReportSettings,
    RoutingSettings,
    ServerSettings,
    Settings,
    StoreSettings,
    UpstreamSettings,
    WebhookSettings,
)
from regulars.config.sources import Merged, Sources, home, merge
from regulars.model.catalog import (
    Catalog,
    Disclosure,
    Endpoint,
    Model,
    Provider,
    Timeouts,
    Traits,
)
from regulars.model.money import Price

_SQLITE: Final = "sqlite:///"


@dataclass(frozen=True, slots=True)
class PriceQuery:
    """Whose price is asked, where the configuration names none."""

    provider: str
    base_url: str
    upstream_model: str


@dataclass(frozen=True, slots=True)
class Prices:
    """How to find a price: `of` looks it up, `read` understands a `price = {…}` table.

    `read` raises ValueError with the reason.
    """

    of: Callable[[PriceQuery], Price | None]
    read: Callable[[Mapping[str, str]], Price]


def load(sources: Sources, prices: Prices) -> Settings:
    """Make settings of all sources; an empty catalog means that none of them names a model.

    Raises:
        ConfigError: with all problems at once.
    """
    merged = merge(sources)
    file = _judged(merged, reference_problems(merged.tables, sources.env))
    return _settings(file, merged, sources, _catalog(file, sources.env, prices))


def load_local(sources: Sources) -> Settings:
    """Load all but providers and models: for commands that only need the store or the address.

    They must work in a shell that does not hold the providers' keys.

    Raises:
        ConfigError: with all problems at once.
    """
    merged = merge(sources)
    return _settings(_judged(merged, []), merged, sources, Catalog(models={}))


def _judged(merged: Merged, references: Sequence[Problem]) -> File:
    problems = [*merged.problems]
    file: File | None = None
    try:
        file = File.model_validate(merged.tables)
    except ValidationError as error:
        problems += problems_of(error, merged.origins)
    problems += references
    if file is None or problems:
        raise ConfigError(problems)
    return file


def _settings(file: File, merged: Merged, sources: Sources, catalog: Catalog) -> Settings:
    return Settings(
        store=StoreSettings(url=_store_url(file, merged, sources)),
        catalog=catalog,
        server=ServerSettings(**file.server.model_dump()),
        upstream=UpstreamSettings(**file.upstream.model_dump(exclude=set(TimesTable.model_fields))),
        ledger=LedgerSettings(**file.ledger.model_dump()),
        content=ContentSettings(**file.content.model_dump()),
        routing=RoutingSettings(**file.routing.model_dump()),
        identity=IdentitySettings(**file.identity.model_dump()),
        reports=tuple(_report(table, merged, sources) for table in file.reports),
    )


def _report(table: ReportTable, merged: Merged, sources: Sources) -> ReportSettings:
    folder, url, variable = table.folder, table.webhook, table.secret_env
    return ReportSettings(
        name=table.name,
        cron=table.cron,
        time_zone=table.time_zone,
        period=table.period,
        format=table.format,
        group_by=tuple(table.group_by),
        metrics=tuple(table.metrics),
        user=table.user,
        model=table.model,
        provider=table.provider,
        folder=None if folder is None else _folder(merged, sources) / Path(folder).expanduser(),
        webhook=None
        if url is None or variable is None
        else WebhookSettings(
            url, sources.env.get(variable, "").strip(), table.attempts_max, table.retry_s
        ),
    )


def _folder(merged: Merged, sources: Sources) -> Path:
    return sources.folder if merged.file is None else merged.file.parent


def _store_url(file: File, merged: Merged, sources: Sources) -> str:
    url = file.store.url
    if url is None:
        return f"{_SQLITE}{home(sources.env, sources.folder) / 'regulars.db'}"
    return f"{_SQLITE}{_folder(merged, sources) / Path(url.removeprefix(_SQLITE)).expanduser()}"


def _catalog(file: File, env: Mapping[str, str], prices: Prices) -> Catalog:
    defaults = Timeouts(
        connect_s=file.upstream.connect_timeout_s,
        first_byte_s=file.upstream.first_byte_timeout_s,
        idle_s=file.upstream.idle_timeout_s,
        total_s=file.upstream.total_timeout_s,
    )
    providers = {
        slug: _provider(slug, table, env, defaults) for slug, table in file.providers.items()
    }
    problems: list[Problem] = []
    models = {
        model_id: _model(model_id, table, _Offers(providers, prices, problems))
        for model_id, table in file.models.items()
    }
    if problems:
        raise ConfigError(problems)
    return Catalog(models=models)


def _provider(
    slug: str, table: ProviderTable, env: Mapping[str, str], defaults: Timeouts
) -> Provider:
    return Provider(
        slug=slug,
        name=table.name or slug,
        dialect=table.dialect,
        base_url=table.base_url,
        key=env[table.key_env].strip() if table.key_env else None,
        headers=table.headers,
        timeouts=_timeouts(table, defaults),
        cache_ttl_s=table.cache_ttl_s,
        allow_link_local=table.allow_link_local,
        disclosure=_disclosure(table, known_disclosure(slug)),
    )


def _disclosure(table: SharedTable, default: Disclosure) -> Disclosure:
    return Disclosure(
        end_user_field=table.end_user_field or default.end_user_field,
        prompt_cache_key=table.prompt_cache_key or default.prompt_cache_key,
    )


def _timeouts(table: TimesTable, defaults: Timeouts) -> Timeouts:
    return Timeouts(
        connect_s=table.connect_timeout_s or defaults.connect_s,
        first_byte_s=table.first_byte_timeout_s or defaults.first_byte_s,
        idle_s=table.idle_timeout_s or defaults.idle_s,
        total_s=table.total_timeout_s or defaults.total_s,
    )


@dataclass(frozen=True, slots=True)
class _Offers:
    """What endpoints are made of, and where their problems go."""

    providers: Mapping[str, Provider]
    prices: Prices
    problems: list[Problem]


def _model(model_id: str, table: ModelTable, offers: _Offers) -> Model:
    ids = default_ids(model_id, table.endpoints)
    return Model(
        id=model_id,
        name=table.name or model_id,
        created=table.created,
        context_length=table.context_length,
        endpoints=tuple(
            _endpoint(
                written,
                offers,
                # the place for a problem, the names for the endpoint
                at=dotted(("models", model_id, "endpoints", index)),
                names=(ids[index], model_id),
                table=table,
            )
            for index, written in enumerate(table.endpoints)
        ),
    )


def _endpoint(
    written: EndpointTable,
    offers: _Offers,
    *,
    at: str,
    names: tuple[str, str],
    table: ModelTable,
) -> Endpoint:
    provider = offers.providers[written.provider]
    return Endpoint(
        id=names[0],
        model=names[1],
        provider=replace(
            provider,
            timeouts=_timeouts(written, provider.timeouts),
            disclosure=_disclosure(written, provider.disclosure),
        ),
        upstream_model=written.upstream_model,
        price=_price(written, provider, offers, at),
        capacity=written.capacity,
        context_length=written.context_length or table.context_length,
        cache_ttl_s=written.cache_ttl_s,
        tokens_per_minute=written.tokens_per_minute,
        traits=_traits(written, table),
    )


def _traits(written: EndpointTable, table: ModelTable) -> Traits:
    parameters = written.parameters
    return Traits(
        tag=written.tag,
        tier=written.tier,
        parameters=None if parameters is None else frozenset(parameters),
        quantization=written.quantization,
        keeps_data=written.keeps_data,
        zdr=written.zdr,
        distillable=table.distillable,
        completion_tokens_max=written.max_completion_tokens,
    )


def _price(written: EndpointTable, provider: Provider, offers: _Offers, at: str) -> Price | None:
    if written.price is None:
        query = PriceQuery(provider.slug, provider.base_url, written.upstream_model)
        return offers.prices.of(query)
    try:
        services = tuple(
            (tier, _by_length(table, offers.prices))
            for tier, table in written.price.services.items()
        )
        return replace(_by_length(written.price, offers.prices), services=services)
    except ValueError as error:
        offers.problems.append(
            Problem(f"{at}.price", None, str(error), "USD per million tokens, as text")
        )
        return None


def _by_length(written: LengthsTable, prices: Prices) -> Price:
    """Read a price with those of longer prompts. Raises ValueError."""
    base = prices.read(_texts(written))
    if not written.above:
        return base
    longer = [(tokens, prices.read(_texts(table))) for tokens, table in written.above.items()]
    return replace(base, tiers=((-1, base), *sorted(longer, key=itemgetter(0))))


def _texts(price: PriceTable) -> dict[str, str]:
    """The table as it was written: parts that are absent stay absent."""
    return {
        key: str(value)
        for key, value in price.model_dump(exclude_none=True, exclude={"above", "services"}).items()
    }
