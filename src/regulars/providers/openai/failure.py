"""An upstream's error, as a status with a body or inside a stream → one of ours."""

import re
from typing import Any, Final

import msgspec

from regulars.model.errors import UpstreamError, UpstreamStatusError

ERROR_BODY_BYTES_MAX: Final = 65_536
MESSAGE_CHARS_MAX: Final = 500
RETRY_AFTER_S_MAX: Final = 3600.0

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
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    native = None if code is None else _clip(str(code))
    return _failure(provider, status, _clip(str(error.get("message", ""))), native, None)


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
        answer: Any = msgspec.json.decode(body[:ERROR_BODY_BYTES_MAX])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return "", None  # HTML of a proxy in between helps nobody
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
