"""`regulars serve`: settings, store, providers, socket, workers, banner; in this order."""

import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from regulars.cli.options import ConfigOption, failed, load_or_exit, sources

if TYPE_CHECKING:
    from regulars.cli.providers import Served
    from regulars.config.settings import Settings


def serve(
    *,
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 picks one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that serve.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Serve the demo's llama.cpp servers.")
    ] = False,
) -> None:
    """Start the gateway."""
    from regulars.cli.listen import ListenError, listen
    from regulars.cli.log import set_up_logging
    from regulars.cli.providers import served
    from regulars.demo.tiny_model import DemoError

    set_up_logging()
    options = {("server", "host"): host, ("server", "port"): port, ("server", "workers"): workers}
    origin = sources(config, options)
    settings = load_or_exit(origin)
    try:
        # first, so that nothing is written where another gateway already serves
        listener = listen(settings.server.host, settings.server.port)
        with listener, served(settings, origin, demo=demo) as complete:
            _serve(complete, listener)
    except (ListenError, DemoError) as error:
        raise failed(str(error)) from error


def _serve(complete: "Served", listener: socket.socket) -> None:
    from regulars.app import prepare
    from regulars.cli.banner import banner
    from regulars.cli.listen import address_for_people
    from regulars.stores.base import StoreError

    server = complete.settings.server
    port: int = listener.getsockname()[1]
    settings = replace(complete.settings, server=replace(server, port=port))
    try:
        prepared = prepare(settings)
    except StoreError as error:
        raise failed(str(error)) from error
    text = banner(
        address=address_for_people(server.host, port),
        catalog=settings.catalog,
        where=complete.where,
        created=prepared.created,
        login=prepared.login_path,
        recording=settings.ledger.enabled,
    )
    if not _run(settings, listener, on_ready=lambda: typer.echo(text)):
        raise failed("the gateway did not start or did not stop cleanly; the log above says why")


def _run(settings: "Settings", listener: socket.socket, *, on_ready: Callable[[], None]) -> bool:
    from regulars.cli.worker import serve_here

    server = settings.server
    if server.workers == 1:
        return serve_here(settings, listener, on_ready=on_ready)
    from regulars.cli.supervisor import Crew, Supervisor

    work = partial(serve_here, settings, stop_signals=(signal.SIGTERM,))
    crew = Crew(workers=server.workers, drain_timeout_s=server.drain_timeout_s)
    return Supervisor(crew, work, listener, on_ready=on_ready).run()
