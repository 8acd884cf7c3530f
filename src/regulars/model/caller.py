"""Who calls: API keys and what they may do."""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

KEY_PREFIX: Final = "sk-reg-"


class Role(StrEnum):
    """What a key is for; neither may do the other's work."""

    INFERENCE = "inference"
    MANAGEMENT = "management"


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


def key_hash(secret: str) -> str:
    """Return the public hash of a key's secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def key_label(secret: str) -> str:
    """Mask a secret so that its owner recognises it and nobody can use it."""
    return f"{secret[: len(KEY_PREFIX) + 3]}...{secret[-3:]}"
