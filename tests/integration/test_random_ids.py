"""100,000 ids from one key that nobody has seen: what they cost in memory and in the ledger."""

import gc
import sqlite3
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

from msgspec.structs import replace

from conformance.stores.ledgers import generation
from regulars.identity.end_user import EndUsers
from regulars.identity.new_users import NewUsers
from regulars.identity.personal_ids import PersonalIds
from regulars.identity.policy import make_policy
from regulars.ledger.sightings import SightingsKeeper
from regulars.model.caller import ApiKey, Role
from regulars.model.errors import RateLimitedError
from regulars.stores.sqlite import open_store
from regulars.stores.sqlite.sightings import SqliteSightings, sightings_path
from regulars.wire.chat import parse_chat

IDS = 100_000
PER_HOUR = 50_000
GROWTH_BYTES_MAX = 50_000_000
MORE_BYTES_MAX = 5_000_000
ACCEPTED = 2_000
BYTES_AN_ID_MAX = 300
NOW_S = 1_800_000_000
REQUEST = parse_chat(b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}')


def ids(count: int, *, begin: int = 0) -> Iterator[str]:
    return (str(UUID(int=(number * 0x9E3779B97F4A7C15) % 2**128)) for number in range(begin, count))


def brought(end_users: EndUsers, keeper: SightingsKeeper, names: Iterator[str]) -> int:
    """Send a request by each id; how many were let in."""
    key = ApiKey("ab" * 32, "k", "sk-…", Role.INFERENCE, "default", 0, users=make_policy())
    accepted = 0
    for name in names:
        try:
            end_users.of(replace(REQUEST, user=name), key, {})
        except RateLimitedError:
            continue
        keeper.saw("default", name, "198.51.100.7")
        accepted += 1
    return accepted


def test_random_ids_are_bounded_in_number_and_memory(tmp_path: Path) -> None:
    keeper = SightingsKeeper(SqliteSightings(tmp_path / "x.sightings"), lambda: NOW_S)
    keeper.put()
    end_users = EndUsers(
        lambda: NOW_S,
        personal=PersonalIds(lambda _account, user: user),
        new=NewUsers(lambda _account, _user, _came_as: False, per_hour_max=PER_HOUR),
        came=keeper.came,
    )
    tracemalloc.start()
    try:
        first = brought(end_users, keeper, ids(IDS))
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
        again = brought(end_users, keeper, ids(2 * IDS, begin=IDS))
        gc.collect()
        grown_again = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert (first, again) == (PER_HOUR, 0)
    assert grown <= GROWTH_BYTES_MAX
    assert grown_again - grown <= MORE_BYTES_MAX


def test_each_id_that_is_let_in_costs_the_ledger_little(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/x.db")
    at_us = int(time.time() * 1e6)
    store.append([generation(n, end_user="one", created_at_us=at_us + n) for n in range(ACCEPTED)])
    store.fold()
    one = size(store.path)
    rows = [
        generation(ACCEPTED + n, end_user=name, created_at_us=at_us + ACCEPTED + n)
        for n, name in enumerate(ids(ACCEPTED))
    ]
    store.append(rows)
    store.fold()
    many = size(store.path) - one
    store.close()

    assert many - one <= ACCEPTED * BYTES_AN_ID_MAX
    assert not sightings_path(store.path).exists()


def size(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (pages,), (page,) = (
            connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
        )
    return pages * page
