"""The users of a time range as the identifier report wants them."""

from typing import Final

from regulars.identity.classify import classify
from regulars.identity.forms import folded
from regulars.reports.identifiers import Identifiers, SeenUser, identifiers
from regulars.stores.base import Filter, Reports, UserRow

USERS_MAX: Final = 10_000
"""Those who cost most; classifying them takes a tenth of a second."""


def look_at_identifiers(reports: Reports, where: Filter) -> Identifiers:
    """Report on the ids of a time range. Blocking."""
    return identifiers([_seen(row) for row in reports.users(where, limit=USERS_MAX)])


def _seen(row: UserRow) -> SeenUser:
    sums = row.sums
    figures = (sums.requests, sums.cost_nanousd, sums.prompt_tokens, sums.cached_tokens)
    if row.user is None:
        return SeenUser(None, "", (), "", *figures)
    traits = classify(row.user)
    return SeenUser(row.user, traits.form, tuple(traits.findings), folded(row.user), *figures)
