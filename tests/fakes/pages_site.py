"""The pages over a real store on a real socket, for tests."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import AF_INET, SOCK_STREAM, socket
from time import monotonic, sleep, time

import uvicorn
from starlette.applications import Starlette

from fakes.sample_ledger import sample_catalog, sample_keys
from regulars.model.generation import Generation
from regulars.stores.sqlite import SqliteStore, open_store
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
    return WebDeps(
        reports=store,
        keys=store,
        secret=store.secret("web"),
        account="default",
        catalog=sample_catalog(),
        clock=time,
        version="0.0-test",
    )


@contextmanager
def running_pages(folder: Path, rows: list[Generation]) -> Generator[PagesSite]:
    """Serve the pages over a new store with these rows and the sample's keys."""
    store = open_store(f"sqlite:///{folder / 'pages.db'}")
    for key in sample_keys():
        store.create_key(key)
    if rows:
        store.append(rows)
    deps = make_deps(store)
    listener = socket(AF_INET, SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    app = Starlette(routes=page_routes(deps))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        _wait_until_up(server)
        yield PagesSite(f"http://127.0.0.1:{listener.getsockname()[1]}", store, deps)
    finally:
        server.should_exit = True
        thread.join(START_WAIT_S)
        listener.close()
        store.close()


def _wait_until_up(server: uvicorn.Server) -> None:
    deadline = monotonic() + START_WAIT_S
    while not server.started:
        assert monotonic() < deadline, "the pages did not come up"
        sleep(0.01)
