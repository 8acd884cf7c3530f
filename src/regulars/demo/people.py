"""Who plays in the demo: end users of a few imagined products, some busier than others.

Pure and repeatable: the same count gives the same people.
"""

from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

USERS_MAX: Final = 500

_SEED: Final = 20
# fmt: off - one line reads better than twenty-six
_NAMES: Final = (
    "ada",
    "ben",
    "chioma",
    "dmitri",
    "elif",
    "farid",
    "grace",
    "hiro",
    "ines",
    "jonas",
    "kavya",
    "luca",
    "mei",
    "nora",
    "oskar",
    "priya",
    "quentin",
    "rosa",
    "sami",
    "tariq",
    "uma",
    "vera",
    "wen",
    "ximena",
    "yusuf",
    "zoe",
)
# fmt: on
_TEAMS: Final = ("team-a", "team-b", "support", "sales-emea")

_RULES: Final = (
    " Answer in the language of the question. Keep it short: three sentences at most, no lists"
    " unless asked. If a figure is uncertain, say so and name what it depends on. Never invent an"
    " order number, a price or a date. If the question is outside your field, say whom to ask."
)
_PRODUCTS: Final = (
    (
        "You are the help desk of a shop for outdoor gear: tents, boots, stoves, maps." + _RULES,
        (
            "My tent leaks at the seams after two seasons. Can I mend it myself?",
            "Which boots would you take for a week in wet grass?",
            "How do I clean a petrol stove?",
            "Can I return a sleeping bag that I slept in once?",
            "What is the lightest map for the coast path?",
        ),
    ),
    (
        "You review Python code for a small team. Point out mistakes before style." + _RULES,
        (
            "Why does my generator run only once?",
            "Is a mutable default argument ever right?",
            "How do I test code that reads the clock?",
            "When is a dataclass better than a dict?",
            "What does `await` do to the order of these two lines?",
        ),
    ),
    (
        "You teach Spanish to beginners. Use words of the first thousand." + _RULES,
        (
            "When do I say ser and when estar?",
            "How do I ask for the bill politely?",
            "Give me three sentences about the weather.",
            "What is the past of ir?",
            "Please correct: yo soy comido.",
        ),
    ),
    (
        "You plan dinners for a family of four, one of them a vegetarian." + _RULES,
        (
            "What can I cook from leeks and potatoes?",
            "We have twenty minutes tonight. Ideas?",
            "How do I make it less salty?",
            "What goes with lentils?",
            "Can I freeze the rest?",
        ),
    ),
)
_TRAITS: Final = (
    "writes late at night, likes short answers, has asked about refunds twice this year.",
    "is new here, found us through a friend, prefers examples over explanations.",
    "has been with us for six years and knows the terms better than most of the staff.",
    "reads on a small screen, so long words and tables are hard to follow.",
    "is in a hurry most of the time and says so; thanks in advance are not irony.",
)


@dataclass(frozen=True, slots=True)
class Person:
    """One end user: the id the application sends, and how this person chats."""

    id: str
    system: str
    questions: tuple[str, ...]
    conversations: int
    turns: int
    streams: bool


def people(count: int) -> tuple[Person, ...]:
    """Make this many; about one in nine is very busy, one in three fairly."""
    random = Random(_SEED)  # noqa: S311 - variety, not secrets
    return tuple(_person(index, random) for index in range(count))


def _person(index: int, random: Random) -> Person:
    system, questions = _PRODUCTS[index % len(_PRODUCTS)]
    conversations, turns = _activity(index)
    user_id = _user_id(index, random)
    first = random.randrange(len(questions))
    return Person(
        id=user_id,
        system=f"{system} What you know of this person: {random.choice(_TRAITS)}",
        questions=tuple(questions[(first + turn) % len(questions)] for turn in range(turns)),
        conversations=conversations,
        turns=turns,
        streams=index % 5 in (0, 1, 3),
    )


def _activity(index: int) -> tuple[int, int]:
    if index % 9 == 0:
        return 3, 6
    return (2, 4) if index % 3 == 1 else (1, 3)


def _user_id(index: int, random: Random) -> str:
    """The ways applications name their users: a name, a team and a name, a UUID, a number."""
    name = _NAMES[index % len(_NAMES)]
    # names come round again with a number
    name += str(index // len(_NAMES) + 1) if index >= len(_NAMES) else ""
    match index % 7:
        case 2:
            return str(UUID(int=random.getrandbits(128), version=4))
        case 4 | 6:
            return f"{_TEAMS[index % len(_TEAMS)]}:{name}"
        case 5:
            return f"cust-{10_000 + index * 37}"
        case _:
            return f"user_{name}"
