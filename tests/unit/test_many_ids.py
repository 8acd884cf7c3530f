"""Ids used by many people, and conversations under many ids: labelled traffic, precision and recall."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from uuid import UUID

import msgspec
import pytest

from regulars.identity.continued import Conversations
from regulars.identity.crowds import addresses_in, bucket_of
from regulars.reports.identifiers import SeenUser, by_finding
from regulars.reports.newcomers import NewHour, under_many_ids

SHARE_MIN = 0.95
KEYS = 60
WORKERS = 4


def right_and_complete(found: set[str], bad: set[str]) -> bool:
    right = len(found & bad)
    return right >= SHARE_MIN * len(found) and right >= SHARE_MIN * len(bad)


def test_ids_of_many_people_are_told_from_those_of_one() -> None:
    chance = Random(11)
    people = {f"user_{at}": chance.choice((1, 2, 3, 8, 15, 40, 70)) for at in range(400)}
    shared = {f"app_{at}": chance.choice((150, 300, 900, 3000)) for at in range(60)}
    addresses: dict[str, int] = {}
    for user, count in (people | shared).items():
        taken = 0
        for _ in range(count):
            taken |= bucket_of(b"salt", str(chance.getrandbits(32)))
        addresses[user] = addresses_in(taken)
    seen = [SeenUser(user, "user_number", (), user, 900, 1, 1, 1) for user in addresses]

    found = {one.user or "" for one in by_finding(seen, addresses)["shared"]}

    assert right_and_complete(found, set(shared))


@dataclass(frozen=True, slots=True)
class Talk:
    """An application's conversations: how many turns, and whether each turn has an id of its own."""

    key: str
    changing: bool
    turns: int


@pytest.mark.parametrize("workers", [1, WORKERS])
def test_keys_whose_conversations_go_under_many_ids_are_found(workers: int) -> None:
    chance = Random(12)
    talks = [
        Talk(f"key-{number}", changing=number % 3 == 0, turns=chance.choice((2, 3, 6)))
        for number in range(KEYS)
    ]
    hours = [hour_of(talk, chance, workers) for talk in talks]

    found = {one.key for one in under_many_ids(hours)}

    assert right_and_complete(found, {talk.key for talk in talks if talk.changing})


def hour_of(talk: Talk, chance: Random, workers: int) -> NewHour:
    """Send 150 conversations, each request to any worker; what the workers noticed of new ids."""
    memories = [Conversations() for _ in range(workers)]
    known: set[str] = set()
    new = continuing = requests = 0
    for user, messages in requests_of(talk, chance):
        requests += 1
        if user not in known:
            known.add(user)
            new += 1
            continuing += chance.choice(memories).continues("default", messages)
    return NewHour(1, talk.key, new, continuing, (), requests, 1, 1, 1)


def requests_of(talk: Talk, chance: Random) -> Iterator[tuple[str, bytes]]:
    """Return (id, messages). Everybody has the same prompt with an example, many the same question.

    Of good applications 2 in 100 conversations are handed on: a link that somebody else goes on with.
    """
    prompt = [("system", "You help."), ("user", "2 + 2?"), ("assistant", "4")]
    for _ in range(150):
        user = str(UUID(int=chance.getrandbits(128)))
        first = "What can you do?" if chance.random() < 0.5 else f"Tell me of {chance.random()}"
        said = [*prompt, ("user", first)]
        for turn in range(talk.turns):
            handed_on = turn == 1 and chance.random() < 0.02
            if talk.changing or handed_on:
                user = str(UUID(int=chance.getrandbits(128)))
            yield user, msgspec.json.encode([{"role": who, "content": what} for who, what in said])
            said += [("assistant", f"answer {chance.random()}"), ("user", f"and {turn}?")]
