"""Erasing a person: no byte of the id in any file, sums unchanged, under load and across kills."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fakes.kept_files import kept
from fakes.provider import ScriptedProvider
from fakes.running_gateway import running_gateway
from fakes.sample_ledger import sample_rows
from regulars.app import new_key
from regulars.identity.policy import make_policy
from regulars.ledger.erase import erase_user, verify_receipt
from regulars.ledger.scrub import scrub_files
from regulars.ledger.spool import read_spool, write_spool
from regulars.model.caller import Role
from regulars.stores.base import Filter, Sums
from regulars.stores.contents import Content
from regulars.stores.sqlite import SqliteStore, open_store

NOW_S = 1_800_000_000.0
CANARY = "canary-häuser-4711"
ALL = Filter("default")


def bytes_left(folder: Path, text: str = CANARY) -> list[str]:
    return [name for name, content in kept(folder).items() if text.encode() in content]


def filled(folder: Path, *, count: int = 600) -> SqliteStore:
    store = open_store(f"sqlite:///{folder}/ledger.db")
    rows = sample_rows(NOW_S, days=9, count=count)
    named: list[Any] = [
        replace(row, end_user=CANARY, session=f"s-of-{CANARY}", referer=f"https://x/{CANARY}")
        if index % 5 == 0
        else row
        for index, row in enumerate(rows)
    ]
    store.append(named[: count // 2])
    store.fold()
    store.append(named[count // 2 :])
    return store


def sums(store: SqliteStore) -> tuple[Sums, list[Sums]]:
    users = store.users(ALL, limit=1000)
    return store.totals(ALL), sorted((row.sums for row in users), key=str)


def test_no_byte_of_the_id_is_left_and_the_sums_stay(tmp_path: Path) -> None:
    store = filled(tmp_path)
    before = sums(store)
    assert bytes_left(tmp_path)

    receipt = erase_user(store, "default", (CANARY,), now_s=NOW_S)

    assert bytes_left(tmp_path) == []
    assert sums(store) == before
    assert list(store.verify()) == []
    assert receipt["generations"] == 120
    assert receipt["occurrences_left"] == 0
    assert receipt["anonymous"] == ["erased-1"]
    assert sum(receipt["remains"]["providers"].values()) == 120
    assert verify_receipt(store, receipt)
    assert not verify_receipt(store, receipt | {"generations": 0})
    assert CANARY not in str(receipt)
    store.close()


def test_rows_that_were_still_to_come_are_anonymous_too(tmp_path: Path) -> None:
    store, writer = filled(tmp_path), open_store(f"sqlite:///{tmp_path}/ledger.db")
    rows = sample_rows(NOW_S, days=1, count=3)
    late = replace(rows[0], end_user=CANARY, session=CANARY, referer=CANARY)
    early = replace(rows[1], end_user=CANARY)
    writer.append([early])  # the other process knows the name by heart

    erase_user(store, "default", (CANARY,), now_s=NOW_S)
    writer.append([late])

    assert bytes_left(tmp_path) == []
    found = store.generation(late.id)
    assert found is not None
    assert (found.end_user, found.session, found.referer) == ("erased-1", None, None)
    store.close()
    writer.close()


def test_who_comes_back_is_a_new_user(tmp_path: Path) -> None:
    store = filled(tmp_path)
    erase_user(store, "default", (CANARY,), now_s=NOW_S)
    again = replace(sample_rows(NOW_S + 60, days=0, count=1)[0], end_user=CANARY)
    again = replace(again, created_at_us=int((NOW_S + 60) * 1e6), id="gen-again")

    store.append([again])

    assert store.totals(Filter("default", user=CANARY)).requests == 1
    assert erase_user(store, "default", (CANARY,), now_s=NOW_S + 120)["anonymous"] == ["erased-2"]
    assert bytes_left(tmp_path) == []
    store.close()


def test_the_same_id_of_another_account_stays(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    first, second = sample_rows(NOW_S, days=1, count=2)
    store.append([replace(first, end_user="ada"), replace(second, end_user="ada", account="b")])

    erase_user(store, "default", ("ada",), now_s=NOW_S)

    assert store.totals(Filter("default", user="ada")).requests == 0
    assert store.totals(Filter("b", user="ada")).requests == 1
    store.close()


def test_a_spool_file_is_cleaned_and_still_comes_in(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")
    rows = sample_rows(NOW_S, days=1, count=2)
    mine = replace(rows[0], end_user=CANARY, session=CANARY, user_agent=f"app of {CANARY}")
    path, _ = write_spool(store.spool_path, [mine, rows[1]])

    receipt = erase_user(store, "default", (CANARY,), now_s=NOW_S)
    left = bytes_left(tmp_path)
    spooled, unreadable = read_spool(path)
    store.append(spooled)

    assert left == []
    assert (receipt["lines_in_spool_and_journal"], unreadable) == (1, 0)
    found = store.generation(mine.id)
    assert found is not None
    assert (found.end_user, found.session) == ("erased-0", None)
    assert found.cost == mine.cost
    store.close()


def test_other_peoples_lines_are_left_alone(tmp_path: Path) -> None:
    rows = sample_rows(NOW_S, days=1, count=2)
    prefix = tmp_path / "ledger.db.spool"
    path, _ = write_spool(prefix, [replace(rows[0], end_user="ada-2"), rows[1]])
    before = path.read_bytes()

    assert scrub_files(prefix, "default", "ada") == 0
    assert path.read_bytes() == before


def test_an_erasure_that_was_killed_goes_on_when_asked_again(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.erase("default", CANARY, now_us=int(NOW_S * 1e6))  # and dies before the files
    store.close()
    store = open_store(f"sqlite:///{tmp_path}/ledger.db")

    receipt = erase_user(store, "default", (CANARY,), now_s=NOW_S + 1)

    assert receipt["anonymous"] == ["erased-1"]
    assert receipt["generations"] == 120
    assert bytes_left(tmp_path) == []
    store.close()


def test_erasing_while_the_gateway_serves_that_user(tmp_path: Path) -> None:
    with ScriptedProvider() as provider, running_gateway(tmp_path, [provider]) as gateway:
        stop = threading.Event()

        def keep_asking() -> None:
            while not stop.is_set():
                gateway.chat(user="somebody-else")

        for _ in range(10):
            gateway.chat(user=CANARY, session_id=f"s-{CANARY}")
        other = threading.Thread(target=keep_asking)
        other.start()
        try:
            path = "/api/v1/users/canary-h%C3%A4user-4711"
            answer = gateway.request("DELETE", path, key=gateway.management_key)
            left = bytes_left(tmp_path)
            refused = gateway.request("DELETE", path, key=gateway.key)
        finally:
            stop.set()
            other.join(20)

        assert answer.status == 200, answer.body
        assert answer.json["data"]["generations"] == 10
        assert answer.json["data"]["occurrences_left"] == 0
        assert left == []
        assert refused.status == 403
        assert {row.end_user for row in gateway.rows()} == {"erased-1", "somebody-else"}


def test_a_key_of_the_erased_alone_is_disabled(tmp_path: Path) -> None:
    store = filled(tmp_path, count=10)
    key, _ = new_key("kiosk", Role.INFERENCE, users=make_policy("fixed", user=CANARY))
    store.create_key(key)

    erase_user(store, "default", (CANARY,), now_s=NOW_S)

    found = store.find_key(key.hash)
    assert found is not None
    assert (found.disabled, found.users.user) == (True, None)
    assert store.key_changes(1)[0].details["disabled"] == [False, True]
    assert bytes_left(tmp_path) == []
    store.close()


def test_nothing_is_kept_that_names_the_erased(tmp_path: Path) -> None:
    store = filled(tmp_path, count=10)
    erase_user(store, "default", (CANARY,), now_s=NOW_S)
    store.close()

    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        (digest,) = connection.execute("SELECT digest FROM erasure").fetchone()
    connection.close()

    assert len(digest) == 32


def test_what_was_said_goes_too_and_what_of_it_is_still_queued(tmp_path: Path) -> None:
    store, writer = filled(tmp_path), open_store(f"sqlite:///{tmp_path}/ledger.db")
    store.alias("default", "nick", CANARY)
    store.keep_contents([said("a", CANARY), said("b", "nick"), said("c", "somebody")])

    receipt = erase_user(store, "default", (CANARY, "nick"), now_s=NOW_S)
    writer.keep_contents([said("d", CANARY), said("e", "nick"), said("f", CANARY, at_s=NOW_S + 1)])

    kept = {name for name in "abcdef" if store.content(f"gen-{name}") is not None}
    assert kept == {"c", "f"}  # who comes again is another
    assert receipt["contents"] == 2
    assert b"words of gen-a" not in (tmp_path / "ledger.db").read_bytes()
    store.close()
    writer.close()


def said(name: str, user: str, *, at_s: float = NOW_S - 60) -> Content:
    words, at_us = f"words of gen-{name}", int(at_s * 1_000_000)
    return Content(f"gen-{name}", at_us, "default", user, words, True, None, None, False)


def test_the_receipt_names_backups_that_still_hold_the_id(tmp_path: Path) -> None:
    store = filled(tmp_path, count=20)
    copy, gone = tmp_path / "copy.db", tmp_path / "gone.db"
    store.backup(copy)
    store.backup(gone)
    gone.unlink()

    first = erase_user(store, "default", (CANARY,), now_s=NOW_S)
    old = open_store(f"sqlite:///{copy}")
    erase_user(old, "default", (CANARY,), now_s=NOW_S)
    old.close()
    again = erase_user(store, "default", (CANARY,), now_s=NOW_S)
    store.close()

    (held,) = first["remains"]["backups"]
    (clean,) = again["remains"]["backups"]
    assert (held["file"], held["occurrences"] > 0) == (str(copy), True)
    assert clean["occurrences"] == 0
    assert bytes_left(tmp_path) == []
