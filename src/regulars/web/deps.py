"""What the pages are given by the composition root."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.responses import Response

from regulars.exports.export import ExportQuery
from regulars.identity.key_policies import KeyPolicies
from regulars.ledger.one_person import OnePerson
from regulars.model.caller import ApiKey, KeyTerms, Role
from regulars.model.catalog import Catalog
from regulars.routing.explain import Explanation
from regulars.routing.overview import Overview
from regulars.stores.base import Keys, Reports
from regulars.stores.contents import Contents
from regulars.stores.registry import Registry
from regulars.stores.sightings import Noticed
from regulars.stores.spendings import Spendings
from regulars.web.worth import Compare


@dataclass(frozen=True, slots=True)
class WebDeps:
    """Everything the pages ask or need; `clock` gives seconds since 1970.

    `routing` and `explain` (model, user, session; empty for none) are asked in the event loop and
    answer at once. `export` begins a file and returns the answer that streams it.
    """

    reports: Reports
    keys: Keys
    spendings: Spendings
    contents: Contents
    new_key: Callable[[str, Role, KeyTerms], tuple[ApiKey, str]]
    secret: bytes = field(repr=False)
    account: str
    catalog: Catalog
    clock: Callable[[], float]
    version: str
    routing: Callable[[], Overview]
    explain: Callable[[str, str, str], Explanation]
    worth: Compare
    people: OnePerson
    registry: Registry
    noticed: Noticed
    policies: KeyPolicies
    export: Callable[[ExportQuery], Awaitable[Response]]
    keeps_content: bool = False
    """Whether keys may have prompts and completions kept."""
    recording: bool = True
    """Whether requests are recorded: every page says so when they are not."""
