"""Making a key's policy of users from what a person writes; what cannot work is refused here."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, TypeVar

from msgspec import UNSET, UnsetType

from regulars.identity.name import USER_LENGTH_MAX, accept_name
from regulars.model.caller import CALLERS_WORD, PersonalRule, UserPolicy, UserRule, UserSource
from regulars.model.errors import CallerError
from regulars.wire.key_fields import External, KeyFields

SECRET_BYTES_MIN: Final = 32
NEW_USERS_PER_HOUR_MAX: Final = 100_000_000

_OF_POLICIES: Final = (
    "external",
    "external_user",
    "new_signing_secret",
    "new_users_per_hour",
    "personal_ids",
    "user_policy",
    "user_prefix",
    "user_sources",
)

_E = TypeVar("_E", bound=StrEnum)
_T = TypeVar("_T")


def asked_policy(
    asked: KeyFields, old: UserPolicy = CALLERS_WORD, *, secret_name: str
) -> UserPolicy:
    """Return the policy that a request makes of the old one; what it does not say stays.

    A key that becomes `signed`, or asks for `new_signing_secret`, gets the secret of `secret_name`.

    Raises:
        CallerError: as `make_policy`.
    """
    if all(getattr(asked, name) is UNSET for name in _OF_POLICIES):
        return old  # even one that lacks what it needs, since its user was erased
    external = _external_user(asked)
    unsaid = UserRule.FIXED if isinstance(asked.external, External) else old.rule
    rule = _said(asked.user_policy, str(unsaid))
    same = rule == old.rule
    fresh = rule == UserRule.SIGNED and (not same or asked.new_signing_secret is True)
    if asked.new_signing_secret is True and not fresh:
        raise CallerError(f"new_signing_secret: does not belong with user_policy {rule[:50]!r}")
    kept = old if same else CALLERS_WORD  # another rule has no use for what the old one needed
    return make_policy(
        rule,
        user=_said(external, kept.user),
        prefix=_said(asked.user_prefix, kept.prefix),
        secret=None if fresh else kept.secret,
        secret_name=secret_name if fresh else kept.secret_name,
        sources=_said(asked.user_sources, old.sources),
        personal=_said(asked.personal_ids, str(old.personal)),
        new_users_per_hour_max=_said(asked.new_users_per_hour, old.new_users_per_hour_max),
    )


def make_policy(
    rule: str = UserRule.CLIENT,
    *,
    user: str | None = None,
    prefix: str | None = None,
    secret: str | None = None,
    secret_name: str | None = None,
    sources: Sequence[str] = tuple(UserSource),
    personal: str = PersonalRule.FLAG,
    new_users_per_hour_max: int | None = None,
) -> UserPolicy:
    """Return the policy.

    Raises:
        CallerError: an unknown word, or a rule without what it needs. Names the field.
    """
    chosen = _one_of(UserRule, rule, "user_policy")
    needed = {UserRule.FIXED: user, UserRule.PREFIX: prefix, UserRule.SIGNED: secret or secret_name}
    fields = {
        UserRule.FIXED: "external_user",
        UserRule.PREFIX: "user_prefix",
        UserRule.SIGNED: "secret",
    }
    for other, value in needed.items():
        if (value is not None) != (other is chosen):
            wrong = "is missing" if value is None else "does not belong"
            raise CallerError(f"{fields[other]}: {wrong} with user_policy {chosen.value!r}")
    for name, value in (("external_user", user), ("user_prefix", prefix)):
        if value is not None:
            accept_name(value, field=name, length_max=USER_LENGTH_MAX)
    if secret is not None and len(secret.encode()) < SECRET_BYTES_MIN:
        raise CallerError(f"secret: use at least {SECRET_BYTES_MIN} random bytes")
    if not sources or len(set(sources)) != len(sources):
        raise CallerError("user_sources: name at least one, and each once")
    limit = new_users_per_hour_max
    if limit is not None and not 1 <= limit <= NEW_USERS_PER_HOUR_MAX:
        raise CallerError(f"new_users_per_hour: {limit} is not 1 to {NEW_USERS_PER_HOUR_MAX}")
    return UserPolicy(
        rule=chosen,
        user=user,
        prefix=prefix,
        secret=secret,
        sources=tuple(_one_of(UserSource, source, "user_sources") for source in sources),
        personal=_one_of(PersonalRule, personal, "personal_ids"),
        new_users_per_hour_max=limit,
        secret_name=secret_name,
    )


def _external_user(asked: KeyFields) -> str | UnsetType | None:
    """Return the user of a fixed key, named our way or OpenRouter's (`external`)."""
    external = asked.external
    if not isinstance(external, External):
        return asked.external_user
    if isinstance(external.api_key, str):
        raise CallerError(
            "external.api_key: secrets are made here; leave it out and use `key` of the answer"
        )
    if asked.external_user not in (UNSET, external.user):
        raise CallerError("external.user: is another than external_user; send one of them")
    return external.user


def _said(value: _T | UnsetType, kept: _T) -> _T:
    return kept if value is UNSET else value


def _one_of(words: type[_E], value: str, field: str) -> _E:
    try:
        return words(value)
    except ValueError as exc:
        known = ", ".join(words)
        raise CallerError(f"{field}: {value[:50]!r} is not known; use one of {known}") from exc
