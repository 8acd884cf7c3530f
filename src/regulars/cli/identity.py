"""`regulars identity`: how names are kept in the store, brought up to date."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from regulars.cli.keys import opened_store
from regulars.cli.options import ConfigOption, failed, load_local_or_exit

if TYPE_CHECKING:
    from regulars.config.settings import Settings
    from regulars.stores.sqlite import SqliteStore

identity = typer.Typer(help="How end users' ids are kept.", no_args_is_help=True)


@identity.command()
def apply(*, config: ConfigOption = None) -> None:
    """Bring rows of before a switch of `[identity] at_rest` to how ids are kept now."""
    settings = load_local_or_exit(config)
    with opened_store(config) as store:
        _apply(settings, store)


@identity.command()
def rotate(*, config: ConfigOption = None) -> None:
    """Put a new key into use; gateways that run follow within 5 s.

    Encrypted ids are encrypted anew after that. Pseudonyms change as people come, during
    `[identity] rotation_window_days`; who does not come in that time is a new user afterwards.
    """
    from regulars.stores.at_rest import LOOK_S
    from regulars.stores.identity_key import rotate_identity_key

    settings = load_local_or_exit(config)
    if settings.identity.at_rest == "plain":
        raise failed("[identity] at_rest is 'plain': there is no key to rotate")
    with opened_store(config) as store:
        rotate_identity_key(store.path, datetime.now(UTC).date())
        if settings.identity.at_rest == "encrypted":
            time.sleep(LOOK_S + 1)  # or gateways would bring old names again
        _apply(settings, store)
    typer.echo("a new key is in use; keep a copy of the key file")


@identity.command()
def retire(*, config: ConfigOption = None) -> None:
    """Drop the keys of before the last rotation: when its window is over."""
    from regulars.stores.identity_key import retire_identity_keys

    settings = load_local_or_exit(config)
    with opened_store(config) as store:
        if settings.identity.at_rest == "encrypted":
            # What came under an earlier key since the rotation could not be read any more.
            _apply(settings, store)
        dropped = retire_identity_keys(store.path)
    typer.echo(f"dropped {dropped} keys")


def _apply(settings: "Settings", store: "SqliteStore") -> None:
    from regulars.app import ACCOUNT, names_at_rest
    from regulars.identity.sealed import Seals
    from regulars.ledger.rename_all import rename_all
    from regulars.stores.identity_key import identity_keys
    from regulars.stores.sqlite.sightings import SqliteSightings, sightings_path

    seals = Seals([one.key for one in identity_keys(store.path)])
    done = rename_all(store, ACCOUNT, names_at_rest(settings, store), seals.shown)
    SqliteSightings(sightings_path(store.path)).forget_all()
    typer.echo(f"{done.changed} users renamed")
    if done.stuck and settings.identity.at_rest != "pseudonym":
        typer.echo(f"{done.stuck} are pseudonyms, from which no id can be had", err=True)
