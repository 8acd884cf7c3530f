"""All that can go wrong with a request, by culprit: each class fixes code, status and retry.

`code` is the `error_type` clients see in `error.metadata`. Only `http/errors.py` makes a
response of one. Messages name what was wrong, the value and the fix; never a key or a prompt.
"""


class GatewayError(Exception):
    """Base of every error a client can be told about."""

    code: str = "server"
    status: int = 500
    retryable: bool = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
        self.routing: bytes | None = None
        """`openrouter_metadata` as JSON, where the client asked for it."""


# --- the caller's doing


class CallerError(GatewayError):
    """The request cannot be served as it stands."""

    code = "invalid_request"
    status = 400


class UnauthenticatedError(CallerError):
    """No key, an unknown key or a disabled one."""

    code = "authentication"
    status = 401


class PaymentRequiredError(CallerError):
    """The key has spent what it may."""

    code = "payment_required"
    status = 402


class ForbiddenError(CallerError):
    """The key is good, but not for this."""

    code = "permission_denied"
    status = 403


class NotFoundError(CallerError):
    """Nothing under that name."""

    code = "not_found"
    status = 404


class MethodNotAllowedError(CallerError):
    """The route exists, the method does not."""

    code = "invalid_request"
    status = 405


class ConflictError(CallerError):
    """It cannot be done as things stand: what is to be made is there, for instance."""

    code = "invalid_request"
    status = 409


class RequestTimeoutError(CallerError):
    """The caller took too long to send the request."""

    code = "timeout"
    status = 408


class PayloadTooLargeError(CallerError):
    """The body is over the configured bound."""

    code = "payload_too_large"
    status = 413


class UnsupportedMediaError(CallerError):
    """The body comes in a form we do not read."""

    code = "invalid_request"
    status = 415


class HeadersTooLargeError(CallerError):
    """The request's head is over the bound."""

    code = "invalid_request"
    status = 431


# --- the gateway's own


class InternalError(GatewayError):
    """A mistake of ours; the message stays general."""


class UnavailableError(GatewayError):
    """We cannot take the request now; a later try may succeed."""

    code = "provider_unavailable"
    status = 503


class UnrecordedError(UnavailableError):
    """The answer is there, but its row was not durable in time, and then nobody is to get it."""

    code = "unrecorded"


class RateLimitedError(GatewayError):
    """Every endpoint that could serve the request asked for a pause."""

    code = "rate_limit_exceeded"
    status = 429


# --- the upstream's doing


class UpstreamError(GatewayError):
    """An endpoint failed; another one may be tried before the first content byte."""

    code = "provider_unavailable"
    status = 502
    retryable = True


class UpstreamConnectError(UpstreamError):
    """No connection: refused, unreachable, name unknown, or TLS not verified."""


class UpstreamBusyError(UpstreamConnectError):
    """The origin already has as many connections as it may."""


class UpstreamClosedError(UpstreamError):
    """The connection ended before the answer did."""


class UpstreamProtocolError(UpstreamError):
    """What came is not HTTP, not JSON or not what the dialect promises."""


class UpstreamTooLargeError(UpstreamError):
    """Headers or body over the bound."""


class UpstreamTimeoutError(UpstreamError):
    """Nothing came within the endpoint's time."""

    code = "timeout"
    status = 504


class UpstreamStatusError(UpstreamError):
    """The upstream answered with an error of its own; status and code are mapped from it.

    `upstream_status` is its HTTP status (None inside a stream), `native_code` its own word.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        retryable: bool,
        upstream_status: int | None,
        native_code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.upstream_status = upstream_status
        self.native_code = native_code
