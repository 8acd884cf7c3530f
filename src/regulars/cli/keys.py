"""`regulars keys`: make, change, list and disable API keys, on the store itself."""

import json
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from regulars.cli.key_options import (
    ByokOption,
    ContentShareOption,
    LimitOption,
    NewUsersOption,
    PersonalOption,
    PolicyOption,
    PrefixOption,
    ResetOption,
    SourcesOption,
    UserOption,
    judged,
    key_fields,
)
from regulars.cli.options import ConfigOption, JsonOption, failed, load_local_or_exit

if TYPE_CHECKING:
    from regulars.identity.key_policies import KeyPolicies
    from regulars.model.caller import ApiKey, Role
    from regulars.stores.sqlite import SqliteStore

HASH_CHARS_MIN: Final = 8
HASH_CHARS_SHOWN: Final = 16
SECRET_NAME_BYTES: Final = 8

HashArgument = Annotated[str, typer.Argument(metavar="HASH", help="Or its first 8 or more digits.")]

keys = typer.Typer(help="Make, change, list and disable API keys.", no_args_is_help=True)


@keys.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What it is for, as you will read it in lists.")],
    management: Annotated[
        bool, typer.Option("--management", help="For reports and keys instead of inference.")
    ] = False,
    limit: LimitOption = None,
    reset: ResetOption = None,
    include_byok: ByokOption = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Its end in UTC, like 2027-01-31T00:00:00Z.")
    ] = None,
    content_share: ContentShareOption = None,
    user_policy: PolicyOption = None,
    user: UserOption = None,
    user_prefix: PrefixOption = None,
    user_sources: SourcesOption = None,
    personal_ids: PersonalOption = None,
    new_users_per_hour: NewUsersOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make a key and print its secret, once; with `signed` also the secret its proofs need."""
    from regulars.app import new_key
    from regulars.wire.key_fields import new_terms

    asked = key_fields(
        name=name,
        role=_role(management=management),
        limit=limit,
        limit_reset=reset,
        include_byok_in_limit=include_byok,
        expires_at=expires,
        content_share=content_share,
        user_policy=user_policy,
        external_user=user,
        user_prefix=user_prefix,
        user_sources=user_sources,
        personal_ids=personal_ids,
        new_users_per_hour=new_users_per_hour,
    )
    terms = judged(lambda: new_terms(asked, now_ms=_now_ms()))
    with opened_store(config) as store:
        policies = _policies(config, store)
        key, secret = new_key(*terms)
        users = judged(lambda: policies.asked(asked, key.account, secret_name=_chance()))
        key = replace(key, users=users)
        store.create_key(key)
        signing = policies.new_secret(key)
        view = _view(key, policies.user(key))
    if as_json:
        shown = {"key": secret, **({} if signing is None else {"signing_secret": signing})}
        typer.echo(json.dumps({**shown, **view}))
    else:
        typer.echo(secret)
        _tell_signing(signing)
        typer.echo(f"{key.role} key {name!r}, hash {key.hash}; shown once, keep it", err=True)


@keys.command("set")
def set_key(
    key_hash: HashArgument,
    *,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    limit: LimitOption = None,
    reset: ResetOption = None,
    include_byok: ByokOption = None,
    content_share: ContentShareOption = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether it works.")
    ] = None,
    user_policy: PolicyOption = None,
    user: UserOption = None,
    user_prefix: PrefixOption = None,
    user_sources: SourcesOption = None,
    personal_ids: PersonalOption = None,
    new_users_per_hour: NewUsersOption = None,
    new_signing_secret: Annotated[
        bool, typer.Option("--new-signing-secret", help="Give a signed key another secret.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Change a key; what is not said stays. Gateways that run follow within 5 s."""
    from regulars.wire.key_fields import changed

    asked = key_fields(
        name=name,
        limit=limit,
        limit_reset=reset,
        include_byok_in_limit=include_byok,
        content_share=content_share,
        disabled=None if enabled is None else not enabled,
        user_policy=user_policy,
        external_user=user,
        user_prefix=user_prefix,
        user_sources=user_sources,
        personal_ids=personal_ids,
        new_users_per_hour=new_users_per_hour,
        new_signing_secret=new_signing_secret or None,
    )
    with opened_store(config) as store:
        policies = _policies(config, store)
        old = _one_key(store, key_hash)

        def change(key: "ApiKey") -> "ApiKey":
            users = policies.asked(asked, key.account, key.users, secret_name=_chance())
            return replace(changed(key, asked, now_ms=_now_ms()), users=users)

        new = judged(lambda: store.change_key(old.hash, change))
        if new is None:
            raise failed(f"the key {old.label} was deleted meanwhile")
        signing = policies.new_secret(new, old.users)
        view = _view(new, policies.user(new))
    if as_json:
        typer.echo(json.dumps({**view, **({} if signing is None else {"signing_secret": signing})}))
    else:
        typer.echo(f"changed {new.name!r} ({new.label})")
        _tell_signing(signing)


@keys.command("list")
def list_keys(*, as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show all keys, without their secrets."""
    with opened_store(config) as store:
        found = store.list_keys()
        user = _policies(config, store).user
        views = [_view(key, user(key)) for key in found]
    if as_json:
        typer.echo(json.dumps({"data": views}))
        return
    from regulars.cli.tables import print_table

    print_table(
        ("name", "role", "key", "created", "disabled", "hash"),
        [
            (
                key.name,
                key.role,
                key.label,
                view["created_at"],
                "yes" if key.disabled else "",
                key.hash[:HASH_CHARS_SHOWN],
            )
            for key, view in zip(found, views, strict=True)
        ],
    )


@keys.command()
def disable(
    key_hash: HashArgument,
    *,
    config: ConfigOption = None,
) -> None:
    """Turn a key off for good; its generations stay in the ledger."""
    with opened_store(config) as store:
        found = _one_key(store, key_hash)
        store.disable_key(found.hash)
    typer.echo(f"disabled {found.name!r} ({found.label})")


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

    key, secret = new_key(name, _role(management=management))
    store.create_key(key)
    return key, secret


def _one_key(store: "SqliteStore", key_hash: str) -> "ApiKey":
    found = [key for key in store.list_keys() if key.hash.startswith(key_hash.lower())]
    if len(key_hash) < HASH_CHARS_MIN or len(found) != 1:
        raise failed(
            f"{len(found)} keys begin with {key_hash[:64]!r}, one is needed:"
            " `regulars keys list --json` shows the hashes"
        )
    return found[0]


def _policies(config: Path | None, store: "SqliteStore") -> "KeyPolicies":
    from regulars.app import key_policies, names_at_rest

    return key_policies(names_at_rest(load_local_or_exit(config), store), store)


def _role(*, management: bool) -> "Role":
    from regulars.model.caller import Role

    return Role.MANAGEMENT if management else Role.INFERENCE


def _tell_signing(secret: str | None) -> None:
    if secret is not None:
        typer.echo(f"signing secret: {secret}")


def _chance() -> str:
    return secrets.token_hex(SECRET_NAME_BYTES)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _view(key: "ApiKey", user: str | None) -> dict[str, Any]:
    created = datetime.fromtimestamp(key.created_at_ms / 1000, UTC)
    terms, users = key.terms, key.users
    return {
        "hash": key.hash,
        "name": key.name,
        "label": key.label,
        "role": str(key.role),
        "disabled": key.disabled,
        "limit": None if terms.limit_nanousd is None else terms.limit_nanousd / 1e9,
        "limit_reset": terms.limit_reset,
        "user_policy": str(users.rule),
        "external_user": user,
        "user_prefix": users.prefix,
        "user_sources": list(users.sources),
        "personal_ids": str(users.personal),
        "new_users_per_hour": users.new_users_per_hour_max,
        "signing_secret_name": users.secret_name,
        "created_at": created.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
