"""Composition root: settings → store → gateway → ASGI application."""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, cast

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from regulars import __version__
from regulars.config.settings import ContentSettings, Settings
from regulars.delivery.runner import ReportRunner
from regulars.gateway.relay import Relay
from regulars.gateway.routes import endpoint_routes
from regulars.gateway.sharing import RoutingExchange
from regulars.gateway.spending import Spending
from regulars.http.api import Api
from regulars.http.asgi import App, Receive, Scope, Send
from regulars.http.auth import Authenticator
from regulars.http.body import behind_body
from regulars.http.chat import ChatRoute
from regulars.http.downloads import Downloads
from regulars.http.explain import explain_routes, explainer
from regulars.http.metrics import Watched, metrics_route
from regulars.http.peer import Peers
from regulars.http.routes import (
    BASES,
    CHAT_PATH,
    api_routes,
    client_left,
    joined,
    method_not_allowed,
    not_found,
)
from regulars.http.routing import compare, routing_routes
from regulars.http.server import EdgeProtocol, edge_protocol, leave_connection
from regulars.http.turns import Turns
from regulars.http.wanted import WantedReader
from regulars.identity.at_rest import AtRest
from regulars.identity.end_user import EndUsers
from regulars.identity.key_policies import KeyPolicies
from regulars.identity.new_users import NewUsers
from regulars.identity.personal_ids import PersonalIds
from regulars.identity.pseudonym import pseudonyms
from regulars.ledger import LedgerWriter, NoLedger
from regulars.ledger.contents import ContentKeeper
from regulars.ledger.one_person import OnePerson
from regulars.ledger.persons import Persons
from regulars.ledger.renames import Renames
from regulars.ledger.sightings import SightingsKeeper
from regulars.life import Life
from regulars.model.caller import (
    CALLERS_WORD,
    KEY_PREFIX,
    UNLIMITED,
    ApiKey,
    KeyTerms,
    Role,
    UserPolicy,
    key_hash,
    key_label,
)
from regulars.routing.health import Health
from regulars.routing.overview import overview
from regulars.routing.plan import Planner
from regulars.routing.sharing import Sharing
from regulars.routing.warmhrw import Router
from regulars.stores.at_rest import at_rest_followed
from regulars.stores.base import StoreError
from regulars.stores.by_id import ReportsById
from regulars.stores.names import name_of
from regulars.stores.sightings import NoticedById
from regulars.stores.signing_key import personal_pseudonyms, signing_secrets
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.deliveries import SqliteDeliveries, deliveries_path
from regulars.stores.sqlite.shared_routing import SqliteSharedRouting, shared_routing_path
from regulars.stores.sqlite.sightings import SqliteSightings, sightings_path
from regulars.upstream.client import Upstream
from regulars.web.deps import WebDeps
from regulars.web.pages import page_routes
from regulars.web.tokens import LINK, LINK_LIFE_S, sign

ACCOUNT: Final = "default"
SECRET_OF_PAGES: Final = "pages"  # noqa: S105 - the name it is stored under
SECRET_OF_PSEUDONYMS: Final = "pseudonyms"  # noqa: S105 - likewise
KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` did: secrets of keys just made, by name, and the pages' login path."""

    created: tuple[tuple[str, str], ...]
    login_path: str


@dataclass(frozen=True, slots=True)
class AppFactory:
    """Builds the application in the process that will serve it. Picklable."""

    settings: Settings

    def __call__(self) -> App:
        """Open the store and put everything together; sockets and threads wait for start-up."""
        return _build(self.settings)


def http_protocol(settings: Settings) -> type[EdgeProtocol]:
    """Return the class for uvicorn's `http` option."""
    return edge_protocol(settings.server)


def prepare(settings: Settings) -> Prepared:
    """Bring the store up to date before anyone serves; make the first keys on an empty one.

    Raises:
        StoreError: it cannot be opened, or a newer program wrote it.
    """
    store = open_store(settings.store.url)
    try:
        created: list[tuple[str, str]] = []
        if not store.list_keys():
            for name, role in (("first", Role.INFERENCE), ("first-management", Role.MANAGEMENT)):
                key, secret = new_key(name, role)
                store.create_key(key)
                created.append((name, secret))
        return Prepared(tuple(created), _login_path(store))
    finally:
        store.close()


def new_key(
    name: str, role: Role, terms: KeyTerms = UNLIMITED, *, users: UserPolicy = CALLERS_WORD
) -> tuple[ApiKey, str]:
    """Make a key: (what is kept, the secret that is shown once)."""
    secret = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    key = ApiKey(
        hash=key_hash(secret),
        name=name,
        label=key_label(secret),
        role=role,
        account=ACCOUNT,
        created_at_ms=time.time_ns() // 1_000_000,
        users=users,
        terms=terms,
    )
    return key, secret


def _login_path(store: SqliteStore) -> str:
    now_ms = time.time_ns() // 1_000_000
    managers = [
        key
        for key in store.list_keys()
        if key.role is Role.MANAGEMENT and key.why_not(now_ms) is None
    ]
    if not managers:
        return "/login"
    expires_at_s = int(time.time()) + LINK_LIFE_S
    return (
        f"/login?token={sign(store.secret(SECRET_OF_PAGES), LINK, managers[0].hash, expires_at_s)}"
    )


def _build(settings: Settings) -> App:
    store = open_store(settings.store.url)
    upstream = Upstream(settings.upstream)
    recording = settings.ledger.enabled
    # Seeded by the system: which requests are sampled need not be secret.
    contents = ContentKeeper(store, _content_settings(settings), random.Random().random)  # noqa: S311
    keeper = LedgerWriter(store, settings.ledger, contents=contents)
    writer = keeper if recording else NoLedger(keeper)
    planner = _planner(settings)
    others = _others(settings, planner, store) if settings.server.workers > 1 else None
    persons = Persons(store, ACCOUNT)
    relay = Relay(
        settings,
        upstream=upstream,
        routes=endpoint_routes(
            settings.catalog,
            upstream,
            pseudonyms(store.secret(SECRET_OF_PSEUDONYMS), persons.person),
        ),
        planner=planner,
        writer=writer,
        spending=Spending(store, recording=recording),
        contents=contents,
        others=others,
    )
    auth = Authenticator(store, time.monotonic)
    names = names_at_rest(settings, store)
    reports, renames = ReportsById(store, names), Renames(store)
    sightings = SightingsKeeper(
        SqliteSightings(sightings_path(store.path)), erased=store.names_stamp
    )
    # Seeded by the system in each process. Ids and cold keys need to differ, not to be secret.
    wanted = WantedReader(
        settings.catalog,
        person=persons.person,
        end_users=_end_users(settings, store, names, renames, came=sightings.came),
        holdout_share=settings.routing.holdout_share,
        random_bits=random.Random().getrandbits,  # noqa: S311
    )
    chat = ChatRoute(
        settings.server,
        auth=auth,
        wanted=wanted,
        relay=relay,
        sightings=sightings if settings.identity.count_addresses else None,
        peers=Peers(settings.identity.trusted_proxies),
    )
    gateway = Life(
        store=store,
        upstream=upstream,
        writer=writer,
        relay=relay,
        others=others,
        renames=renames,
        sightings=sightings,
        persons=persons,
        reports=report_runner(settings, store) if settings.reports else None,
    )
    turns = Turns()
    downloads = Downloads(reports, turns)
    api = Api(
        auth,
        reports=reports,
        keys=store,
        spendings=store,
        contents=store,
        new_key=new_key,
        catalog=settings.catalog,
        now=lambda: datetime.now(UTC),
        erase=lambda account, user, by: OnePerson(store, names, reports, account).erase(
            user, by=by
        ),
        for_callers=reports.without_ids(),
        registry=reports,
        downloads=downloads,
        turns=turns,
        noticed=noticed_of(names, store),
        policies=key_policies(names, store),
        keeps_content=_content_settings(settings).enabled,
        recording=recording,
    )
    pages = WebDeps(
        reports=reports,
        keys=store,
        spendings=store,
        contents=store,
        new_key=new_key,
        secret=store.secret(SECRET_OF_PAGES),
        account=ACCOUNT,
        catalog=settings.catalog,
        clock=time.time,
        version=__version__,
        routing=lambda: overview(planner, settings.catalog, time.monotonic()),
        explain=explainer(planner, wanted, ACCOUNT),
        worth=partial(compare, reports),
        people=OnePerson(store, names, reports, ACCOUNT),
        registry=reports,
        noticed=noticed_of(names, store),
        policies=key_policies(names, store),
        export=downloads.send,
        keeps_content=_content_settings(settings).enabled,
        recording=recording,
    )
    starlette = Starlette(
        routes=[
            *api_routes(api, ready=gateway.is_ready),
            metrics_route(
                api, Watched(writer, contents, settings.catalog, lambda: relay.in_flight)
            ),
            *routing_routes(api, planner),
            *explain_routes(api, planner, wanted, settings.server.body_limit_bytes),
            *page_routes(pages),
        ],
        exception_handlers={
            404: not_found,
            405: method_not_allowed,
            ClientDisconnect: client_left,
        },
        lifespan=gateway.life,
    )
    # Behind a TLS proxy on this machine the pages learn from it that they are https.
    rest = cast("App", ProxyHeadersMiddleware(cast("Any", starlette)))
    fast = {base + CHAT_PATH: chat for base in BASES}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Inference goes past the framework: no router, no middleware, no request object.
        route = fast.get(scope["path"]) if scope["type"] == "http" else None
        if route is None and scope["type"] == "http":
            scope["path"] = joined(scope["path"])
            route = fast.get(scope["path"])
            if route is None:
                send = behind_body(send, *leave_connection(scope))
        if route is None:
            await rest(scope, receive, send)
        else:
            await route(scope, receive, send)

    return app


def _content_settings(settings: Settings) -> ContentSettings:
    """Return what is kept and how long: no longer than rows, and nothing where they are not kept."""
    content, keep_days = settings.content, settings.ledger.keep_days
    return replace(
        content,
        enabled=content.enabled and settings.ledger.enabled,
        keep_days=content.keep_days if keep_days is None else min(content.keep_days, keep_days),
    )


def names_at_rest(settings: Settings, store: SqliteStore) -> AtRest:
    """Return how the store keeps names, through rotations of their keys. Raises StoreError."""
    return at_rest_followed(settings.identity, store.path)


def reports_of(settings: Settings, store: SqliteStore) -> ReportsById:
    """Return what answers questions about the store, asked with ids as requests send them."""
    return ReportsById(store, names_at_rest(settings, store))


def _end_users(
    settings: Settings,
    store: SqliteStore,
    names: AtRest,
    renames: Renames,
    *,
    came: Callable[[ApiKey, str, bytes], None],
) -> EndUsers:
    def is_known(account: str, name: str, user: str) -> bool:
        try:
            for old in names.earlier(account, user):
                if store.knows(account, old):
                    renames.rename(account, old, name)
                    return True
            return store.knows(account, name)
        except StoreError:
            return True  # a store that is away is no reason to refuse anybody

    return EndUsers(
        time.time,
        personal=PersonalIds(personal_pseudonyms(store.path)),
        new=NewUsers(is_known, per_hour_max=settings.identity.new_users_per_hour_max),
        kept=names.kept,
        opened=names.shown,
        signing=signing_secrets(store.path),
        came=came,
    )


def noticed_of(names: AtRest, store: SqliteStore) -> NoticedById:
    """Return what was noticed of ids beside the ledger."""
    return NoticedById(SqliteSightings(sightings_path(store.path)), names)


def key_policies(names: AtRest, store: SqliteStore) -> KeyPolicies:
    """Return what makes the policies of a store's keys."""

    def kept(account: str, user: str) -> str:
        return name_of(store, names, account, user)

    return KeyPolicies(kept=kept, shown=names.shown, signing=signing_secrets(store.path))


def report_runner(settings: Settings, store: SqliteStore) -> ReportRunner:
    """Put together what delivers the scheduled reports."""
    return ReportRunner(
        settings.reports,
        source=reports_of(settings, store),
        deliveries=SqliteDeliveries(deliveries_path(store.path)),
        account=ACCOUNT,
    )


def _planner(settings: Settings) -> Planner:
    router = Router(
        floor=settings.routing.floor,
        price_counts=settings.routing.price_counts,
        sharing=Sharing.CHANNEL if settings.server.workers > 1 else Sharing.ALONE,
    )
    return Planner(
        settings.catalog,
        router=router,
        health=Health(),
        attempts_max=settings.upstream.attempts_max,
    )


def _others(settings: Settings, planner: Planner, store: SqliteStore) -> RoutingExchange:
    """Connect this worker's router with those of the other workers."""
    path, node = shared_routing_path(store.path), secrets.token_hex(8)
    return RoutingExchange(
        planner.router,
        planner.health,
        settings.routing,
        channel=SqliteSharedRouting(path, node),
        asking=SqliteSharedRouting(path, node),
    )
