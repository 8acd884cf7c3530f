"""Asking the pages as a program, as a visitor or as somebody who is signed in."""

import gzip
from http.client import HTTPConnection, HTTPResponse
from time import time
from urllib.parse import urlencode, urlsplit

from fakes.pages_site import PagesSite
from fakes.sample_ledger import MANAGEMENT_SECRET, sample_keys
from regulars.model.caller import ApiKey
from regulars.web.tokens import SESSION, form_token, sign

BEARER = {"Authorization": f"Bearer {MANAGEMENT_SECRET}"}
PAGE_BYTES_MAX = 60_000
WAIT_S = 10


def ask(
    site: PagesSite,
    path: str,
    headers: dict[str, str] | None = None,
    form: dict[str, str] | None = None,
) -> tuple[HTTPResponse, str]:
    """Ask for a page, or send a form; a compressed page keeps within its bound."""
    response, content = _exchange(site, path, headers or {}, form)
    if response.headers.get("Content-Encoding") == "gzip":
        assert len(content) <= PAGE_BYTES_MAX
        content = gzip.decompress(content)
    return response, content.decode()


def ask_signed_in(
    site: PagesSite,
    key: ApiKey,
    path: str,
    form: dict[str, str] | None = None,
    *,
    signed: bool = True,
) -> tuple[int, bytes]:
    """Ask as somebody who is signed in by a key; `signed` puts his form token in."""
    session = sign(site.deps.secret, SESSION, key.hash, int(time()) + 60)
    if form is not None and signed:
        form = {**form, "form": form_token(site.deps.secret, session)}
    cookie = {"Cookie": f"regulars_session={session}"}
    response, content = _exchange(site, path, cookie, form)
    return response.status, content


def session_of(site: PagesSite, life_s: int = 60) -> dict[str, str]:
    """Return the cookie of a session that lives so long."""
    token = sign(site.deps.secret, SESSION, sample_keys()[0].hash, int(time()) + life_s)
    return {"Cookie": f"regulars_session={token}"}


def cookies(response: HTTPResponse) -> str:
    """Return all cookies an answer sets."""
    return "; ".join(response.headers.get_all("Set-Cookie") or [])


def log_in(site: PagesSite, key: str, *, wanted: str = "", form: str = "t" * 32) -> HTTPResponse:
    """Send the login form."""
    fields = {"key": key, "next": wanted, "form": form}
    return ask(site, "/login", {"Cookie": f"regulars_form={'t' * 32}"}, fields)[0]


def _exchange(
    site: PagesSite, path: str, headers: dict[str, str], form: dict[str, str] | None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(urlsplit(site.url).netloc, timeout=WAIT_S)
    try:
        method, body = ("GET", None) if form is None else ("POST", urlencode(form))
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()
