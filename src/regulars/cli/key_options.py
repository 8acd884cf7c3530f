"""Options that say how a key shall be, and the fields they become, judged like those of the API."""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from regulars.wire.key_fields import KeyFields

T = TypeVar("T")

NONE: Final = "none"
"""What an option is given to take a rule away."""

LimitOption = Annotated[
    str | None, typer.Option("--limit", metavar="USD", help="What it may spend, or `none`.")
]
ResetOption = Annotated[
    str | None,
    typer.Option("--reset", help="When the limit begins anew: daily, weekly, monthly or none."),
]
ByokOption = Annotated[
    bool | None,
    typer.Option(
        "--include-byok/--no-include-byok",
        help="Whether the limit counts what providers bill to keys of your own.",
    ),
]
ContentShareOption = Annotated[
    float | None, typer.Option(help="Share of requests whose texts are kept, 0 to 1.")
]
PolicyOption = Annotated[
    str | None, typer.Option(help="Who names its end users: client, fixed, signed or prefix.")
]
UserOption = Annotated[str | None, typer.Option("--user", help="The one end user of a fixed key.")]
PrefixOption = Annotated[str | None, typer.Option(help="How every id of a prefix key begins.")]
SourcesOption = Annotated[
    str | None,
    typer.Option(
        help="Where requests may name the user, in this order: "
        "user,safety_identifier,metadata.user_id,x-regulars-user"
    ),
]
PersonalOption = Annotated[
    str | None,
    typer.Option(help="E-mails, phone numbers … as ids: flag, pseudonymise or refuse."),
]
NewUsersOption = Annotated[
    str | None,
    typer.Option(metavar="NUMBER", help="Ids not seen before it may bring in an hour, or `none`."),
]

_OPTIONS: Final = {
    "external_user": "--user",
    "limit_reset": "--reset",
    "expires_at": "--expires",
}
"""Options that have other names than the fields they become."""


def key_fields(**said: Any) -> "KeyFields":
    """Return the fields that were given; an option that was not is None."""
    from msgspec import UNSET

    from regulars.wire.key_fields import KeyFields

    given = {name: value for name, value in said.items() if value is not None}
    fields = KeyFields(**given)
    if "limit" in given:
        fields.limit = _unless_none(given["limit"], "--limit", Decimal)
    if "limit_reset" in given:
        fields.limit_reset = _unless_none(given["limit_reset"], "--reset", _reset)
    if "new_users_per_hour" in given:
        fields.new_users_per_hour = _unless_none(
            given["new_users_per_hour"], "--new-users-per-hour", int
        )
    if fields.user_sources is not UNSET:
        fields.user_sources = given["user_sources"].split(",")
    return fields


def judged(judge: "Callable[[], T]") -> T:
    """Return what a judgement makes; where it refuses, name the option and exit with 2."""
    from regulars.model.errors import CallerError

    try:
        return judge()
    except CallerError as error:
        field, _, message = error.message.partition(": ")
        option = _OPTIONS.get(field, f"--{field.replace('_', '-')}")
        raise typer.BadParameter(message, param_hint=option) from error


def _reset(word: str) -> Any:
    from regulars.model.caller import LimitReset

    return LimitReset(word)


def _unless_none(text: str, option: str, read: "Callable[[str], Any]") -> Any:
    if text == NONE:
        return None
    try:
        return read(text)
    except (ValueError, InvalidOperation) as error:
        raise typer.BadParameter(f"{text[:20]!r} is not understood", param_hint=option) from error
