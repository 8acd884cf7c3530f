"""The forms of the keys' pages as fields of a key; `wire.key_fields` judges them. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from msgspec import UNSET

from regulars.model.caller import LimitReset, PersonalRule, Role, UserRule, UserSource
from regulars.model.errors import CallerError
from regulars.wire.key_fields import KeyFields

Form = Mapping[str, str]
DIGITS_MAX: Final = 12


def new_key_fields(form: Form, *, keeps_content: bool) -> KeyFields:
    """Read the form of a new key. An empty field is one that is not limited.

    Raises:
        CallerError: names the field.
    """
    asked = rule_fields(form, keeps_content=keeps_content)
    asked.role = Role.MANAGEMENT if form.get("role") == Role.MANAGEMENT else Role.INFERENCE
    if form.get("expires"):
        asked.expires_at = f"{form['expires']}T00:00:00Z"
    return asked


def rule_fields(form: Form, *, keeps_content: bool) -> KeyFields:
    """Read what may change of a key: its name, its limit, what is kept of what is said, its users.

    Raises:
        CallerError: names the field.
    """
    reset = form.get("limit_reset")
    if reset and reset not in list(LimitReset):
        raise CallerError(f"limit_reset: {reset[:20]!r} is none of {', '.join(LimitReset)}")
    asked = KeyFields(
        name=form.get("name", "").strip(),
        limit=_decimal(form, "limit"),
        limit_reset=LimitReset(reset) if reset else None,
        include_byok_in_limit=form.get("include_byok_in_limit") == "yes",
        content_share=float((_decimal(form, "content_percent") or 0) / 100)
        if keeps_content
        else UNSET,
    )
    if "user_policy" in form:
        _read_policy(form, asked)
    return asked


def _read_policy(form: Form, asked: KeyFields) -> None:
    """Read who names the key's users. What another policy needs may be filled in and is left out."""
    asked.user_policy = rule = form["user_policy"]
    if rule == UserRule.FIXED:
        asked.external_user = form.get("external_user") or None
    if rule == UserRule.PREFIX:
        asked.user_prefix = form.get("user_prefix") or None
    if rule == UserRule.SIGNED and form.get("new_signing_secret") == "yes":
        asked.new_signing_secret = True
    sources = [source.strip() for source in form.get("user_sources", "").split(",")]
    asked.user_sources = [source for source in sources if source] or list(UserSource)
    asked.personal_ids = form.get("personal_ids", PersonalRule.FLAG)
    asked.new_users_per_hour = _whole(form, "new_users_per_hour")


def _whole(form: Form, name: str) -> int | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > DIGITS_MAX:
        raise CallerError(f"{name}: {text[:20]!r} is not a whole number like 1000")
    return int(text)


def _decimal(form: Form, name: str) -> Decimal | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CallerError(f"{name}: {text[:20]!r} is not a number like 12.50") from None
