"""An upstream's error, as a status with a body or inside a stream → one of ours."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from regulars.model.errors import UpstreamError, UpstreamStatusError
from regulars.wire.mend import BOM

ERROR_BODY_BYTES_MAX: Final = 65_536
MESSAGE_CHARS_MAX: Final = 500
RETRY_AFTER_S_MAX: Final = 3600.0

_ANY: Final = msgspec.json.Decoder(Any)
_SECRET: Final = re.compile(r"(?i)\b(?:sk|pk|key|bearer)[-_ ][A-Za-z0-9*_\-.]{8,}")

_BY_STATUS: Final = {
    400: (400, "invalid_request", False),
    # The gateway's own credentials failed, not the caller's: to him the provider is unavailable.
    401: (502, "provider_unavailable", True),
    402: (502, "provider_unavailable", True),
    403: (502, "provider_unavailable", True),
    404: (502, "provider_unavailable", True),
    408: (504, "timeout", True),
    409: (502, "provider_unavailable", True),
    413: (413, "payload_too_large", True),
    422: (422, "unprocessable", False),
    429: (429, "rate_limit_exceeded", True),
    503: (503, "provider_overloaded", True),
    504: (504, "timeout", True),
    529: (503, "provider_overloaded", True),
}
"""Upstream status → (our status, error type, may another endpoint be tried)."""


def read_failure(
    provider: str, status: int, body: bytes, *, retry_after: bytes | None = None
) -> UpstreamStatusError:
    """Turn an error answer into ours: its message when it has a readable one, never a page."""
    message, native_code = _read_body(body)
    return _failure(provider, status, message, native_code, _seconds(retry_after))


def read_stream_failure(provider: str, error: Any) -> UpstreamError:
    """Turn the `error` of a chunk inside a 200 stream into ours."""
    if not isinstance(error, dict):
        return _failure(provider, None, _clip(str(error)), None, None)
    code = error.get("code")
    native = None if code is None else _clip(str(code))
    return _failure(provider, _status(code), _clip(str(error.get("message", ""))), native, None)


def said_error(fields: Mapping[str, Raw]) -> Any:
    """Return the error that an answer under 200 is; what is false where it is none.

    An empty one stands beside good answers too. Without the name `error` come the objects of
    older vLLM and those of `event: error`: words where choices should be.
    """
    raw = fields.get("error")
    error = None if raw is None else _ANY.decode(raw)
    if error or "message" not in fields or "choices" in fields:
        return error
    bare = {name: _ANY.decode(fields[name]) for name in ("message", "code") if name in fields}
    return bare if isinstance(bare["message"], str) else None


def _status(code: Any) -> int | None:
    """Return the HTTP status that an error's code is, as a number or written out."""
    if isinstance(code, str) and len(code) == 3 and code.isdecimal():
        code = int(code)
    return code if isinstance(code, int) and 400 <= code <= 599 else None


def _failure(
    provider: str,
    status: int | None,
    message: str,
    native_code: str | None,
    retry_after_s: float | None,
) -> UpstreamStatusError:
    ours, error_type, retryable = (
        (502, "provider_unavailable", True)
        if status is None
        else _BY_STATUS.get(status, (502, "provider_unavailable", True))
    )
    if native_code == "context_length_exceeded":
        ours, error_type = 400, "context_length_exceeded"
    said = f"answered {status}" if status is not None else "reported an error in its stream"
    if status is not None and 300 <= status < 400:
        message = "redirects are not followed; base_url must name the address it leads to"
    text = f"{provider} {said}" + (f": {message}" if message else "")
    return UpstreamStatusError(
        text,
        status=ours,
        code=error_type,
        retryable=retryable,
        upstream_status=status,
        native_code=native_code,
        retry_after_s=retry_after_s,
    )


def _read_body(body: bytes) -> tuple[str, str | None]:
    try:
        answer: Any = msgspec.json.decode(body[:ERROR_BODY_BYTES_MAX].removeprefix(BOM))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return "", None  # HTML of a proxy in between helps nobody
    if isinstance(answer, list) and answer:  # as Google's common dialect says it
        answer = answer[0]
    if not isinstance(answer, dict):
        return "", None
    error = answer.get("error", answer)
    if isinstance(error, str):
        return _clip(error), None
    if not isinstance(error, dict):
        return "", None
    message = error.get("message") or error.get("detail") or ""
    code = error.get("code") or error.get("type")
    return _clip(str(message)), None if code is None else _clip(str(code))


def _clip(text: str) -> str:
    """Bound a provider's words and take out what looks like a key it quotes back."""
    return _SECRET.sub("[redacted]", text)[:MESSAGE_CHARS_MAX]


def _seconds(retry_after: bytes | None) -> float | None:
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        return None  # an HTTP date: rare, and our clocks may differ
    return min(max(seconds, 0.0), RETRY_AFTER_S_MAX) if seconds == seconds else None  # noqa: PLR0124 - NaN
