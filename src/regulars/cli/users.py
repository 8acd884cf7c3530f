"""`regulars users erase|export|alias|name|verify`: one person's rights, on the store itself."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from regulars.cli.activity import users
from regulars.cli.keys import opened_store
from regulars.cli.options import FAILED, ConfigOption, failed, load_local_or_exit

if TYPE_CHECKING:
    from regulars.stores.base import KeyAction
    from regulars.stores.sqlite import SqliteStore

DISPLAY_CHARS_MAX: Final = 100
UserArgument = Annotated[str, typer.Argument(metavar="ID", help="The id as requests send it.")]


@users.command()
def erase(
    user: UserArgument,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Take an id out of every table and file; sums stay. Prints the signed receipt as JSON."""
    from regulars.app import ACCOUNT, names_at_rest
    from regulars.ledger.erase import erase_user
    from regulars.stores.names import names_of

    name = _accepted(user)
    if not yes:
        typer.confirm("This cannot be undone. Erase this user?", abort=True, err=True)
    settings = load_local_or_exit(config)
    with opened_store(config) as store:
        names = names_of(store, names_at_rest(settings, store), ACCOUNT, name)
        receipt = erase_user(store, ACCOUNT, names, now_s=time.time())
        _note(store, "user_erased", receipt["subject"])
    typer.echo(json.dumps(receipt, indent=2))
    if receipt["occurrences_left"]:
        typer.echo(
            f"the id still stands {receipt['occurrences_left']} times in the files: inside other "
            "ids or texts, or a request named it just now; erase again when it has ended",
            err=True,
        )


@users.command()
def export(
    user: UserArgument,
    target: Annotated[Path, typer.Argument(metavar="FILE", help="A new .zip file.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Write everything about one user into one archive: each generation, texts that are kept, the sums."""
    from regulars.app import ACCOUNT, names_at_rest, reports_of
    from regulars.ledger.export_user import export_user
    from regulars.stores.names import name_of

    name = _accepted(user)
    settings = load_local_or_exit(config)
    with opened_store(config) as store:
        try:
            rows = export_user(reports_of(settings, store), store, (ACCOUNT, name), target)
        except OSError as error:
            raise failed(f"cannot write {str(target)!r}: {error.strerror}") from error
        kept = name_of(store, names_at_rest(settings, store), ACCOUNT, name)
        _note(store, "user_exported", store.subject(ACCOUNT, kept))
    typer.echo(f"{target}: {rows} generations")


@users.command()
def alias(
    other: Annotated[str, typer.Argument(metavar="OTHER", help="An id that is the same person's.")],
    user: UserArgument,
    *,
    config: ConfigOption = None,
) -> None:
    """Make OTHER another name of ID: its requests, past and to come, count as ID's."""
    from regulars.app import ACCOUNT, names_at_rest
    from regulars.stores.names import merge, name_of

    settings = load_local_or_exit(config)
    name, person = _accepted(other), _accepted(user)
    with opened_store(config) as store:
        names = names_at_rest(settings, store)
        if not merge(store, names, ACCOUNT, other=name, user=person):
            raise failed("both ids are one user already")
        kept = name_of(store, names, ACCOUNT, person)
        _note(store, "users_merged", store.subject(ACCOUNT, kept))
    typer.echo("both ids are one user now")


@users.command("name")
def name_user(
    user: UserArgument,
    display_name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="How people call him; none takes it away."),
    ] = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Give a user a display name, apart from the id: it is shown beside it, and goes with it."""
    from regulars.app import ACCOUNT, names_at_rest, reports_of
    from regulars.identity.name import accept_name
    from regulars.model.errors import CallerError
    from regulars.stores.names import name_of
    from regulars.stores.registry import Registered

    name, now_us = _accepted(user), time.time_ns() // 1000
    settings = load_local_or_exit(config)
    with opened_store(config) as store:
        registry = reports_of(settings, store)
        known = registry.find_registered(ACCOUNT, name)
        active = known is None or known.is_active
        try:
            if display_name is not None:
                accept_name(display_name, field="NAME", length_max=DISPLAY_CHARS_MAX)
            said = Registered(name, active, now_us, now_us, display_name)
            registry.register(ACCOUNT, said)
        except CallerError as error:
            raise failed(error.message) from error
        kept = name_of(store, names_at_rest(settings, store), ACCOUNT, name)
        _note(store, "user_named", store.subject(ACCOUNT, kept))
    typer.echo("has no display name" if display_name is None else "named")


@users.command()
def verify(
    receipt: Annotated[Path, typer.Argument(metavar="FILE", help="A receipt of `erase`.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Say whether this store made a receipt as it stands; exit 1 if not."""
    from regulars.ledger.erase import verify_receipt

    try:
        read = json.loads(receipt.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise failed(f"cannot read {str(receipt)!r}: {error}") from error
    with opened_store(config) as store:
        good = isinstance(read, dict) and verify_receipt(store, read)
    typer.echo("the receipt verifies" if good else "the receipt does not verify")
    if not good:
        raise typer.Exit(FAILED)


def _note(store: "SqliteStore", action: "KeyAction", subject: str) -> None:
    """Put it on record as the pages do: by digest, the record outlives the id."""
    store.note_use(None, action, {"subject": (None, subject)})


def _accepted(user: str) -> str:
    from regulars.identity.name import USER_LENGTH_MAX, accept_name
    from regulars.model.errors import CallerError

    try:
        return accept_name(user, field="ID", length_max=USER_LENGTH_MAX)
    except CallerError as error:
        raise failed(error.message) from error
