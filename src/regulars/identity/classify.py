"""What one id says about itself: its form, and findings that need somebody's attention.

What only many ids together say (seen once, two of one fold, mixed forms) is in `reports`.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from regulars.identity.forms import form_of
from regulars.identity.passing import is_passing, is_placeholder
from regulars.identity.people_shapes import PersonalKind, personal_kind

LOOKED_AT_CHARS: Final = 96
"""Of an id: what is longer is no number or name, and an id may have hundreds."""


class Finding(StrEnum):
    """What is wrong with an id."""

    PERSONAL = "personal"
    UNSTABLE = "unstable"
    PLACEHOLDER = "placeholder"
    SPACING = "spacing"


class Traits(Struct, frozen=True, gc=False):
    """An id, looked at once. `personal` is the kind of data it gives away."""

    form: str
    personal: PersonalKind | None = None
    findings: tuple[Finding, ...] = ()


def classify(name: str) -> Traits:
    """Look at one accepted, non-empty id. At most some 10 µs, so keep what it says."""
    findings: list[Finding] = []
    personal = None
    head = name[:LOOKED_AT_CHARS]
    if is_placeholder(head):
        findings.append(Finding.PLACEHOLDER)
    elif is_passing(head):
        findings.append(Finding.UNSTABLE)
    else:
        personal = personal_kind(head)
        if personal is not None:
            findings.append(Finding.PERSONAL)
    if name != name.strip() or "  " in name:
        findings.append(Finding.SPACING)
    form = personal.value if personal is not None else form_of(head)
    return Traits(form, personal, tuple(findings))
