"""`regulars demo`: lets sample users chat with a running gateway."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from regulars.cli.options import ConfigOption, failed, load_local_or_exit

if TYPE_CHECKING:
    from regulars.demo.chat_client import Target
    from regulars.demo.people import Person
    from regulars.demo.users import Summary

USERS_MAX: Final = 500


def demo(
    *,
    config: ConfigOption = None,
    url: Annotated[str | None, typer.Option(help="The gateway; else as configured.")] = None,
    key: Annotated[
        str | None, typer.Option(help="An inference key; else one is made for the play.")
    ] = None,
    users: Annotated[int, typer.Option(min=1, max=USERS_MAX, help="How many people.")] = 36,
    model: Annotated[
        str, typer.Option(help="What they ask; any but the demo's own costs real money.")
    ] = "demo/tiny-chat",
) -> None:
    """Play sample users against a running gateway, then show what it came to."""
    from regulars.cli.listen import address_for_people
    from regulars.demo.chat_client import ChatError, Target
    from regulars.demo.people import people

    if url is None:
        server = load_local_or_exit(config).server
        url = address_for_people(server.host, server.port)
    url = url.rstrip("/").removesuffix("/api/v1").removesuffix("/v1")
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{url!r} is not an http address", param_hint="--url")
    with _inference_key(key, config) as secret:
        try:
            summary = _play(Target(url, secret, model), people(users))
        except ChatError as error:
            raise failed(str(error)) from error
    _print_summary(summary, url)


@contextmanager
def _inference_key(given: str | None, config: ConfigOption) -> Generator[str]:
    """The key that was given, or one that lives as long as the play."""
    if given:
        yield given
        return
    from regulars.cli.keys import make_key, opened_store

    with opened_store(config) as store:
        key, secret = make_key(store, "demo")
        try:
            yield secret
        finally:
            store.disable_key(key.hash)


def _play(target: "Target", crowd: "tuple[Person, ...]") -> "Summary":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from regulars.demo.users import play, requests_of

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{len(crowd)} users chat", total=requests_of(crowd))
        return play(target, crowd, lambda: progress.advance(task))


def _print_summary(summary: "Summary", url: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False)
    table.add_row("users", str(summary.users))
    table.add_row("requests", str(summary.requests))
    table.add_row("input tokens", f"{summary.prompt_tokens:,}")
    table.add_row("of them cached", f"{summary.cached_ratio:.1%}")
    table.add_row("output tokens", f"{summary.completion_tokens:,}")
    table.add_row("cost", f"${summary.cost_usd:.6f}")
    if summary.unpriced:
        table.add_row("without a price", f"{summary.unpriced} requests")
    Console().print(table)
    typer.echo(f"who used what: {url}/activity")
