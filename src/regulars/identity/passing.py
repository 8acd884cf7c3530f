"""Ids that cannot name anybody: made anew for each request, or a placeholder for all."""

import re
from typing import Final

_REQUEST: Final = re.compile(
    r"(?:req|request|trace|span|nonce|tmp|temp|rand|random|call|msg|message|conn|connection|socket"
    r"|sock|sess|session|anon|anonymous|visit|visitor|pageview|(?:chat)?cmpl|thread|gen|txn|correlation|job|run|guest)"
    r"(?:[-_]?id)?[-_:./]([0-9a-z_-]{6,})",
    re.IGNORECASE | re.ASCII,
)
_CHANCE: Final = re.compile(r"0\.\d{8,20}|[1-9]\.\d{8,}e-\d+")
"""What `Math.random()` and `random.random()` print."""
_MOMENT: Final = re.compile(
    r"(?:^|[^0-9])(?:1[4-9]\d{11}(?:\d{3}|\d{6})?|1[4-9]\d{8}\.\d{2,9})(?:$|[^0-9])"
    r"|20[1-4]\d-?(?:0[1-9]|1[0-2])-?[0-3]\d[T _-]?[0-2]\d[:-]?[0-5]\d[:-]?[0-5]\d"
)
"""Milliseconds since 1970 (of 2014 to 2033), `time.time()`, or a date with a time of day."""
_TEMPLATE: Final = re.compile(
    r"\$?\{\{?.*\}?\}|<[a-z_ -]{1,40}>|%\(?[a-z_]*\)?[sd]|\[object \w+\]|\$[a-z_]{1,40}",
    re.IGNORECASE,
)
_BLANK: Final = re.compile(r"([x?*#.])\1{2,}|([0f])\2{7}-\2{4}-\2{4}-\2{4}-\2{12}", re.IGNORECASE)
"""One character again and again, or UUIDs of only zeros or only ones."""

_PLACEHOLDERS: Final = frozenset(
    (
        "undefined null none nan nil n/a na unknown anonymous anon guest user users test testuser "
        "test-user test_user default default_user default-user user_id user-id userid your-user-id "
        "your_user_id id string example example-user example_user foo bar foobar todo xxx me "
        "someone somebody customer client admin root system public everyone all 0 -1 true false - "
        "unknown_user unknown-user no-user no_user nouser nobody dummy placeholder changeme asdf qwerty "
        "_ . end-user end_user enduser"
    ).split()
)


def is_passing(name: str) -> bool:
    """Say whether an id looks made for one request or moment: its user will never come back."""
    if _CHANCE.fullmatch(name) or _MOMENT.search(name):
        return True
    made = _REQUEST.fullmatch(name)
    return made is not None and _is_random(made[1])


def is_placeholder(name: str) -> bool:
    """Say whether an id stands for nobody: `undefined`, `user`, an unfilled template."""
    if len(name) <= 40:
        word = name.strip().lower()
        if word in _PLACEHOLDERS or word.endswith(("_here", "-here")) or _BLANK.fullmatch(word):
            return True
    return name[0] in "$<{%[" and _TEMPLATE.fullmatch(name) is not None


def _is_random(tail: str) -> bool:
    digits = sum(char.isdigit() for char in tail)
    letters = len(tail) - digits
    # Words have no digits, counters and years no letters between theirs.
    return digits >= 2 and (letters >= 2 or digits >= 10)
