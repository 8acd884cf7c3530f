"""Login and logout."""

from math import ceil
from secrets import token_urlsafe
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from regulars.model.caller import ApiKey
from regulars.stores.base import StoreError
from regulars.web.access import SESSION_COOKIE, Denied, Viewer, management_key, usable_key
from regulars.web.forms import is_of_session, read_form
from regulars.web.site import Site
from regulars.web.tokens import LINK, SESSION, SESSION_LIFE_S, local_path, same, sign, verify

FORM_COOKIE: Final = "regulars_form"
_FORM_TOKEN_CHARS: Final = 32


async def login_page(site: Site, request: Request) -> Response:
    """Show the form, or let in whoever brings the printed link."""
    wanted = local_path(request.query_params.get("next", ""))
    token = request.query_params.get("token")
    if token is None:
        return _form(site, request, wanted)
    signed_for = verify(site.deps.secret, token, LINK, site.deps.clock())
    if signed_for is None:
        message = "This link is over or not ours. Links live for 24 hours: use a management key."
        return _form(site, request, wanted, status=401, problem=message)
    try:
        key = await usable_key(site.deps, signed_for)
    except StoreError as exc:
        return site.problem(503, f"The keys cannot be read now. {exc}")
    if isinstance(key, Denied):
        return _form(site, request, wanted, status=key.status, problem=key.message)
    return _let_in(site, request, key, wanted)


async def login(site: Site, request: Request) -> Response:
    """Take the form."""
    fields = await read_form(request)
    wanted = local_path(fields.get("next", ""))
    if not same(fields.get("form", ""), request.cookies.get(FORM_COOKIE, "")):
        message = "The form was open for too long, or cookies are off. Please try again."
        return _form(site, request, wanted, status=403, problem=message)
    address = request.client.host if request.client else "unknown"
    wait_s = site.attempts.wait_s(address, site.deps.clock())
    if wait_s > 0:
        message = f"Too many wrong keys from this address. Try again in {ceil(wait_s)} seconds."
        refused = _form(site, request, wanted, status=429, problem=message)
        refused.headers["Retry-After"] = str(ceil(wait_s))
        return refused
    try:
        key = await management_key(site.deps, fields.get("key", "").strip())
    except StoreError as exc:
        return site.problem(503, f"The keys cannot be read now. {exc}")
    if isinstance(key, Denied):
        site.attempts.note_failure(address, site.deps.clock())
        return _form(site, request, wanted, status=key.status, problem=key.message)
    site.attempts.forget(address)
    return _let_in(site, request, key, wanted)


async def logout(site: Site, request: Request, viewer: Viewer) -> Response:
    """End the session in this browser."""
    fields = await read_form(request)
    if not is_of_session(fields, viewer):
        return site.problem(403, "This form is not of your session.", viewer=viewer)
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(SESSION_COOKIE, path="/", httponly=True, samesite="lax")
    return response


def _let_in(site: Site, request: Request, key: ApiKey, wanted: str) -> Response:
    expires_at_s = int(site.deps.clock()) + SESSION_LIFE_S
    response = RedirectResponse(wanted, status_code=303)
    response.set_cookie(
        SESSION_COOKIE,
        sign(site.deps.secret, SESSION, key.hash, expires_at_s),
        max_age=SESSION_LIFE_S,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


def _form(
    site: Site, request: Request, wanted: str, *, status: int = 200, problem: str = ""
) -> Response:
    # A second tab must not make the first one's form stale.
    kept = request.cookies.get(FORM_COOKIE, "")
    token = kept if len(kept) == _FORM_TOKEN_CHARS else token_urlsafe(_FORM_TOKEN_CHARS * 3 // 4)
    response = site.page(
        "login.html", viewer=None, status=status, form=token, next=wanted, problem=problem
    )
    response.set_cookie(
        FORM_COOKIE,
        token,
        path="/login",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )
    return response
