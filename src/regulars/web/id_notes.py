"""What one user's id says about itself, in plain words, and what to do about it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from regulars.identity.classify import Finding, classify
from regulars.reports.identifiers import fix_of

_WORDS: Final[Mapping[Finding, str]] = {
    Finding.PERSONAL: "This id gives a person away to everybody who reads it.",
    Finding.UNSTABLE: "This looks like a request's, a session's or a time's id: it will not come again.",
    Finding.PLACEHOLDER: "This looks like a variable that was never set, not like a person.",
    Finding.SPACING: "White space stands in this id: the same one without it counts as another user.",
}


@dataclass(frozen=True, slots=True)
class IdNote:
    """One finding about an id, and how to fix it."""

    words: str
    fix: str


@dataclass(frozen=True, slots=True)
class IdNotes:
    """The id's form, the kind of personal data in it if any, and what was found."""

    form: str
    personal: str | None
    found: tuple[IdNote, ...]


def notes_of(user: str) -> IdNotes:
    """Look at an id as `/identifiers` looks at all of them."""
    traits = classify(user)
    found = tuple(
        IdNote(_WORDS.get(each, each.value), fix_of(each.value)) for each in traits.findings
    )
    return IdNotes(traits.form, traits.personal.value if traits.personal else None, found)
