"""Who looks at the pages: a session cookie or a management key as Bearer, checked each time."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from regulars.model.caller import ApiKey, Role, key_hash
from regulars.web.deps import WebDeps
from regulars.web.tokens import SESSION, form_token, verify

SESSION_COOKIE: Final = "regulars_session"
SECRET_CHARS_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody who may look; `form_token` is empty for a Bearer, who has no forms."""

    key: ApiKey
    form_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Denied:
    """Somebody who may not. `login` is where a person goes instead, None for a program."""

    status: int
    message: str
    login: str | None = None


async def identify(deps: WebDeps, request: Request) -> Viewer | Denied:
    """Find out who asks; a key that was disabled since the login is out at once."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        found = await management_key(deps, secret.strip())
        return found if isinstance(found, Denied) else Viewer(found)
    session = request.cookies.get(SESSION_COOKIE, "")
    signed_for = verify(deps.secret, session, SESSION, deps.clock())
    if signed_for is not None:
        found = await usable_key(deps, signed_for)
        if isinstance(found, ApiKey):
            return Viewer(found, form_token(deps.secret, session))
    return Denied(401, "Sign in to see this.", _login_path(request))


async def management_key(deps: WebDeps, secret: str) -> ApiKey | Denied:
    """Look a secret up; only a management key of this account will do."""
    if not 0 < len(secret) <= SECRET_CHARS_MAX:
        return Denied(401, "This is not a key: it is empty or too long.")
    return await usable_key(deps, key_hash(secret))


async def usable_key(deps: WebDeps, hash_: str) -> ApiKey | Denied:
    """Look a key up by its hash and say what it lacks."""
    key = await run_in_threadpool(deps.keys.find_key, hash_)
    if key is None or key.why_not(int(deps.clock() * 1000)) is not None:
        return Denied(401, "No such key, or it was disabled, or is over.")
    if key.role is not Role.MANAGEMENT:
        return Denied(403, "This is an inference key. The pages need a management key.")
    if key.account != deps.account:
        return Denied(403, "This key belongs to another account.")
    return key


def _login_path(request: Request) -> str:
    here = quote(request.url.path, safe="/%:@!$&'()*+,;=~")
    wanted = f"{here}?{request.url.query}" if request.url.query else here
    return "/login" if wanted == "/activity" else f"/login?{urlencode({'next': wanted})}"
