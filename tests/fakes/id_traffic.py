"""Traffic of applications that name their users well or badly, each user labelled; same each time.

A label is what the report on ids is to find about an id, none for ids that are as they should be.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from string import ascii_letters, ascii_lowercase, digits
from uuid import UUID

Make = Callable[[int], str]
"""The n-th id of some kind."""


@dataclass(slots=True)
class Traffic:
    """What one account's users sent: (user, session) in order of time, and who is to be found."""

    chance: Random
    sent: list[tuple[str, str | None]] = field(default_factory=list)
    labels: dict[str, set[str]] = field(default_factory=dict)

    def people(self, count: int, make: Make, *labels: str, once: float = 0.3) -> None:
        """Let people come, some (`once`) for one request, others for sessions of their own."""
        for number in range(count):
            user = make(number)
            self.labels.setdefault(user, set()).update(labels)
            if self.chance.random() < once:
                self.sent.append((user, f"s-{user}"))
                continue
            for talk in range(self.chance.randint(1, 4)):
                self.sent += [(user, f"s-{user}-{talk}")] * self.chance.randint(2, 6)

    def in_room(self, room: str, users: list[str]) -> None:
        """Let users speak in one session, once each."""
        for user in users:
            self.labels.setdefault(user, set())
            self.sent.append((user, room))

    def changing(self, requests: int, make: Make, *labels: str, turns: int | None) -> None:
        """Send requests each under an id of its own, in sessions of some turns or in none."""
        for number in range(requests):
            user = make(number)
            self.labels.setdefault(user, set()).update(labels)
            self.sent.append((user, None if turns is None else f"talk-{number // turns}"))


def scenarios() -> Iterator[tuple[str, Traffic]]:
    """Return each application by name."""
    makers = (_well_named, _once_only, _talks, _forms, _twins)
    return (scenario for make in makers for scenario in make())


def _well_named() -> Iterator[tuple[str, Traffic]]:
    chance = Random(1)
    for name, make in {**_schemes(chance), "handles": _handles(chance)}.items():
        good = Traffic(chance)
        good.people(300, make, once=0.45)
        yield f"good {name}", good
    rooms = Traffic(chance)
    rooms.people(300, lambda number: f"user_{number}", once=0.4)
    for room in range(6):
        rooms.in_room(f"room-{room}", [f"user_{400 + room * 3 + each}" for each in range(3)])
    yield "good, some in rooms", rooms
    default = Traffic(chance)
    default.people(300, lambda number: f"user_{number}", once=0.4)
    default.sent = [(user, "default") for user, _ in default.sent]
    yield "good, one session for all", default


def _once_only() -> Iterator[tuple[str, Traffic]]:
    chance = Random(2)
    for name, make in _schemes(chance).items():
        bad = Traffic(chance)
        bad.people(40, lambda number: f"user_{number}")
        bad.changing(400, make, "seen-once", turns=None)
        yield f"changing {name}", bad
    mixed = Traffic(chance)
    mixed.people(60, _uuid(chance), once=0.3)
    mixed.changing(400, _uuid(chance), "seen-once", turns=None)
    yield "changing among good of one form", mixed
    moments = Traffic(chance)
    moments.people(200, lambda number: str(52_000_000 + 17 * number))
    moments.changing(300, lambda number: str(1_732_300_000 + 61 * number), "seen-once", turns=None)
    yield "the time among numbers", moments
    customers = Traffic(chance)
    customers.people(200, lambda number: str(1_500_000_000 + 104_729 * number), once=0.5)
    yield "good numbers like times", customers


def _talks() -> Iterator[tuple[str, Traffic]]:
    chance = Random(3)
    for turns in (2, 3, 8, 60):
        bad = Traffic(chance)
        bad.people(80, lambda number: f"user_{number}", once=0.4)
        bad.changing(240, _uuid(chance), "session-of-many-ids", turns=turns)
        yield f"talks of {turns} turns", bad


def _forms() -> Iterator[tuple[str, Traffic]]:
    chance = Random(4)
    for name, make in _schemes(chance).items():
        for other in ("legacy/{:d}", "web:{:06x}ab12cd"):
            mixed = Traffic(chance)
            mixed.people(400, make)
            mixed.people(8, other.format, "mixed-forms", once=0.0)
            yield f"{name} and a few others", mixed
    handles = Traffic(chance)
    handles.people(400, _handles(chance))
    handles.people(8, _uuid(chance), "mixed-forms", once=0.0)
    yield "handles and a few UUIDs", handles


def _twins() -> Iterator[tuple[str, Traffic]]:
    chance = Random(5)
    changes: tuple[Callable[[str], str], ...] = (str.upper, str.title, "{} ".format, " {}".format)
    for change in changes:
        twins = Traffic(chance)
        twins.people(200, lambda number: f"person.{_word(Random(number))}")
        some = list(twins.labels)[:20]
        for name in some:
            twins.labels[name].add("same-but-for-case")
        others = [change(name) for name in some]
        twins.people(20, others.__getitem__, "same-but-for-case")
        yield "twins", twins
    for length in (4, 5, 6):
        codes = Traffic(chance)
        codes.people(3000, _text(chance, ascii_letters + digits, length), once=0.5)
        yield f"good codes of {length}", codes


def _schemes(chance: Random) -> dict[str, Make]:
    return {
        "numbers": lambda number: str(7_000_000 + 13 * number),
        "long numbers": lambda _: str(chance.randrange(10**10, 10**11)),
        "counters": lambda number: f"user_{number + 500}",
        "UUIDs": _uuid(chance),
        "hex": lambda _: f"{chance.getrandbits(96):024x}",
        "short hex": lambda _: f"{chance.getrandbits(32):08x}",
        "nanoids": _text(chance, ascii_letters + digits + "_-", 21),
        "codes of 12": _text(chance, ascii_letters + digits, 12),
        "cuids": _text(chance, ascii_lowercase + digits, 24),
        "stable ids": lambda _: f"app_{chance.getrandbits(128):032x}",
    }


def _uuid(chance: Random) -> Make:
    return lambda _: str(UUID(int=chance.getrandbits(128), version=4))


def _text(chance: Random, alphabet: str, length: int) -> Make:
    return lambda _: "".join(chance.choices(alphabet, k=length))


def _handles(chance: Random) -> Make:
    """Names that people choose: most are one word, some are not."""

    def handle(number: int) -> str:
        word = f"{_word(chance)}{_word(Random(number))}"
        kind = chance.random()
        if kind < 0.8:
            return word
        ends = (f"{chance.randrange(2010)}", f"_{chance.randrange(99)}", f".{_word(chance)}", "_x")
        return word + chance.choice(ends)

    return handle


def _word(chance: Random) -> str:
    return "".join(chance.choice("bdfgklmnprst") + chance.choice("aeiou") for _ in range(4))
