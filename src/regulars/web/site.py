"""What all pages share: templates, assets, and how a page or a problem is answered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from regulars.model.errors import GatewayError
from regulars.reports.schema import ReportError
from regulars.stores.base import StoreError, StoreTimeoutError
from regulars.web import names, numbers, periods, reasons
from regulars.web.access import Denied, Viewer, identify
from regulars.web.assets import Assets, read_assets
from regulars.web.attempts import LoginAttempts
from regulars.web.deps import WebDeps
from regulars.web.flowing import FLUSH, flowing
from regulars.web.worth import Comparisons

_MISSING: Final = "Nothing under that name: it was never here, or it was erased."


@dataclass(frozen=True, slots=True)
class Site:
    """The pages' shared means."""

    deps: WebDeps
    templates: Environment
    assets: Assets
    attempts: LoginAttempts
    comparisons: Comparisons

    @property
    def now_us(self) -> int:
        """Now, in microseconds since 1970."""
        return int(self.deps.clock() * 1_000_000)

    def page(
        self, template: str, *, viewer: Viewer | None, status: int = 200, **values: Any
    ) -> Response:
        """Render a page."""
        html = self.templates.get_template(template).render(self._common(viewer) | values)
        return HTMLResponse(html, status_code=status)

    def flowing_page(
        self, template: str, *, request: Request, viewer: Viewer, **values: Any
    ) -> Response:
        """Render a page piece by piece; see `flowing`."""
        return flowing(
            request, self.templates.get_template(template), self._common(viewer) | values
        )

    def problem(self, status: int, message: str, *, viewer: Viewer | None = None) -> Response:
        """Render a page that says what is wrong."""
        return self.page("problem.html", viewer=viewer, status=status, message=message, code=status)

    def missing(self, viewer: Viewer) -> Response:
        """Render the page for what is not there."""
        return self.problem(404, _MISSING, viewer=viewer)

    def _common(self, viewer: Viewer | None) -> dict[str, Any]:
        return {
            "viewer": viewer,
            "now_us": self.now_us,
            "version": self.deps.version,
            "recording": self.deps.recording,
            "asset": self.assets.path,
            "periods": periods.PERIODS,
            "flush": FLUSH,
        }


Handler = Callable[[Site, Request, Viewer], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def open_site(deps: WebDeps) -> Site:
    """Read templates and assets, once."""
    assets = read_assets()
    return Site(deps, _templates(), assets, LoginAttempts(), Comparisons(deps.worth))


def guarded_page(site: Site, handler: Handler) -> Endpoint:
    """Let only viewers in; people without a session go to the login."""
    return partial(_answer_page, site, handler)


def guarded_json(site: Site, handler: Handler) -> Endpoint:
    """Let only viewers in; scripts get a status instead of a login page."""
    return partial(_answer_json, site, handler)


async def _answer_page(site: Site, handler: Handler, request: Request) -> Response:
    try:
        who = await identify(site.deps, request)
        if isinstance(who, Viewer):
            return await handler(site, request, who)
    except GatewayError as exc:
        return site.problem(exc.status, exc.message)
    except ReportError as exc:
        return site.problem(400, str(exc))
    except StoreTimeoutError as exc:
        return site.problem(503, str(exc))
    except StoreError as exc:
        return site.problem(503, f"The ledger cannot be read now. {exc}")
    if who.login is not None:
        return RedirectResponse(who.login, status_code=303)
    response = site.problem(who.status, who.message)
    if who.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def _answer_json(site: Site, handler: Handler, request: Request) -> Response:
    try:
        who = await identify(site.deps, request)
        if isinstance(who, Denied):
            return JSONResponse({"error": {"code": who.status, "message": who.message}}, who.status)
        return await handler(site, request, who)
    except StoreError:
        return JSONResponse({"error": {"code": 503, "message": "The ledger cannot be read."}}, 503)


def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("regulars.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(_filters())
    return templates


def _filters() -> Mapping[str, Callable[..., str]]:
    return {
        "ago": periods.ago,
        "change": numbers.change,
        "compact": numbers.compact,
        "exact_utc": periods.exact_utc,
        "grouped": numbers.grouped,
        "milliseconds": numbers.milliseconds,
        "routing_words": reasons.routing_words,
        "share": numbers.share,
        "shortened": names.shortened,
        "usd": numbers.usd,
        "usd_column": numbers.usd_column,
        "usd_exact": numbers.usd_exact,
        "session_path": names.session_path,
        "usd_per_million": numbers.usd_per_million,
        "user_path": names.user_path,
        "visible": names.visible,
    }
