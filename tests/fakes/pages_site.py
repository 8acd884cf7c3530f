"""The pages over a real store on a real socket, for tests."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from socket import AF_INET, SOCK_STREAM, socket
from time import monotonic, sleep, time

import uvicorn
from starlette.applications import Starlette

from fakes.sample_ledger import sample_catalog, sample_keys
from regulars.app import new_key
from regulars.http.downloads import Downloads
from regulars.http.explain import explainer
from regulars.http.routing import compare
from regulars.http.turns import Turns
from regulars.http.wanted import WantedReader
from regulars.identity.at_rest import PLAIN
from regulars.identity.end_user import EndUsers
from regulars.identity.key_policies import KeyPolicies
from regulars.identity.new_users import NewUsers
from regulars.identity.personal_ids import PersonalIds
from regulars.ledger.one_person import OnePerson
from regulars.model.catalog import Catalog
from regulars.model.generation import Generation
from regulars.routing.health import Failure, Health
from regulars.routing.overview import overview
from regulars.routing.plan import Planner
from regulars.routing.warmhrw import Router
from regulars.stores.signing_key import signing_secrets
from regulars.stores.sqlite import SqliteStore, open_store
from regulars.stores.sqlite.sightings import SqliteSightings, sightings_path
from regulars.web.pages import WebDeps, page_routes

START_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class PagesSite:
    """A running site: where it is, and what it is made of."""

    url: str
    store: SqliteStore
    deps: WebDeps


def make_deps(store: SqliteStore) -> WebDeps:
    """What the composition root would give the pages."""
    catalog = sample_catalog()
    end_users = EndUsers(
        time,
        personal=PersonalIds(lambda _account, user: user),
        new=NewUsers(lambda _account, _name, _user: True, per_hour_max=1),
    )
    wanted = WantedReader(
        catalog, end_users=end_users, holdout_share=0.0, random_bits=Random(3).getrandbits
    )
    planner = _planner(catalog)
    return WebDeps(
        reports=store,
        keys=store,
        spendings=store,
        contents=store,
        new_key=new_key,
        keeps_content=True,
        secret=store.secret("web"),
        account="default",
        catalog=catalog,
        clock=time,
        version="0.0-test",
        routing=lambda: overview(planner, catalog, monotonic()),
        explain=explainer(planner, wanted, "default"),
        registry=store,
        noticed=SqliteSightings(sightings_path(store.path)),
        policies=KeyPolicies(signing=signing_secrets(store.path)),
        export=Downloads(store, Turns()).send,
        worth=partial(compare, store),
        people=OnePerson(store, PLAIN, store, "default"),
    )


def _planner(catalog: Catalog) -> Planner:
    """A planner with an endpoint of each kind: well, failed lately, out."""
    planner = Planner(catalog, router=Router(), health=Health(), attempts_max=4)
    endpoints, now_s = catalog.endpoints, monotonic()
    for _ in range(3):
        planner.health.failed(endpoints[-1].id, Failure.ERROR, now_s)
    planner.health.succeeded(endpoints[0].id, now_s, ttft_s=0.25, tokens_per_s=80.0)
    planner.router.loads.add(endpoints[0].id, 90_000.0, now_s)
    for key in range(150):
        home = endpoints[min(key % 4, 2)].id
        planner.router.placements.put(key, (home, now_s, 900, None), now_s)
    return planner


@contextmanager
def running_pages(folder: Path, rows: list[Generation]) -> Generator[PagesSite]:
    """Serve the pages over a new store with these rows and the sample's keys."""
    store = open_store(f"sqlite:///{folder / 'pages.db'}")
    for key in sample_keys():
        store.create_key(key)
    if rows:
        store.append(rows)
    deps = make_deps(store)
    try:
        with served(deps) as url:
            yield PagesSite(url, store, deps)
    finally:
        store.close()


@contextmanager
def served(deps: WebDeps) -> Generator[str]:
    """Serve the pages made of these on a free port."""
    listener = socket(AF_INET, SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    app = Starlette(routes=page_routes(deps))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        _wait_until_up(server)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_WAIT_S)
        listener.close()


def _wait_until_up(server: uvicorn.Server) -> None:
    deadline = monotonic() + START_WAIT_S
    while not server.started:
        assert monotonic() < deadline, "the pages did not come up"
        sleep(0.01)
