"""Assembles the commands and their help."""

from typing import Annotated

import typer

from regulars import __version__
from regulars.cli.activity import activity
from regulars.cli.check import check
from regulars.cli.demo import demo
from regulars.cli.export import export
from regulars.cli.generation import generation
from regulars.cli.identifiers import identifiers
from regulars.cli.identity import identity
from regulars.cli.keys import keys
from regulars.cli.ledger import ledger
from regulars.cli.reports import reports
from regulars.cli.routing import routing
from regulars.cli.serve import serve
from regulars.cli.simulate import simulate
from regulars.cli.tail import tail
from regulars.cli.users import users

app = typer.Typer(
    name="regulars",
    help="The LLM gateway that knows your regulars: sticky routing and an exact ledger by user.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer hands the flag's value over
    if asked:
        typer.echo(f"regulars {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Run one of the commands."""


app.command()(serve)
app.command()(demo)
app.command()(check)
app.command()(simulate)
app.command()(identifiers)
app.command()(activity)
app.command()(generation)
app.command()(tail)
app.command()(export)
app.add_typer(keys, name="keys")
app.add_typer(reports, name="reports")
app.add_typer(routing, name="routing")
app.add_typer(ledger, name="ledger")
app.add_typer(users, name="users")
app.add_typer(identity, name="identity")


def main() -> None:
    """Run the command line."""
    app(prog_name="regulars")
