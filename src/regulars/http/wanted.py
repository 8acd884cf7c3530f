"""What a chat request wants served, and for whom: models by name, end user, session, keys."""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from regulars.identity.at_rest import KeptName, as_it_is
from regulars.identity.end_user import EndUsers
from regulars.identity.name import SESSION_LENGTH_MAX, accept_name
from regulars.model.caller import ApiKey
from regulars.model.catalog import Catalog
from regulars.model.errors import CallerError
from regulars.routing.keys import StickyKeys
from regulars.routing.plan import Candidate
from regulars.routing.stickiness import HARNESS_HEADERS, in_holdout, sticky_keys
from regulars.routing.wishes import split_suffix
from regulars.wire.chat import ChatRequest

STICKY_HEADER: Final = b"x-regulars-sticky"
"""`off` opts one request out of stickiness: it goes where load is least, and leaves no trace."""
_SESSION_HEADERS: Final = (b"x-session-id", *HARNESS_HEADERS)
_NAMES_SESSION: Final = frozenset(_SESSION_HEADERS)


class Wanted(Struct, frozen=True):
    """Who asks, and the models that may serve him: the one asked for, then its fallbacks."""

    end_user: str | None
    session: str | None
    candidates: tuple[Candidate, ...]
    cold_reason: str | None
    """Why warmth does not count for this request, None when it does."""


class WantedReader:
    """Finds models and keys. `random_bits` makes keys for requests that want no place kept."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        end_users: EndUsers,
        holdout_share: float,
        random_bits: Callable[[int], int],
        person: KeptName = as_it_is,
    ) -> None:
        """`person` tells whose a name is: all ids of one person are warm in the same place."""
        self._end_users = end_users
        self._models = catalog.models
        self._holdout_share = holdout_share
        self._random_bits = random_bits
        self._person = person

    def read(self, request: ChatRequest, key: ApiKey, headers: Mapping[bytes, bytes]) -> Wanted:
        """Read one request.

        Raises:
            CallerError: a model that is not served, a name that cannot be kept, or a user the
                key may not speak for.
        """
        account = key.account
        named = self._end_users.of(request, key, headers)
        end_user, session = named.user, _session(request, headers) or named.session
        person = end_user if end_user is None else self._person(account, end_user)
        cold_reason = self._cold_reason(account, person, headers)
        names = (request.model, *request.fallbacks) if request.fallbacks else (request.model,)
        candidates: list[Candidate] = []
        for name in names:
            candidate = self._candidate(name, request, (account, person, session))
            if cold_reason is not None:
                candidate = replace(candidate, keys=self._nobody())
            candidates.append(candidate)
        return Wanted(end_user, session, tuple(candidates), cold_reason)

    def _cold_reason(
        self, account: str, end_user: str | None, headers: Mapping[bytes, bytes]
    ) -> str | None:
        sticky = headers.get(STICKY_HEADER)
        if sticky is not None and _is_off(sticky):
            return "opted-out"
        if self._holdout_share and in_holdout(account, end_user, self._holdout_share):
            return "holdout"
        return None

    def _candidate(
        self, name: str, request: ChatRequest, who: tuple[str, str | None, str | None]
    ) -> Candidate:
        """Find a model, with or without `:nitro` or `:floor`, and who is warm with it."""
        model, suffix = self._models.get(name), None
        if model is None:
            name, suffix = split_suffix(name)
            model = self._models.get(name)
        if model is None:
            raise CallerError(
                f"model: {name[:100]!r} is not served here; GET /api/v1/models lists what is"
            )
        account, end_user, session = who
        keys = sticky_keys(
            request, account=account, model=model.id, end_user=end_user, session=session
        )
        return Candidate(model, keys, suffix)

    def _nobody(self) -> StickyKeys:
        """Make the keys of a request that wants no place kept for it."""
        return StickyKeys(self._random_bits(64), self._random_bits(64))


def _is_off(value: bytes) -> bool:
    wanted = value.strip().lower()
    if wanted in (b"off", b"false", b"0"):
        return True
    if wanted in (b"on", b"true", b"1"):
        return False
    raise CallerError("x-regulars-sticky: is neither on nor off")


def _session(request: ChatRequest, headers: Mapping[bytes, bytes]) -> str | None:
    if request.session is not None:
        return accept_name(request.session, field="session_id", length_max=SESSION_LENGTH_MAX)
    if _NAMES_SESSION.isdisjoint(headers):
        return None
    for name in _SESSION_HEADERS:
        value = headers.get(name)
        if value:
            text = value.decode("utf-8", "replace")
            return accept_name(text, field=name.decode(), length_max=SESSION_LENGTH_MAX)
    return None
