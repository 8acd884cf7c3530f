"""What every JSON handler shares: its dependencies, the caller, rendering, errors."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from regulars.http.auth import Authenticator
from regulars.http.downloads import Downloads
from regulars.http.errors import error_body, error_headers
from regulars.http.turns import Turns
from regulars.identity.key_policies import KeyPolicies
from regulars.model.caller import ApiKey, KeyTerms, Role
from regulars.model.catalog import Catalog
from regulars.model.errors import (
    CallerError,
    GatewayError,
    RequestTimeoutError,
    UnavailableError,
)
from regulars.reports.schema import ReportError
from regulars.stores.base import Keys, Reports, StoreError, StoreTimeoutError
from regulars.stores.contents import Contents
from regulars.stores.registry import Registry
from regulars.stores.sightings import Noticed
from regulars.stores.spendings import Spendings

PIECE_ROWS: Final = 200
"""So many rows are encoded at once: a tenth of a millisecond."""

NewKey = Callable[[str, Role, KeyTerms], tuple[ApiKey, str]]
"""Makes a key of a name, a role and terms, and the secret that is shown once."""
Handler = Callable[[Request, ApiKey], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Api:
    """What handlers read from."""

    auth: Authenticator
    reports: Reports
    keys: Keys
    spendings: Spendings
    contents: Contents
    new_key: NewKey
    catalog: Catalog
    now: Callable[[], datetime]
    erase: Callable[[str, str, str], dict[str, Any]]
    """Erases a user of an account, asked by a key's hash; the receipt. Blocking."""
    for_callers: Reports
    """What inference keys ask: ids that are kept encrypted stay so."""
    registry: Registry
    """What was said of external users."""
    downloads: Downloads
    turns: Turns
    """Where reports are made, beside requests."""
    noticed: Noticed
    """What was noticed of ids beside the ledger."""
    policies: KeyPolicies
    """Who names the users of keys."""
    keeps_content: bool = False
    """Whether keys may have prompts and completions kept."""
    recording: bool = True
    """Whether requests are recorded: every answer says so when they are not."""


def json_response(value: Any, status: int = 200) -> Response:
    """Render a value, money exact."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def json_array(rows: Sequence[Any]) -> msgspec.Raw:
    """Encode a list that may be long, in pieces: one call keeps the interpreter to its end."""
    pieces = (
        msgspec.json.encode(rows[start : start + PIECE_ROWS])[1:-1]
        for start in range(0, len(rows), PIECE_ROWS)
    )
    return msgspec.Raw(b"[" + b",".join(pieces) + b"]")


def with_key(api: Api, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Wrap a handler: find the key first, turn errors into answers."""

    async def handle(request: Request) -> Response:
        try:
            header = request.headers.get("authorization")
            key = await api.auth.caller(None if header is None else header.encode("latin-1"))
            response = await handler(request, key)
        except GatewayError as error:
            response = error_response(error)
        except ReportError as exc:
            response = error_response(CallerError(str(exc)))
        except StoreTimeoutError as exc:
            response = error_response(RequestTimeoutError(str(exc)))
        except StoreError as exc:
            response = error_response(UnavailableError(f"the store cannot answer now: {exc}"))
        if not api.recording:
            response.headers["x-regulars-ledger"] = "off"
        return response

    return handle


def error_response(error: GatewayError) -> Response:
    """Render OpenRouter's error object as a response."""
    headers = {name.decode(): value.decode() for name, value in error_headers(error)}
    return Response(error_body(error), error.status, headers, media_type="application/json")
