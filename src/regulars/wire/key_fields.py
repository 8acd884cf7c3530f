"""What a request says of a key: read from JSON, judged, applied. Source: openrouter-api.md section 4.

Ours beside OpenRouter's: `role` (`inference`, `management`), `content_share`, and who names the
key's end users (`user_policy` and what follows), which `identity.policy` judges.
"""

import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from regulars.model.caller import ApiKey, KeyTerms, LimitReset, Role
from regulars.model.errors import CallerError
from regulars.model.money import NANO

NAME_CHARS_MAX: Final = 100
LIMIT_USD_MAX: Final = Decimal(1_000_000_000)
CREATOR_CHARS_MAX: Final = 128

_WITH_SECONDS: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)")


class External(msgspec.Struct, forbid_unknown_fields=True):
    """OpenRouter's way to say that a key is one end user's."""

    user: str
    api_key: str | UnsetType | None = UNSET


class KeyFields(msgspec.Struct, forbid_unknown_fields=True):
    """The fields of a body; what is not set is not said."""

    name: str | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    limit: Decimal | UnsetType | None = UNSET
    limit_reset: LimitReset | UnsetType | None = UNSET
    include_byok_in_limit: bool | UnsetType = UNSET
    expires_at: str | UnsetType | None = UNSET
    creator_user_id: str | UnsetType | None = UNSET
    workspace_id: str | UnsetType | None = UNSET
    external: External | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    content_share: float | UnsetType = UNSET
    user_policy: str | UnsetType = UNSET
    external_user: str | UnsetType | None = UNSET
    user_prefix: str | UnsetType | None = UNSET
    user_sources: list[str] | UnsetType = UNSET
    personal_ids: str | UnsetType = UNSET
    new_users_per_hour: int | UnsetType | None = UNSET
    new_signing_secret: bool | UnsetType = UNSET


_DECODER: Final = msgspec.json.Decoder(KeyFields)


def read_fields(body: bytes) -> KeyFields:
    """Read a body.

    Raises:
        CallerError: names the field that is wrong.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise CallerError(f"body: {exc}") from exc


def new_terms(asked: KeyFields, *, now_ms: int) -> tuple[str, Role, KeyTerms]:
    """Return name, role and terms of the key that is asked for.

    Raises:
        CallerError: names the field that is wrong.
    """
    if asked.name is UNSET:
        raise CallerError("name: is missing; say what the key is for")
    if asked.disabled is not UNSET:
        raise CallerError("disabled: a new key works; disable it afterwards")
    terms = KeyTerms(expires_at_ms=_expires_at_ms(asked.expires_at, now_ms))
    if isinstance(asked.creator_user_id, str):
        terms = replace(terms, creator=_creator(asked.creator_user_id))
    role = Role.INFERENCE if asked.role is UNSET else asked.role
    return _name(asked.name), role, _with_rules(terms, asked)


def changed(key: ApiKey, asked: KeyFields, *, now_ms: int) -> ApiKey:
    """Return the key as a change makes it.

    Raises:
        CallerError: names the field that is wrong, or that never changes.
    """
    for name in ("expires_at", "creator_user_id", "external", "role"):
        if getattr(asked, name) is not UNSET:
            raise CallerError(f"{name}: is given when a key is made and cannot be changed")
    terms = replace(_with_rules(key.terms, asked), updated_at_ms=now_ms)
    return replace(
        key,
        name=key.name if asked.name is UNSET else _name(asked.name),
        disabled=key.disabled if asked.disabled is UNSET else asked.disabled,
        terms=terms,
    )


def _with_rules(terms: KeyTerms, asked: KeyFields) -> KeyTerms:
    if asked.limit is not UNSET:
        terms = replace(terms, limit_nanousd=_nanousd(asked.limit))
    if asked.limit_reset is not UNSET:
        terms = replace(terms, limit_reset=asked.limit_reset)
    if asked.include_byok_in_limit is not UNSET:
        terms = replace(terms, include_byok_in_limit=asked.include_byok_in_limit)
    if asked.content_share is not UNSET:
        if not 0.0 <= asked.content_share <= 1.0:
            raise CallerError(f"content_share: {asked.content_share!r} is not between 0 and 1")
        terms = replace(terms, content_share=asked.content_share)
    return terms


def _name(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name) > NAME_CHARS_MAX:
        raise CallerError(f"name: send 1 to {NAME_CHARS_MAX} printable characters")
    return name


def _creator(creator: str) -> str:
    if not creator.isprintable() or not 0 < len(creator) <= CREATOR_CHARS_MAX:
        raise CallerError(f"creator_user_id: send 1 to {CREATOR_CHARS_MAX} printable characters")
    return creator


def _nanousd(usd: Decimal | None) -> int | None:
    if usd is None:
        return None
    if not usd.is_finite() or not 0 <= usd <= LIMIT_USD_MAX:
        raise CallerError(f"limit: send USD from 0 to {LIMIT_USD_MAX}, or null for no limit")
    return int(usd * NANO)


def _expires_at_ms(value: str | UnsetType | None, now_ms: int) -> int | None:
    if value is None or isinstance(value, UnsetType):
        return None
    try:
        at = datetime.fromisoformat(value) if _WITH_SECONDS.fullmatch(value) else None
    except ValueError:
        at = None  # the form fits, the day does not exist
    if at is None:
        raise CallerError(
            f"expires_at: {value[:40]!r} is not a UTC time with seconds like 2027-01-31T00:00:00Z"
        )
    at_ms = int(at.astimezone(UTC).timestamp() * 1000)
    if at_ms <= now_ms:
        raise CallerError(f"expires_at: {value[:40]!r} is past")
    return at_ms
