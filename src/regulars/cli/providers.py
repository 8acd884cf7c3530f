"""Which providers to serve: the configuration's, else discovered ones, else the demo."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from regulars.cli.options import prices
from regulars.config.discover import discover
from regulars.config.settings import Settings
from regulars.config.sources import Sources, home


@dataclass(frozen=True, slots=True)
class Served:
    """Complete settings, and where the providers come from, for people."""

    settings: Settings
    where: str


def found(settings: Settings, origin: Sources) -> Served | None:
    """Complete the settings without starting anything; None where only the demo is left."""
    if settings.catalog.models:
        return Served(settings, "configuration")
    discovered = discover(origin.env, prices())
    if discovered is None:
        return None
    return Served(replace(settings, catalog=discovered.catalog), discovered.where)


@contextmanager
def served(settings: Settings, origin: Sources, *, demo: bool) -> Generator[Served]:
    """Complete the settings for the time of a `with`; starts the demo's servers if need be.

    Raises:
        DemoError: they did not start.
    """
    complete = None if demo else found(settings, origin)
    if complete:
        yield complete
        return
    from regulars.demo.servers import demo_servers

    with demo_servers(home(origin.env, origin.folder)) as catalog:
        yield Served(replace(settings, catalog=catalog), "demo: llama.cpp servers on this machine")
