"""`regulars keys`: make, list and disable API keys, on the store itself."""

import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from regulars.cli.options import ConfigOption, JsonOption, failed, load_local_or_exit

if TYPE_CHECKING:
    from regulars.model.caller import ApiKey, UserPolicy
    from regulars.stores.sqlite import SqliteStore

NAME_CHARS_MAX: Final = 100
HASH_CHARS_MIN: Final = 8
HASH_CHARS_SHOWN: Final = 16
SIGNING_BYTES: Final = 32
USER_SOURCES: Final = "user,safety_identifier,metadata.user_id,x-regulars-user"

keys = typer.Typer(help="Make, list and disable API keys.", no_args_is_help=True)


@keys.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What it is for, as you will read it in lists.")],
    management: Annotated[
        bool, typer.Option("--management", help="For reports and keys instead of inference.")
    ] = False,
    user_policy: Annotated[
        str, typer.Option(help="Who names its end users: client, fixed, signed or prefix.")
    ] = "client",
    user: Annotated[str | None, typer.Option(help="The one end user of a fixed key.")] = None,
    user_prefix: Annotated[
        str | None, typer.Option(help="How every id of a prefix key begins.")
    ] = None,
    user_sources: Annotated[
        str, typer.Option(help="Where requests may name the user, in this order.")
    ] = USER_SOURCES,
    personal_ids: Annotated[
        str, typer.Option(help="E-mails, phone numbers … as ids: flag, pseudonymise or refuse.")
    ] = "flag",
    new_users_per_hour: Annotated[
        int | None, typer.Option(help="How many ids not seen before it may bring in an hour.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a key and print its secret, once; with `signed` also the secret its proofs need."""
    if not name.strip() or not name.isprintable() or len(name) > NAME_CHARS_MAX:
        raise typer.BadParameter(f"1 to {NAME_CHARS_MAX} printable characters", param_hint="--name")
    signing = secrets.token_urlsafe(SIGNING_BYTES) if user_policy == "signed" else None
    users = _policy_or_exit(
        user_policy,
        user=user,
        prefix=user_prefix,
        secret=signing,
        sources=user_sources.split(","),
        personal=personal_ids,
        new_users_per_hour_max=new_users_per_hour,
    )
    with opened_store(config) as store:
        key, secret = make_key(store, name, management=management, users=users)
    if as_json:
        shown = {"key": secret, **({} if signing is None else {"signing_secret": signing})}
        typer.echo(json.dumps({**shown, **_view(key)}))
    else:
        typer.echo(secret)
        if signing is not None:
            typer.echo(f"signing secret: {signing}")
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


def make_key(
    store: "SqliteStore",
    name: str,
    *,
    management: bool = False,
    users: "UserPolicy | None" = None,
) -> "tuple[ApiKey, str]":
    """Make a key in the store; the secret is kept nowhere."""
    from regulars.app import new_key
    from regulars.model.caller import CALLERS_WORD, Role

    role = Role.MANAGEMENT if management else Role.INFERENCE
    key, secret = new_key(name, role, users=users or CALLERS_WORD)
    store.create_key(key)
    return key, secret


def _policy_or_exit(rule: str, **parts: Any) -> "UserPolicy":
    from regulars.identity.policy import make_policy
    from regulars.model.errors import CallerError

    try:
        return make_policy(rule, **parts)
    except CallerError as error:
        field, _, message = error.message.partition(": ")
        raise typer.BadParameter(message, param_hint=f"--{field.replace('_', '-')}") from error


def _view(key: "ApiKey") -> dict[str, Any]:
    created = datetime.fromtimestamp(key.created_at_ms / 1000, UTC)
    return {
        "hash": key.hash,
        "name": key.name,
        "label": key.label,
        "role": str(key.role),
        "disabled": key.disabled,
        "user_policy": str(key.users.rule),
        "external_user": key.users.user,
        "created_at": created.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
