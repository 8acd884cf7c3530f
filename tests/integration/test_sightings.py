"""What is noticed of ids beside the ledger: crowds, explosions, ids that change; and forgotten."""

import json
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fakes.provider import ScriptedProvider
from fakes.running_gateway import Answer, RunningGateway, running_gateway
from regulars.config.settings import IdentitySettings
from regulars.identity.crowds import addresses_in
from regulars.ledger.erase import erase_user
from regulars.ledger.sightings import SightingsKeeper
from regulars.model.caller import ApiKey, Role
from regulars.stores.sqlite import open_store
from regulars.stores.sqlite.sightings import SqliteSightings, sightings_path

NOW_S = time.time()
KEY = ApiKey("ab" * 32, "shop", "sk-reg-abc...xyz", Role.INFERENCE, "default", 0)
CROWD = "canary-crowd-4711"
EVER: dict[str, Any] = {"from_us": None, "to_us": None}
SAW_US_MAX = 1.0


@contextmanager
def again(
    before: RunningGateway, folder: Path, provider: ScriptedProvider
) -> Generator[RunningGateway]:
    """Run the gateway anew: what it noticed was written when it ended."""
    keys, identity = (before.key, before.management_key), before.settings.identity
    with running_gateway(folder, [provider], identity=identity, keys=keys) as gateway:
        yield gateway


def findings(gateway: RunningGateway) -> dict[str, Any]:
    report = gateway.get("/api/v1/identifiers?from=2001-01-01&to=9998-12-31")
    assert report.status == 200, report.body
    return {one["finding"]: one for one in report.json["data"]["found"]}


def shared(keeper: SightingsKeeper, user: str = CROWD, *, count: int = 300) -> None:
    for number in range(count):
        keeper.saw("default", user, f"198.51.{number % 250}.{number}")


def test_an_id_on_hundreds_of_addresses_is_found_and_no_address_kept(tmp_path: Path) -> None:
    store = SqliteSightings(tmp_path / "x.sightings")
    keepers = [SightingsKeeper(store, lambda: NOW_S) for _ in range(2)]
    for keeper in keepers:
        keeper.put()  # learns the day's salt
        shared(keeper)
        keeper.saw("default", "ada", "203.0.113.7")
        keeper.put()

    (found,) = store.crowds("default", **EVER)
    kept = (tmp_path / "x.sightings").read_bytes()

    assert found.user == CROWD
    assert found.addresses == pytest.approx(300, rel=0.1)  # two workers saw the same ones
    assert b"198.51" not in kept
    assert b"ada" not in kept  # who has one address leaves no trace


def test_a_days_salt_is_thrown_away_with_it(tmp_path: Path) -> None:
    store = SqliteSightings(tmp_path / "x.sightings")

    today, same, tomorrow = store.salt(1), store.salt(1), store.salt(2)

    assert today == same != tomorrow
    assert today not in (tmp_path / "x.sightings").read_bytes()


def test_noticing_an_address_costs_less_than_a_microsecond(tmp_path: Path) -> None:
    keeper = SightingsKeeper(SqliteSightings(tmp_path / "x.sightings"), lambda: NOW_S)
    keeper.put()
    names = [(f"u{number % 1000}", f"203.0.113.{number % 200}") for number in range(5000)]
    rounds: list[float] = []
    for _ in range(10):
        began_s = time.process_time()
        for user, address in names:
            keeper.saw("default", user, address)
        rounds.append((time.process_time() - began_s) / len(names) * 1e6)

    assert min(rounds) <= SAW_US_MAX


def test_a_crowd_is_forgotten_with_its_id_and_does_not_come_back(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    path = sightings_path(store.path)
    keeper = SightingsKeeper(SqliteSightings(path), lambda: NOW_S, erased=store.names_stamp)
    keeper.put()
    shared(keeper)
    keeper.put()
    before = path.read_bytes().count(CROWD.encode())

    shared(keeper, count=600)  # more is in memory while he is erased
    receipt = erase_user(store, "default", (CROWD,), now_s=NOW_S)
    keeper.put()
    store.close()

    assert before == 1
    assert receipt["occurrences_left"] == 0
    assert CROWD.encode() not in path.read_bytes()


def test_erasures_and_puts_at_once_leave_nothing(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/regulars.db")
    path = sightings_path(store.path)
    keeper = SightingsKeeper(SqliteSightings(path), lambda: NOW_S, erased=store.names_stamp)
    keeper.put()

    def put() -> None:
        for _ in range(20):
            keeper.put()

    for number in range(10):
        user = f"{CROWD}-{number}"
        shared(keeper, user)
        putting = Thread(target=put)
        putting.start()
        erase_user(store, "default", (user,), now_s=NOW_S)
        putting.join(30)
        assert user.encode() not in path.read_bytes()
    store.close()


def chat(gateway: RunningGateway, user: str, address: str) -> Answer:
    return gateway.chat(user=user, headers={"X-Forwarded-For": address})


def test_the_report_finds_a_shared_id_by_what_a_trusted_proxy_says(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        with running_gateway(tmp_path, [provider]) as gateway:
            wait_for_salt(tmp_path)
            for number in range(130):
                chat(gateway, CROWD, f"198.51.100.{number}")
            chat(gateway, "ada", "198.51.100.1")
        with again(gateway, tmp_path, provider) as gateway:
            found = findings(gateway)["shared"]
            page = gateway.get("/identifiers?period=7d").body.decode()

    assert found["users"] == 1
    assert found["requests_share"] > 0.9
    assert "addresses in a day" in found["details"][0]
    assert CROWD not in json.dumps(found)
    assert "addresses in a day" in page


@pytest.mark.parametrize(
    "settings",
    [IdentitySettings(trusted_proxies=()), IdentitySettings(count_addresses=False)],
    ids=["nobody trusted", "not counted"],
)
def test_what_anybody_may_write_is_not_believed(tmp_path: Path, settings: IdentitySettings) -> None:
    with ScriptedProvider() as provider:
        with running_gateway(tmp_path, [provider], identity=settings) as gateway:
            wait_for_salt(tmp_path)
            for number in range(130):
                chat(gateway, CROWD, f"198.51.100.{number}")
        with again(gateway, tmp_path, provider) as gateway:
            assert "shared" not in findings(gateway)


def test_an_explosion_is_found_with_its_key_and_hour(tmp_path: Path) -> None:
    with ScriptedProvider() as provider:
        with running_gateway(tmp_path, [provider]) as gateway:
            for number in range(120):
                gateway.chat(user=f"canary-{number * 7919}")
        with again(gateway, tmp_path, provider) as gateway:
            found = findings(gateway)["explosion"]
            own = gateway.get("/api/v1/key", key=gateway.key).json["data"]["hash"]

    assert found["users"] == 120
    assert found["requests_share"] == 1.0
    assert found["details"][0].startswith(f"key {own[:16]}: 120 new ids from ")
    assert "--new-users-per-hour" in found["fix"]
    assert found["examples"]
    assert not any(example.startswith("canary-") for example in found["examples"])


def test_ids_that_change_within_conversations_and_sessions_are_found(tmp_path: Path) -> None:
    def turns(number: int, count: int) -> list[dict[str, str]]:
        said = [f"question {number}", "answer", "and more", "sure", "again"][:count]
        return [
            {"role": "assistant" if at % 2 else "user", "content": text}
            for at, text in enumerate(said)
        ]

    with ScriptedProvider() as provider:
        with running_gateway(tmp_path, [provider]) as gateway:
            for number in range(10):
                for count in (1, 3, 5):
                    gateway.chat(user=f"c-{number}-{count}", messages=turns(number, count))
                    gateway.chat(user=f"s-{number}-{count}", session_id=f"session {number}")
            for _ in range(5):
                gateway.chat(user="steady", session_id="his own")
        with again(gateway, tmp_path, provider) as gateway:
            found = findings(gateway)

    assert found["conversation-of-many-ids"]["users"] == 20
    assert found["session-of-many-ids"]["users"] == 30
    assert found["seen-once"]["users"] == 30  # those whose sessions say nothing against them


def wait_for_salt(folder: Path) -> None:
    """Wait until the gateway's thread has begun the day."""
    path, until_s = folder / "regulars.db.sightings", time.monotonic() + 10
    while time.monotonic() < until_s:
        if path.exists() and path.stat().st_size:
            with closing(sqlite3.connect(path)) as connection:
                if connection.execute("SELECT count(*) FROM salt").fetchone() == (1,):
                    time.sleep(0.05)
                    return
        time.sleep(0.02)
    raise AssertionError("no salt")


def test_buckets_survive_a_worker(tmp_path: Path) -> None:
    store = SqliteSightings(tmp_path / "x.sightings")
    for begin in (0, 200):
        keeper = SightingsKeeper(store, lambda: NOW_S)
        keeper.put()
        for number in range(begin, begin + 200):
            keeper.saw("default", CROWD, f"198.51.{number % 250}.{number}")
        keeper.put()

    assert store.crowds("default", **EVER)[0].addresses == pytest.approx(400, rel=0.1)
    assert addresses_in(0) == 0


def test_new_ids_of_an_hour_add_up_over_workers(tmp_path: Path) -> None:
    store = SqliteSightings(tmp_path / "x.sightings")
    for _ in range(2):
        keeper = SightingsKeeper(store, lambda: NOW_S)
        for number in range(30):
            keeper.came(KEY, f"user_{number}", b"[]")
        keeper.put()

    (found,) = store.newcomers("default", **EVER)

    assert (found.users, found.continuing, found.key_hash) == (60, 0, KEY.hash)
    assert found.hour == int(NOW_S) // 3600
    assert len(found.examples) == 5
