"""`regulars keys`: make, list and disable API keys, on the store itself."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from regulars.cli.options import ConfigOption, JsonOption, failed, load_local_or_exit

if TYPE_CHECKING:
    from regulars.model.caller import ApiKey
    from regulars.stores.sqlite import SqliteStore

NAME_CHARS_MAX: Final = 100
HASH_CHARS_MIN: Final = 8
HASH_CHARS_SHOWN: Final = 16

keys = typer.Typer(help="Make, list and disable API keys.", no_args_is_help=True)


@keys.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What it is for, as you will read it in lists.")],
    management: Annotated[
        bool, typer.Option("--management", help="For reports and keys instead of inference.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a key and print its secret, once."""
    if not name.strip() or not name.isprintable() or len(name) > NAME_CHARS_MAX:
        raise typer.BadParameter(f"1 to {NAME_CHARS_MAX} printable characters", param_hint="--name")
    with opened_store(config) as store:
        key, secret = make_key(store, name, management=management)
    if as_json:
        typer.echo(json.dumps({"key": secret, **_view(key)}))
    else:
        typer.echo(secret)
        typer.echo(f"{key.role} key {name!r}, hash {key.hash}; shown once, keep it", err=True)


@keys.command("list")
def list_keys(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show all keys, without their secrets."""
    with opened_store(config) as store:
        found = store.list_keys()
    if as_json:
        typer.echo(json.dumps({"data": [_view(key) for key in found]}))
        return
    from regulars.cli.tables import print_table

    print_table(
        ("name", "role", "key", "created", "disabled", "hash"),
        [
            (
                key.name,
                key.role,
                key.label,
                _view(key)["created_at"],
                "yes" if key.disabled else "",
                key.hash[:HASH_CHARS_SHOWN],
            )
            for key in found
        ],
    )


@keys.command()
def disable(
    key_hash: Annotated[str, typer.Argument(metavar="HASH", help="Or its first 8 or more digits.")],
    *,
    config: ConfigOption = None,
) -> None:
    """Turn a key off for good; its generations stay in the ledger."""
    with opened_store(config) as store:
        found = [key for key in store.list_keys() if key.hash.startswith(key_hash.lower())]
        if len(key_hash) < HASH_CHARS_MIN or len(found) != 1:
            raise failed(
                f"{len(found)} keys begin with {key_hash[:64]!r}, one is needed:"
                " `regulars keys list --json` shows the hashes"
            )
        store.disable_key(found[0].hash)
    typer.echo(f"disabled {found[0].name!r} ({found[0].label})")


@contextmanager
def opened_store(config: Path | None) -> "Generator[SqliteStore]":
    """Open the configured store for the time of a `with`; exit with 1 where that fails."""
    from regulars.stores.base import StoreError
    from regulars.stores.sqlite import open_store

    settings = load_local_or_exit(config)
    try:
        store = open_store(settings.store.url)
    except StoreError as error:
        raise failed(str(error)) from error
    try:
        yield store
    except StoreError as error:
        raise failed(str(error)) from error
    finally:
        store.close()


def make_key(store: "SqliteStore", name: str, *, management: bool = False) -> "tuple[ApiKey, str]":
    """Make a key in the store; the secret is kept nowhere."""
    from regulars.app import new_key
    from regulars.model.caller import Role

    key, secret = new_key(name, Role.MANAGEMENT if management else Role.INFERENCE)
    store.create_key(key)
    return key, secret


def _view(key: "ApiKey") -> dict[str, Any]:
    created = datetime.fromtimestamp(key.created_at_ms / 1000, UTC)
    return {
        "hash": key.hash,
        "name": key.name,
        "label": key.label,
        "role": str(key.role),
        "disabled": key.disabled,
        "created_at": created.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
