"""Sending a report to a webhook: signed, and tried again within bounds.

Signature: `X-Regulars-Signature: v1=` and the HMAC-SHA256, in hex, of the timestamp's digits, a
dot and the body; `X-Regulars-Timestamp` holds those digits, Unix seconds. A receiver compares in
constant time and refuses old timestamps. Repeated deliveries have the same `X-Regulars-Delivery`.
"""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from regulars.config.settings import WebhookSettings
from regulars.model.addresses import is_forbidden

PIECE_BYTES: Final = 262_144
TIMEOUT_S: Final = 30.0
PAUSE_FACTOR: Final = 4.0
_AGAIN: Final = frozenset({408, 425, 429})


class WebhookError(Exception):
    """The webhook did not take it; `attempts` says how often it was asked."""

    def __init__(self, message: str, attempts: int) -> None:
        super().__init__(message)
        self.attempts = attempts


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file to send, and what the request's head says of it."""

    file: Path
    media_type: str
    report: str
    delivery: str


def signature(secret: str, timestamp: int, pieces: Iterator[bytes]) -> str:
    """Sign a body at a time."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode(), "sha256")
    for piece in pieces:
        digest.update(piece)
    return f"v1={digest.hexdigest()}"


def send(
    hook: WebhookSettings,
    parcel: Parcel,
    *,
    clock: Callable[[], float],
    pause: Callable[[float], bool],
) -> int:
    """Send until it is taken; return the attempts that took.

    `pause` waits and returns True where the gateway stops meanwhile.

    Raises:
        WebhookError: it was refused, or never taken within `attempts_max`.
    """
    if is_forbidden(httpx2.URL(hook.url).host):
        raise WebhookError("the webhook's address is link-local or a metadata service", 0)
    wait_s = hook.retry_s
    # Redirects are not followed: they could lead where nobody meant to send a report.
    with httpx2.Client(timeout=TIMEOUT_S, follow_redirects=False) as client:
        for attempt in range(1, hook.attempts_max + 1):
            error, again = _try(client, hook, parcel, int(clock()))
            if error is None:
                return attempt
            if not again or attempt == hook.attempts_max or pause(wait_s):
                raise WebhookError(error, attempt)
            wait_s *= PAUSE_FACTOR
    raise AssertionError("attempts_max is at least 1")


def _try(
    client: httpx2.Client, hook: WebhookSettings, parcel: Parcel, timestamp: int
) -> tuple[str | None, bool]:
    headers = {
        "content-type": parcel.media_type,
        "content-length": str(parcel.file.stat().st_size),
        "x-regulars-report": parcel.report,
        "x-regulars-delivery": parcel.delivery,
        "x-regulars-timestamp": str(timestamp),
        "x-regulars-signature": signature(hook.secret, timestamp, _pieces(parcel.file)),
    }
    try:
        # The answer's body is nobody's business, and may be endless.
        with client.stream(
            "POST", hook.url, content=_pieces(parcel.file), headers=headers
        ) as answer:
            status = answer.status_code
    except httpx2.HTTPError as exc:
        return f"{type(exc).__name__}: {exc}"[:300], True
    if 200 <= status < 300:
        return None, False
    return f"the webhook answered with status {status}", status >= 500 or status in _AGAIN


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece
