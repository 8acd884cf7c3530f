"""A gateway that runs follows what changes of names: rotations of the key, and aliases."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.provider import ScriptedProvider
from fakes.running_gateway import MODEL, catalog, running_gateway
from regulars.cli.main import app
from regulars.config.settings import IdentitySettings
from regulars.ledger.persons import LOOK_S as ALIASES_S
from regulars.ledger.persons import Persons
from regulars.model.catalog import Catalog, Disclosure
from regulars.stores.at_rest import LOOK_S, at_rest_followed
from regulars.stores.identity_key import identity_key_path, rotate_identity_key
from regulars.stores.signing_key import personal_pseudonyms
from regulars.stores.sqlite import open_store

USER = "canary-4711"


def until(so: Callable[[], bool], *, seconds: float) -> bool:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        if so():
            return True
        time.sleep(0.1)
    return False


def run(folder: Path, at_rest: str, *words: str) -> None:
    (folder / "regulars.toml").write_text(
        f'[store]\nurl = "sqlite:///{folder}/regulars.db"\n[identity]\nat_rest = "{at_rest}"\n'
    )
    result = CliRunner().invoke(app, [*words, "--config", str(folder / "regulars.toml")])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("at_rest", ["pseudonym", "encrypted"])
def test_the_key_is_read_again_within_its_time(tmp_path: Path, at_rest: str) -> None:
    now_s = 100.0
    store, settings = tmp_path / "x.db", IdentitySettings(at_rest)  # type: ignore[arg-type]
    followed = at_rest_followed(settings, store, lambda: now_s)
    before = followed.kept("a", USER)
    rotate_identity_key(store, date.today())  # noqa: DTZ011 - the window begins today, wherever

    soon = followed.kept("a", USER)
    now_s += LOOK_S
    after = followed.kept("a", USER)
    identity_key_path(store).write_text("damaged")
    now_s += LOOK_S
    damaged = followed.kept("a", USER)

    assert before == soon != after == damaged
    assert followed.earlier("a", USER) == (before,)
    if at_rest == "encrypted":
        assert followed.shown("a", before) == followed.shown("a", after) == USER


@pytest.mark.parametrize("at_rest", ["pseudonym", "encrypted"])
def test_a_running_gateway_follows_a_rotation(tmp_path: Path, at_rest: str) -> None:
    settings = IdentitySettings(at_rest)  # type: ignore[arg-type]
    with (
        ScriptedProvider() as provider,
        running_gateway(tmp_path, [provider], identity=settings) as gateway,
    ):
        gateway.chat(user=USER)
        before = {row.end_user for row in gateway.rows()}
        run(tmp_path, at_rest, "identity", "rotate")

        def has_new_name() -> bool:
            gateway.chat(user=USER)
            return {row.end_user for row in gateway.rows()}.isdisjoint(before)

        followed = until(has_new_name, seconds=3 * LOOK_S)
        rows = gateway.rows()

    assert followed
    assert len({row.end_user for row in rows}) == 1


def test_all_ids_of_one_person_are_served_in_one_place(tmp_path: Path) -> None:
    names = [f"id-{number}" for number in range(8)]
    with (
        ScriptedProvider() as one,
        ScriptedProvider() as two,
        running_gateway(tmp_path, [one, two]) as gateway,
    ):
        apart = {gateway.chat(user=name).json["provider"] for name in names}
        for name in names:
            run(tmp_path, "plain", "users", "alias", name, "person")

        def together() -> bool:
            return len({gateway.chat(user=name).json["provider"] for name in names}) == 1

        assert len(apart) == 2
        assert until(together, seconds=5 * ALIASES_S)
        assert {row.end_user for row in gateway.rows()} == {"person"}


def test_all_ids_of_one_person_are_one_to_the_provider(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        model = catalog([provider]).models[MODEL]
        told = replace(model.endpoints[0].provider, disclosure=Disclosure("user", "fill"))
        model = replace(model, endpoints=(replace(model.endpoints[0], provider=told),))
        with running_gateway(tmp_path, [], serving=Catalog({MODEL: model})) as gateway:
            for name in ("phone", "laptop"):
                gateway.chat(user=name)
            run(tmp_path, "plain", "users", "alias", "phone", "laptop")

            def together() -> bool:
                gateway.chat(user="phone")
                return provider.requests[-1].json["user"] == provider.requests[1].json["user"]

            followed = until(together, seconds=5 * ALIASES_S)
            last = provider.requests[-1].json

    assert provider.requests[0].json["user"] != provider.requests[1].json["user"]
    assert followed
    assert last["prompt_cache_key"] == last["user"]


def test_an_alias_is_known_until_it_goes(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/x.db")
    persons = Persons(store, "default")
    persons.look()
    before = persons.person("default", "old")
    store.alias("default", "old", "new")
    unseen = persons.person("default", "old")
    persons.look()
    seen, other = persons.person("default", "old"), persons.person("elsewhere", "old")
    store.erase("default", "new", now_us=1)
    persons.look()
    erased = persons.person("default", "old")
    store.close()

    assert (before, unseen, seen, other, erased) == ("old", "old", "new", "old", "old")


def test_pseudonyms_of_personal_ids_outlive_a_rotation(tmp_path: Path) -> None:
    store = tmp_path / "x.db"
    before = personal_pseudonyms(store)("default", "jane@example.com")
    rotate_identity_key(store, date.today())  # noqa: DTZ011 - as above

    assert personal_pseudonyms(store)("default", "jane@example.com") == before
    assert personal_pseudonyms(tmp_path / "y.db")("default", "jane@example.com") != before
