"""Single values as a person writes them in the file: names, addresses, times. Each says its fix."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import ip_network
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

DIALECTS: Final = ("openai",)
STORE_SCHEMES: Final = ("sqlite",)

_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MODEL_ID: Final = re.compile(r"[!-~]{1,200}")
_TAG: Final = re.compile(r"[a-z0-9][a-z0-9._/-]{0,199}")
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[ -~\t]{0,4000}")
_HTTP_URL: Final = re.compile(r"https?://[^\s/?#]+[^\s?#]*")


def refuse(message: str, fix: str) -> PydanticCustomError:
    """Make the error of a value: what is wrong, and what to write instead."""
    return PydanticCustomError("regulars", "{message}", {"message": message, "fix": fix})


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise refuse(
            "not a provider name", "use small letters, digits, `.`, `_` and `-`, at most 64"
        )
    return value


def _model_id(value: str) -> str:
    if not _MODEL_ID.fullmatch(value):
        raise refuse("not a model id", "use 1 to 200 visible ASCII characters, like `author/name`")
    return value


def _dialect(value: str) -> str:
    if value not in DIALECTS:
        raise refuse("unknown dialect", f"known today: {', '.join(DIALECTS)}")
    return value


def _tag(value: str) -> str:
    if not _TAG.fullmatch(value):
        raise refuse("not a tag", "use small letters, digits, `.`, `_`, `-` and `/`")
    return value


def _service(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise refuse("not a service tier", "write it as answers do, like `flex` or `priority`")
    return value


def _http_url(value: str) -> str:
    if not _HTTP_URL.fullmatch(value):
        raise refuse("not an http or https address", 'write it like "https://api.example.com/v1"')
    return value.rstrip("/")


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise refuse(
            "not the name of an environment variable",
            'put the key into a variable and name that here, like "ALPHA_API_KEY"',
        )
    return value


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as exc:
        raise ValueError(f"{value[:50]!r} is no network like 10.0.0.0/8") from exc


def _store_url(value: str) -> str:
    scheme, separator, rest = value.partition(":///")
    if scheme not in STORE_SCHEMES or not separator or not rest:
        raise refuse("not a store this version knows", 'write it like "sqlite:///regulars.db"')
    return value


def _cron(value: str) -> str:
    try:
        CronSim(value, datetime.now(UTC))
    except CronSimError:
        raise refuse(
            "not a cron expression", 'five fields, like "0 6 * * 1" for Mondays at six'
        ) from None
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise refuse("not a time zone known here", 'write it like "Europe/Berlin"') from None
    return value


def _headers(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
            raise refuse(f"header {name!r} cannot be sent", "use visible ASCII and no line breaks")
    return value


Slug = Annotated[str, AfterValidator(_slug)]
ModelId = Annotated[str, AfterValidator(_model_id)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Usd = Annotated[Decimal, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
ContextLength = Annotated[int, Field(ge=1, le=100_000_000)]
Dialect = Annotated[str, AfterValidator(_dialect)]
Tag = Annotated[str, AfterValidator(_tag)]
ServiceTier = Annotated[str, AfterValidator(_service)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Variable = Annotated[str, AfterValidator(_variable)]
Network = Annotated[str, AfterValidator(_network)]
StoreUrl = Annotated[str, AfterValidator(_store_url)]
Cron = Annotated[str, AfterValidator(_cron)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Headers = Annotated[dict[str, str], AfterValidator(_headers)]
