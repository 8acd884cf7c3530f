"""Who a request is for: what it says of its end user, and whether its key may say so.

The order of sources (a key may have its own): `user`, `safety_identifier`, `metadata.user_id`,
the header `X-Regulars-User`. The first that names somebody counts.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from regulars.identity.at_rest import PSEUDONYM, KeptName, ShownName, as_it_is
from regulars.identity.name import SESSION_LENGTH_MAX, USER_LENGTH_MAX, accept_name
from regulars.identity.new_users import NewUsers
from regulars.identity.personal_ids import PersonalIds
from regulars.identity.proof import PROOF_HEADER, read_proof
from regulars.identity.signing import SigningSecret, no_signing_secrets
from regulars.identity.used_proofs import UsedProofs
from regulars.model.caller import ApiKey, UserPolicy, UserRule, UserSource
from regulars.model.errors import CallerError, ForbiddenError
from regulars.wire.chat import ChatRequest
from regulars.wire.who import metadata_user, safety_identifier

USER_HEADER: Final = b"x-regulars-user"
IDENTITY_HEADERS: Final = (USER_HEADER, PROOF_HEADER)


class Named(Struct, frozen=True, gc=False):
    """The end user, None where nobody is named, and a session named along with him."""

    user: str | None
    session: str | None = None


class EndUsers:
    """Finds the end user of each request. `now_s` is the time since 1970."""

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        personal: PersonalIds,
        new: NewUsers,
        kept: KeptName = as_it_is,
        opened: ShownName = as_it_is,
        signing: SigningSecret = no_signing_secrets,
        came: Callable[[ApiKey, str, bytes], None] = lambda _key, _user, _messages: None,
    ) -> None:
        """`came` is told of each new user, by the name the ledger keeps, and his messages."""
        self._now_s = now_s
        self._personal = personal
        self._new = new
        self._kept = kept
        self._opened = opened
        self._signing = signing
        self._came = came
        self._used = UsedProofs()

    def of(self, request: ChatRequest, key: ApiKey, headers: Mapping[bytes, bytes]) -> Named:
        """Return who the request is for, as the ledger is to call him.

        Raises:
            CallerError: a name that cannot be kept, or one that the key refuses.
            ForbiddenError: the key may not speak for that user.
            RateLimitedError: the key brings too many new users.
        """
        named = self._named(request, key, headers)
        if named.user is None:
            return named
        came_as = self._personal.kept(named.user, key)
        # A fixed key's own user stands in the key as names are kept; a pseudonym opens nothing.
        fixed = key.users.rule is UserRule.FIXED and PSEUDONYM.fullmatch(came_as)
        user = came_as if fixed else self._kept(key.account, came_as)
        if self._new.admit(key, user, came_as, self._now_s):
            self._came(key, user, bytes(request.fields.get("messages", b"")))
        return named if user is named.user else Named(user, named.session)

    def _named(self, request: ChatRequest, key: ApiKey, headers: Mapping[bytes, bytes]) -> Named:
        policy = key.users
        if policy.rule is UserRule.FIXED:
            # Whatever the request says: this key is one user's.
            return Named(None if policy.user is None else self._opened(key.account, policy.user))
        named = _named(request, policy.sources, headers)
        if policy.rule is UserRule.SIGNED:
            return self._proven(named, key, headers)
        if policy.rule is UserRule.PREFIX and named.user is not None:
            _require_prefix(named.user, policy)
        return named

    def _proven(self, named: Named, key: ApiKey, headers: Mapping[bytes, bytes]) -> Named:
        value = headers.get(PROOF_HEADER)
        if value is None:
            raise ForbiddenError(
                f"API key {key.label} needs a proof of its user: send X-Regulars-User-Proof "
                "(regulars.ids.prove_user, or a JWT with HS256)"
            )
        now_s = self._now_s()
        secret, name = key.users.secret, key.users.secret_name
        if secret is None:
            assert name is not None, "a signed policy is made with a secret"
            secret = self._signing(key.account, name)
        proof = read_proof(value, named.user, secret=secret, account=key.account, now_s=now_s)
        user = accept_name(proof.user, field="X-Regulars-User-Proof", length_max=USER_LENGTH_MAX)
        if proof.nonce is not None and not self._used.use(
            key.hash, proof.nonce, expires_at_s=proof.expires_at_s, now_s=now_s
        ):
            raise ForbiddenError(
                "X-Regulars-User-Proof: has been used; it was good for one request"
            )
        return Named(user, named.session)


def refuse_repeated(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Refuse a request that says twice who it is for: two readers might read two users.

    Raises:
        CallerError: names the header.
    """
    for wanted in IDENTITY_HEADERS:
        if sum(name == wanted for name, _ in headers) > 1:
            raise CallerError(f"header {wanted.decode()}: is sent more than once; send it once")


def _named(
    request: ChatRequest, sources: Sequence[UserSource], headers: Mapping[bytes, bytes]
) -> Named:
    session = None
    for source in sources:
        if source is UserSource.USER:
            user = request.user
        elif source is UserSource.SAFETY_IDENTIFIER:
            user = safety_identifier(request)
        elif source is UserSource.METADATA:
            found = metadata_user(request)
            user, session = (None, None) if found is None else (found.user, found.session)
        else:
            user = _header(headers)
        if user is not None:
            user = accept_name(user, field=source, length_max=USER_LENGTH_MAX)
            return Named(user, _kept_session(session))
    return Named(None)


def _header(headers: Mapping[bytes, bytes]) -> str | None:
    value = headers.get(USER_HEADER)
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise CallerError(f"x-regulars-user: byte {exc.start} is not UTF-8") from exc


def _kept_session(session: str | None) -> str | None:
    if session is None:
        return None
    return accept_name(session, field="metadata.user_id", length_max=SESSION_LENGTH_MAX)


def _require_prefix(user: str, policy: UserPolicy) -> None:
    assert policy.prefix is not None, "a prefix policy is made with a prefix"
    if not user.startswith(policy.prefix):
        raise ForbiddenError(
            f"user: this API key may only name users that begin with {policy.prefix!r}"
        )
