"""Who calls: API keys and what they may do."""

from dataclasses import dataclass, field
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

    `user` is the one of `fixed`, `prefix` that of `prefix`, `secret` what proofs of `signed`
    are made with. `sources` are tried in order. None as `new_users_per_hour_max` leaves the
    gateway's own bound.
    """

    rule: UserRule = UserRule.CLIENT
    user: str | None = None
    prefix: str | None = None
    secret: str | None = field(default=None, repr=False)
    sources: tuple[UserSource, ...] = tuple(UserSource)
    personal: PersonalRule = PersonalRule.FLAG
    new_users_per_hour_max: int | None = None


CALLERS_WORD: Final = UserPolicy()
"""The default: the caller names users, as it likes."""


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


def key_hash(secret: str) -> str:
    """Return the public hash of a key's secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def key_label(secret: str) -> str:
    """Mask a secret so that its owner recognises it and nobody can use it."""
    return f"{secret[: len(KEY_PREFIX) + 3]}...{secret[-3:]}"
