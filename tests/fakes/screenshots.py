"""`make screenshots`: every page, light and dark, at three widths, into shots/ (not kept in git).

    make screenshots                                    pages over some weeks of sample rows
    make screenshots ARGS="--url http://127.0.0.1:8787 --key sk-reg-…"   over a running gateway

For real demo traffic: `make run`, `regulars demo`, then the second form.
"""

import argparse
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Final

from playwright.sync_api import Browser, Page

from fakes.browser import WIDTHS, running_browser
from fakes.pages_site import running_pages
from fakes.sample_ledger import MANAGEMENT_SECRET, sample_rows

FOLDER: Final = Path("shots")
HEIGHT: Final = 900
ROWS: Final = 6000
PERIOD: Final = "30d"


def main() -> None:
    """Write all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a running gateway; else sample rows are shown")
    parser.add_argument("--key", default=MANAGEMENT_SECRET, help="its management key")
    parser.add_argument("--period", default=PERIOD)
    parser.add_argument("--only", default="", help="part of the names of pages")
    asked = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    with _site(asked.url) as url, running_browser() as browser:
        paths = _paths(browser, url, asked.key, asked.period)
        wanted = {name: path for name, path in paths.items() if asked.only in name}
        for scheme in ("light", "dark"):
            for width in WIDTHS:
                _take(browser, url, asked.key, (scheme, width), wanted)
    with tempfile.TemporaryDirectory() as folder, running_pages(Path(folder), []) as empty:
        first = {"first-steps": "/activity"} if asked.only in "first-steps" else {}
        with running_browser() as browser:
            for width in WIDTHS:
                _take(browser, empty.url, MANAGEMENT_SECRET, ("light", width), first)


@contextmanager
def _site(url: str | None) -> Generator[str]:
    if url is not None:
        yield url.rstrip("/")
        return
    rows = sample_rows(time(), count=ROWS)
    with tempfile.TemporaryDirectory() as folder, running_pages(Path(folder), rows) as site:
        yield site.url


def _open(browser: Browser, url: str, key: str, scheme: str, width: int) -> Page:
    """Open a page that is signed in as a person is, so that forms are shown too."""
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": HEIGHT},
    )
    page = context.new_page()
    page.goto(f"{url}/login")
    page.get_by_label("Management key").fill(key)
    page.keyboard.press("Enter")
    page.wait_for_url("**/activity")
    return page


def _paths(browser: Browser, url: str, secret: str, period: str) -> dict[str, str]:
    """Find a user, a session and a generation to show, by following the pages' own links."""
    page = _open(browser, url, secret, "light", WIDTHS[1])
    page.goto(f"{url}/users?period={period}")
    user = _first(page, "tbody th a")
    page.goto(f"{url}{user}?period={period}")
    generation = _first(page, "#newest-rows tbody th a")
    session = _first(page, "a[href^='/sessions/']")
    page.goto(f"{url}/models?period={period}")
    model = page.locator("h2 bdi").first.inner_text()
    page.goto(f"{url}/keys")
    key = _first(page, "tbody tr:last-child th a.name")
    page.context.close()
    return {
        "login": "/login",
        "activity": f"/activity?period={period}",
        "activity-models": f"/activity?period={period}&group=model&metric=tokens",
        "users": f"/users?period={period}",
        "users-grew": f"/users?period={period}&show=grew",
        "user": f"{user}?period={period}",
        "session": session,
        "generation": generation,
        "identifiers": f"/identifiers?period={period}",
        "keys": "/keys",
        "key": key,
        "models": f"/models?period={period}",
        "routing": f"/routing?period={period}&ask={model}&of=ada.lovelace",
    }


def _first(page: Page, selector: str) -> str:
    href = page.locator(selector).first.get_attribute("href")
    assert href, selector
    return href


def _take(
    browser: Browser, url: str, key: str, look: tuple[str, int], paths: dict[str, str]
) -> None:
    page = _open(browser, url, key, *look)
    for name, path in paths.items():
        page.goto(url + path)
        page.screenshot(path=FOLDER / f"{name}-{look[0]}-{look[1]}.png", full_page=True)
    page.context.close()


if __name__ == "__main__":
    main()
