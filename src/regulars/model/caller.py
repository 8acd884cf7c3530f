"""Who calls: API keys and what they may do."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

KEY_PREFIX: Final = "sk-reg-"


class Role(StrEnum):
    """What a key is for; neither may do the other's work."""

    INFERENCE = "inference"
    MANAGEMENT = "management"


class UserSource(StrEnum):
    """Where a request may name its end user."""

    USER = "user"
    SAFETY_IDENTIFIER = "safety_identifier"
    METADATA = "metadata.user_id"
    HEADER = "x-regulars-user"


class UserRule(StrEnum):
    """Who says which end user a key's request is for.

    `client`: the caller. `fixed`: always the key's own. `signed`: the caller, with a proof.
    `prefix`: the caller, but only ids that begin as the key says.
    """

    CLIENT = "client"
    FIXED = "fixed"
    SIGNED = "signed"
    PREFIX = "prefix"


class PersonalRule(StrEnum):
    """What becomes of an id that looks like a person's own data."""

    FLAG = "flag"
    PSEUDONYMISE = "pseudonymise"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class UserPolicy:
    """How a key's requests name end users.

    `user` is the one of `fixed`, as names are kept, `prefix` that of `prefix`. What proofs of
    `signed` are made with is found by `secret_name`; `secret` is only in keys of before secrets
    had names. `sources` are tried in order. None as `new_users_per_hour_max` leaves the
    gateway's own bound.
    """

    rule: UserRule = UserRule.CLIENT
    user: str | None = None
    prefix: str | None = None
    secret: str | None = field(default=None, repr=False)
    sources: tuple[UserSource, ...] = tuple(UserSource)
    personal: PersonalRule = PersonalRule.FLAG
    new_users_per_hour_max: int | None = None
    secret_name: str | None = None


CALLERS_WORD: Final = UserPolicy()
"""The default: the caller names users, as it likes."""


class LimitReset(StrEnum):
    """When a spend limit begins anew: at midnight UTC, of each day, Monday or first of a month."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """How far a key reaches. Times are milliseconds since 1970.

    `limit_nanousd` may be spent in each window of `limit_reset`, or ever where that is None;
    what a provider bills to a key of our own counts only with `include_byok_in_limit`.
    `content_share` is the share of requests whose prompt and completion are kept. `creator` is
    whom its maker named as such.
    """

    limit_nanousd: int | None = None
    limit_reset: LimitReset | None = None
    include_byok_in_limit: bool = False
    expires_at_ms: int | None = None
    updated_at_ms: int | None = None
    content_share: float = 0.0
    creator: str | None = None


UNLIMITED: Final = KeyTerms()
"""The default: no limit, no end, nothing of what is said is kept."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key, without its secret.

    `hash` is the SHA-256 of the secret in hex, the key's public name; `label` is masked
    (`sk-reg-abc...xyz`); times are milliseconds since 1970.
    """

    hash: str
    name: str
    label: str
    role: Role
    account: str
    created_at_ms: int
    disabled: bool = False
    users: UserPolicy = CALLERS_WORD
    terms: KeyTerms = UNLIMITED

    def is_expired(self, now_ms: int) -> bool:
        """Say whether its time is over."""
        return self.terms.expires_at_ms is not None and now_ms >= self.terms.expires_at_ms

    def why_not(self, now_ms: int) -> str | None:
        """Say in words why nobody may use it now; None when one may."""
        if self.disabled:
            return "is disabled"
        if self.is_expired(now_ms):
            assert self.terms.expires_at_ms is not None
            ended = datetime.fromtimestamp(self.terms.expires_at_ms / 1000, UTC)
            return f"expired at {ended:%Y-%m-%d %H:%M:%S} UTC"
        return None


def key_hash(secret: str) -> str:
    """Return the public hash of a key's secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def key_label(secret: str) -> str:
    """Mask a secret so that its owner recognises it and nobody can use it."""
    return f"{secret[: len(KEY_PREFIX) + 3]}...{secret[-3:]}"
