"""What workers tell each other, through the file and through the exchange that uses it."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes.routing import ask, endpoint, keys
from regulars.config.settings import RoutingSettings
from regulars.gateway.sharing import RoutingExchange
from regulars.model.catalog import Endpoint, Model
from regulars.routing.health import Failure, Health
from regulars.routing.plan import Candidate
from regulars.routing.sharing import Outbox, SharedLoads, SharedPlacement, SharedTrouble, Sharing
from regulars.routing.warmhrw import Router
from regulars.stores.base import StoreError
from regulars.stores.shared import Heard
from regulars.stores.sqlite.shared_routing import (
    PLACEMENTS_KEPT_S,
    TIDY_S,
    SqliteSharedRouting,
)
from regulars.wire.chat import parse_chat

THREE = [endpoint(name) for name in ("a", "b", "c")]
WAIT_S = 10.0
KEY = 2**64 - 5


FIRST_TURN = parse_chat(b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}')
NEXT_TURN = parse_chat(
    b'{"model": "m", "messages": [{"role": "user", "content": "x"},'
    b'{"role": "assistant", "content": "y"}, {"role": "user", "content": "z"}]}'
)


@dataclass(slots=True)
class Clock:
    now_s: float

    def __call__(self) -> float:
        return self.now_s


def model_of(endpoints: list[Endpoint]) -> Model:
    return Model("m", "m", 1, None, tuple(endpoints))


def placement(key: int = KEY, name: str = "a", *, idle_s: float = 0.0) -> SharedPlacement:
    return SharedPlacement(key, name, idle_s, 100, 3600.0)


def test_what_one_tells_the_other_hears_once(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    one = SqliteSharedRouting(tmp_path / "r", "one", now_s=clock)
    other = SqliteSharedRouting(tmp_path / "r", "other", now_s=clock)
    loads = SharedLoads({"a": 5.0}, {KEY: 7.0})
    one.tell(Outbox((placement(idle_s=2.0),), loads))
    clock.now_s = 1003.0

    heard, again, own = other.hear(), other.hear(), one.hear()

    assert [(one.loads, one.late_s) for one in heard if not one.placements] == [(loads, 3.0)]
    assert [one.placements for one in heard if one.placements] == [(placement(idle_s=5.0),)]
    assert again == []
    assert own == []
    one.close()
    other.close()


def test_troubles_are_told_and_tellings_of_the_version_before_are_read(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    one = SqliteSharedRouting(tmp_path / "r", "one", now_s=clock)
    other = SqliteSharedRouting(tmp_path / "r", "other", now_s=clock)
    trouble = SharedTrouble("a", open_s=None, pause_s=5.0, rest_s=30.0)
    one.tell(Outbox(troubles=(trouble,)))
    with sqlite3.connect(tmp_path / "r") as connection:
        connection.execute(
            "INSERT INTO telling (node, at_ms, loads) VALUES ('old', 1000000, ?)",
            (b'[{"b":1.5},{}]',),
        )
    connection.close()

    heard = other.hear()

    assert [telling.troubles for telling in heard] == [(trouble,), ()]
    assert heard[1].loads == SharedLoads({"b": 1.5})
    one.close()
    other.close()


def test_the_newer_placement_stays_whoever_tells_last(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    one = SqliteSharedRouting(tmp_path / "r", "one", now_s=clock)
    one.tell(Outbox((placement(name="new"),)))
    one.tell(Outbox((placement(name="old", idle_s=10.0),)))

    asked = one.ask([KEY, 7])

    assert asked == [placement(name="new")]
    one.close()


def test_old_and_surplus_rows_are_deleted(tmp_path: Path) -> None:
    clock = Clock(1000.0)
    one = SqliteSharedRouting(tmp_path / "r", "one", now_s=clock, rows_max=3)
    one.tell(Outbox((placement(99, "old"),)))
    clock.now_s += PLACEMENTS_KEPT_S + 1
    for number in range(5):
        one.tell(Outbox((placement(number),)))
    clock.now_s += TIDY_S
    one.tell(Outbox())

    with sqlite3.connect(tmp_path / "r") as connection:
        rows = connection.execute("SELECT key FROM placement").fetchall()
        tellings = connection.execute("SELECT min(number) FROM telling").fetchone()[0]
    connection.close()
    assert rows == [(2,), (3,), (4,)]
    assert tellings == 2
    one.close()


def test_a_file_that_cannot_be_used_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"no database" * 1000)
    one = SqliteSharedRouting(tmp_path / "r", "one")

    with pytest.raises(StoreError, match="not a SQLite database"):
        one.tell(Outbox())
    with pytest.raises(StoreError, match="not a SQLite database"):
        one.hear()


class Node:
    """A router and its exchange with the others."""

    def __init__(self, path: Path, name: str, *, lost_s: float = 5.0) -> None:
        self.router = Router(sharing=Sharing.CHANNEL)
        self.health = Health()
        self.exchange = RoutingExchange(
            self.router,
            self.health,
            RoutingSettings(share_s=0.1, ask_timeout_s=5.0),
            channel=SqliteSharedRouting(path, name),
            asking=SqliteSharedRouting(path, name),
            lost_s=lost_s,
        )


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - what is waited for lies in other threads
            await asyncio.sleep(0.01)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def test_a_placement_reaches_the_other_node_and_one_that_joins(tmp_path: Path) -> None:
    async def run() -> tuple[str, str, str]:
        one, other, joining = (Node(tmp_path / "r", name) for name in ("one", "other", "third"))
        who = keys("u", "s")
        await one.exchange.start()
        await other.exchange.start()
        home = ask(one.router, THREE, who, now_s()).endpoint.id
        one.exchange.changed()
        await until(lambda: other.router.knows(who, now_s()))
        await joining.exchange.start()
        found = [ask(node.router, THREE, who, now_s()) for node in (other, joining)]
        for node in (one, other, joining):
            await node.exchange.stop()
        return home, found[0].endpoint.id, found[1].endpoint.id

    home, at_other, at_joining = asyncio.run(run())

    assert at_other == home
    assert at_joining == home


def test_an_open_circuit_is_known_to_others_and_one_that_joins_until_it_is_closed(
    tmp_path: Path,
) -> None:
    async def run() -> list[list[str]]:
        one, other, joining = (Node(tmp_path / "r", name) for name in ("one", "other", "third"))
        await one.exchange.start()
        await other.exchange.start()
        for _ in range(3):
            one.health.failed("a", Failure.ERROR, now_s())
        one.exchange.changed()
        await until(lambda: usable(other) == ["b", "c"])
        await joining.exchange.start()
        seen = [usable(other), usable(joining)]
        other.health.succeeded("a", now_s())
        await until(lambda: len(usable(one)) == len(usable(joining)) == 3)
        for node in (one, other, joining):
            await node.exchange.stop()
        return seen

    def usable(node: Node) -> list[str]:
        return [one.id for one in node.health.standings(THREE, now_s()).usable]

    assert asyncio.run(run()) == [["b", "c"], ["b", "c"]]


def test_a_lost_channel_cuts_and_comes_back_without_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "away"

    async def run() -> tuple[bool, bool]:
        one, other = (Node(folder / "r", name, lost_s=0.2) for name in ("one", "other"))
        folder.write_text("a file where the folder should be")
        await one.exchange.start()
        await until(lambda: one.router.sharing is Sharing.CUT)
        who = keys("u", "s")
        alone = ask(one.router, THREE, who, now_s()).reason == "unshared"
        one.health.failed("a", Failure.LIMITED, now_s(), retry_after_s=60.0)
        folder.unlink()
        await until(lambda: one.router.sharing is Sharing.CHANNEL)
        await other.exchange.start()
        await until(lambda: other.router.knows(who, now_s()))
        await until(lambda: len(other.health.standings(THREE, now_s()).usable) == 2)
        await one.exchange.stop()
        await other.exchange.stop()
        return alone, other.router.knows(who, now_s())

    alone, told_afterwards = asyncio.run(run())

    assert alone
    assert told_afterwards
    assert [record.message.split()[0] for record in caplog.records] == [
        "sharing_lost",
        "sharing_back",
    ]


def test_a_conversation_that_goes_on_is_asked_for_once(tmp_path: Path) -> None:
    async def run() -> list[bool]:
        one, other = Node(tmp_path / "r", "one"), Node(tmp_path / "r", "other")
        model = model_of(THREE)
        told, untold = keys("u", "s"), keys("v", "t")
        ask(one.router, THREE, told, now_s())
        shared = SqliteSharedRouting(tmp_path / "r", "one")
        shared.tell(one.router.outbox(now_s()))
        shared.close()
        await other.exchange.learn(FIRST_TURN, [Candidate(model, told)])
        first = other.router.knows(told, now_s())
        await other.exchange.learn(NEXT_TURN, [Candidate(model, told)])
        await other.exchange.learn(NEXT_TURN, [Candidate(model, untold)])
        knows = [first, other.router.knows(told, now_s()), other.router.knows(untold, now_s())]
        await one.exchange.stop()
        await other.exchange.stop()
        return knows

    assert asyncio.run(run()) == [False, True, False]


class Hanging:
    """A channel that answers when it is let go, and then as told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.let_go = threading.Event()
        self.error = error

    def tell(self, outbox: Outbox) -> None:
        assert isinstance(outbox, Outbox)
        self.hear()

    def hear(self) -> list[Heard]:
        assert self.let_go.wait(WAIT_S)
        if self.error is not None:
            raise self.error
        return []

    def ask(self, keys: Sequence[int]) -> list[SharedPlacement]:
        assert keys
        self.hear()
        return []

    def close(self) -> None:
        self.let_go.set()


def exchange_over(
    router: Router, channel: Hanging, *, ask_timeout_s: float = 0.05
) -> RoutingExchange:
    settings = RoutingSettings(share_s=0.1, ask_timeout_s=ask_timeout_s)
    return RoutingExchange(router, Health(), settings, channel=channel, asking=channel, lost_s=0.0)


def test_a_channel_that_hangs_delays_nothing_and_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def run() -> tuple[float, Sharing]:
        router, channel = Router(sharing=Sharing.CHANNEL), Hanging()
        exchange = exchange_over(router, channel)
        began_s = now_s()
        await exchange.learn(NEXT_TURN, [Candidate(model_of(THREE), keys("u", "s"))])
        asked_s = now_s() - began_s
        await exchange.start()
        given_up = router.sharing
        channel.let_go.set()
        await until(lambda: router.sharing is Sharing.CHANNEL)
        await exchange.stop()
        return asked_s, given_up

    asked_s, given_up = asyncio.run(run())

    assert asked_s < 1.0
    assert given_up is Sharing.CUT
    assert "it does not answer" in caplog.text


def test_a_question_the_channel_cannot_answer_leaves_the_conversation_cold() -> None:
    async def run() -> bool:
        router, channel = Router(sharing=Sharing.CHANNEL), Hanging(StoreError("away"))
        channel.let_go.set()
        exchange = exchange_over(router, channel, ask_timeout_s=5.0)
        await exchange.learn(NEXT_TURN, [Candidate(model_of(THREE), keys("u", "s"))])
        await exchange.stop()
        return router.knows(keys("u", "s"), now_s())

    assert asyncio.run(run()) is False


def test_a_mistake_cuts_the_channel_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        router, channel = Router(sharing=Sharing.CHANNEL), Hanging()
        channel.let_go.set()
        exchange = exchange_over(router, channel)
        await exchange.start()
        channel.error = ValueError("a mistake")
        await until(lambda: router.sharing is Sharing.CUT)
        channel.error = None
        await exchange.stop()

    asyncio.run(run())

    assert "sharing_mistake" in caplog.text
