"""Small forms: what they hold, and whether a page of this session sent them."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from regulars.web.access import Viewer
from regulars.web.tokens import same

FORM_BYTES_MAX: Final = 16_384
STALE: Final = "This form is not of your session. Open the page again and send it from there."


async def read_form(request: Request) -> dict[str, str]:
    """Read a small urlencoded form; anything else counts as empty."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES_MAX:
            return {}
    return dict(parse_qsl(body.decode("ascii", "replace")))


def is_of_session(fields: Mapping[str, str], viewer: Viewer) -> bool:
    """Say whether the form carries the session's token; one who came with a Bearer has none."""
    return same(fields.get("form", ""), viewer.form_token)
