"""The forms of the keys' pages as fields of a key; `wire.key_fields` judges them. Pure."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from msgspec import UNSET

from regulars.model.caller import LimitReset, Role
from regulars.model.errors import CallerError
from regulars.wire.key_fields import KeyFields

Form = Mapping[str, str]


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
    """Read what may change of a key: its name, its limit, what is kept of what is said.

    Raises:
        CallerError: names the field.
    """
    reset = form.get("limit_reset")
    if reset and reset not in list(LimitReset):
        raise CallerError(f"limit_reset: {reset[:20]!r} is none of {', '.join(LimitReset)}")
    return KeyFields(
        name=form.get("name", "").strip(),
        limit=_decimal(form, "limit"),
        limit_reset=LimitReset(reset) if reset else None,
        include_byok_in_limit=form.get("include_byok_in_limit") == "yes",
        content_share=float((_decimal(form, "content_percent") or 0) / 100)
        if keeps_content
        else UNSET,
    )


def _decimal(form: Form, name: str) -> Decimal | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        raise CallerError(f"{name}: {text[:20]!r} is not a number like 12.50") from None
