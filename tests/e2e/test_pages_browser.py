"""The pages as a person uses them, in a real browser: nothing broken, nothing unlabelled."""

import os
import shutil
from collections.abc import Generator
from importlib.resources import files
from pathlib import Path
from time import time
from typing import Any

import pytest
from msgspec.structs import replace
from playwright.sync_api import Browser, Page, expect

from fakes.browser import CHROMIUM, WIDTHS, running_browser
from fakes.pages_site import PagesSite, running_pages
from fakes.sample_ledger import HOSTILE_IDS, MANAGEMENT_SECRET, hostile_rows, sample_rows
from regulars.web.names import session_path, user_path

NOW_S = time()
ROWS = [*sample_rows(NOW_S, count=500), *hostile_rows(NOW_S)]
UNLABELLED = """() => [...document.querySelectorAll('input:not([type=hidden]), select, button, a')]
  .filter(each => each.checkVisibility() && !each.ariaHidden && !each.labels?.length && !each.ariaLabel
    && !each.textContent.trim() && !each.title)
  .map(each => each.outerHTML)"""
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
BROKEN_RULES = """async () => (await axe.run({ resultTypes: ['violations'] })).violations
  .map(rule => `${rule.id}: ${rule.nodes.map(node => node.html.slice(0, 150) + node.failureSummary).join(' | ')}`)"""
UNDER_TEST = os.environ.get("CI") == "true"  # noqa: TID251 - tests may read the environment

pytestmark = pytest.mark.skipif(
    not shutil.which(CHROMIUM) and not UNDER_TEST,
    reason="no Chromium: apt-get install chromium",
)


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with running_browser() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[PagesSite]:
    with running_pages(tmp_path_factory.mktemp("site"), ROWS) as running:
        yield running


def open_page(
    browser: Browser, *, signed_in: bool = True, **options: Any
) -> tuple[Page, list[str]]:
    headers = {"Authorization": f"Bearer {MANAGEMENT_SECRET}"} if signed_in else {}
    context = browser.new_context(extra_http_headers=headers, **options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    troubles: list[str] = []
    page.on(
        "console", lambda m: troubles.append(m.text) if m.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: troubles.append(str(error)))
    # A request that the next navigation cuts off did not fail.
    page.on(
        "requestfailed",
        lambda request: (
            None if request.failure == "net::ERR_ABORTED" else troubles.append(request.url)
        ),
    )
    page.on("dialog", lambda dialog: troubles.append(dialog.message))
    return page, troubles


def look(page: Page, url: str, *, rules_at: tuple[int, ...] = WIDTHS[1:2]) -> list[str]:
    """Visit at every width; return what is too wide, has no name, or breaks a rule of axe-core.

    The rules are looked at in the widths of `rules_at`: a third of a second each.
    """
    page.goto(url)
    page.evaluate(AXE)
    found: list[str] = page.evaluate(UNLABELLED)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{url} overflows at {width}")
        if width in rules_at:
            found += [f"{url} at {width}: {broken}" for broken in page.evaluate(BROKEN_RULES)]
    return found


def paths() -> tuple[str, ...]:
    """One address of each page and of what it can show."""
    failed = next(row for row in ROWS if row.outcome.value == "failed")
    talk = next(row for row in ROWS[::-1] if row.end_user == "ada.lovelace")
    return (
        "/login",
        "/activity",
        "/activity?period=90d&group=model&metric=tokens&user=ada.lovelace",
        "/activity?from=2026-02-02&to=2026-01-01",
        "/activity?period=30d&tz=Asia/Kathmandu",
        "/users?period=30d",
        "/users?period=30d&show=grew&col=cost&col=first&col=failed",
        "/users?period=24h&show=new",
        "/users?period=7d&show=stopped",
        "/users?q=nobody-has-this",
        "/users/ada.lovelace?period=30d",
        session_path(talk.session or "", talk.end_user, talk.created_at_us),
        f"/generations/{ROWS[-30].id}",
        f"/generations/{failed.id}",
        "/generations/gen-nobody",
        "/identifiers?period=30d",
        "/keys",
        "/models?period=30d",
        "/models?q=nothing",
        "/routing",
        "/routing?from=2026-02-02&to=2026-01-01",
        "/routing?ask=meta/llama-3.3-70b&of=ada.lovelace&in=s",
        "/routing?ask=nobody/serves-this",
    )


@pytest.mark.parametrize(("scheme", "rules_at"), [("light", WIDTHS), ("dark", WIDTHS[1:2])])
def test_pages_have_no_errors_no_overflow_and_are_accessible(
    browser: Browser, site: PagesSite, scheme: str, rules_at: tuple[int, ...]
) -> None:
    page, troubles = open_page(browser, color_scheme=scheme)

    found = [
        trouble for path in paths() for trouble in look(page, site.url + path, rules_at=rules_at)
    ]

    page.context.close()
    # Only the browser itself reports an answer that is not good.
    missing = [each for each in troubles if "404 (Not Found)" not in each]
    assert found + missing == []


def test_pages_of_an_empty_store_are_whole(browser: Browser, tmp_path: Path) -> None:
    with running_pages(tmp_path, []) as empty:
        page, troubles = open_page(browser)
        names = ("/activity", "/users", "/users?show=grew", "/models", "/routing", "/login")

        found = [trouble for name in names for trouble in look(page, empty.url + name)]

        page.context.close()
    assert found + troubles == []


def test_hostile_ids_break_nothing(browser: Browser, site: PagesSite) -> None:
    page, troubles = open_page(browser)

    found = [
        trouble
        for user in HOSTILE_IDS
        for trouble in look(page, site.url + user_path(user), rules_at=())
    ]
    found += look(page, f"{site.url}{user_path(HOSTILE_IDS[0])}")
    found += look(page, f"{site.url}/users?period=24h&col=cost&col=last", rules_at=WIDTHS)
    found += look(page, f"{site.url}/generations/{ROWS[-1].id}")
    images = page.locator("img").count()

    page.context.close()
    assert found + troubles == []
    assert images == 0


def test_links_of_hostile_users_lead_to_them(browser: Browser, site: PagesSite) -> None:
    page, troubles = open_page(browser)
    for user in HOSTILE_IDS:
        page.goto(f"{site.url}/users?period=24h")
        page.evaluate(
            "user => [...document.querySelectorAll('tbody th a')].find(a => a.title === user).click()",
            user,
        )
        expect(page.locator("h1")).to_have_attribute("title", user)

    page.context.close()
    assert troubles == []


def test_person_signs_in_looks_around_and_signs_out(browser: Browser, site: PagesSite) -> None:
    page, troubles = open_page(browser, signed_in=False)
    page.goto(f"{site.url}/users?period=7d")
    page.get_by_label("Management key").fill(MANAGEMENT_SECRET)
    page.keyboard.press("Enter")

    page.wait_for_url("**/users?period=7d")
    page.get_by_role("link", name="Activity").click()
    page.get_by_role("navigation", name="Group by").get_by_role("link", name="Model").click()
    expect(page.get_by_role("heading", name="Spend by model")).to_be_visible()
    page.get_by_role("list", name="Legend").get_by_role("link").first.click()
    expect(page.locator(".chip")).to_have_count(1)
    found = look(page, page.url)
    page.get_by_role("button", name="Sign out").click()

    page.wait_for_url("**/login")
    page.context.close()
    assert found + troubles == []


def test_person_makes_limits_and_revokes_a_key(browser: Browser, tmp_path: Path) -> None:
    with running_pages(tmp_path, ROWS[-40:]) as fresh:
        page, troubles = open_page(browser, signed_in=False)
        page.goto(f"{fresh.url}/keys")
        page.get_by_label("Management key").fill(MANAGEMENT_SECRET)
        page.keyboard.press("Enter")
        page.wait_for_url("**/keys")
        found = look(page, page.url)
        page.get_by_label("Name").fill("Shop")
        page.get_by_label("Limit in USD").fill("12.5")
        page.get_by_label("Begins anew").select_option("weekly")
        page.get_by_role("button", name="Make the key").click()
        expect(page.locator("pre")).to_contain_text("sk-reg-")

        page.get_by_role("link", name="Shop").click()
        found += look(page, page.url)
        page.get_by_label("Limit in USD").fill("20")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("dl.facts")).to_contain_text("$20.00 weekly")
        page.get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("button", name="Let it work again")).to_be_visible()
        expect(page.locator('.scroll[aria-label="Changes, the newest first"]')).to_contain_text(
            "disabled"
        )
        page.context.close()
    assert found + troubles == []


def test_person_says_who_names_a_keys_users(browser: Browser, tmp_path: Path) -> None:
    with running_pages(tmp_path, ROWS[-40:]) as fresh:
        page, troubles = open_page(browser, signed_in=False)
        page.goto(f"{fresh.url}/keys")
        page.get_by_label("Management key").fill(MANAGEMENT_SECRET)
        page.keyboard.press("Enter")
        page.wait_for_url("**/keys")
        found = look(page, page.url, rules_at=WIDTHS)
        page.get_by_label("Name").fill("Mobile app")
        expect(page.get_by_label("Ids begin with")).to_be_hidden()
        page.get_by_label("On behalf of").select_option("signed")
        page.get_by_label("New users an hour").fill("1000")
        page.get_by_role("button", name="Make the key").click()
        expect(page.locator("pre")).to_have_count(2)

        page.get_by_role("link", name="Mobile app").click()
        found += look(page, page.url, rules_at=WIDTHS)
        page.get_by_label("On behalf of").select_option("prefix")
        page.get_by_label("Ids begin with").fill(HOSTILE_IDS[0])
        page.get_by_label("Ids like personal data").select_option("refuse")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Ids begin with")).to_have_value(HOSTILE_IDS[0])
        found += look(page, page.url, rules_at=WIDTHS)
        page.get_by_label("On behalf of").select_option("client")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Ids begin with")).to_be_hidden()
        expect(page.locator('.scroll[aria-label="Changes, the newest first"]')).to_contain_text(
            "user_policy"
        )
        page.context.close()
    assert found + troubles == []


def test_theme_is_kept(browser: Browser, site: PagesSite) -> None:
    page, troubles = open_page(browser, color_scheme="light")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    page.goto(f"{site.url}/activity")
    light = page.evaluate(background)

    page.get_by_role("button", name="Switch between light and dark").click()
    dark = page.evaluate(background)
    page.reload()

    assert page.evaluate(background) == dark != light
    page.context.close()
    assert troubles == []


def test_chart_is_read_with_arrow_keys(browser: Browser, site: PagesSite) -> None:
    page, troubles = open_page(browser)
    page.goto(f"{site.url}/activity?metric=requests")
    chart = page.locator("[data-chart]")
    chart.focus()

    page.keyboard.press("End")
    last = page.locator(".tip .when").inner_text()
    page.keyboard.press("ArrowLeft")

    assert page.locator(".tip .when").inner_text() != last
    page.keyboard.press("Escape")
    expect(page.locator(".tip")).to_be_hidden()
    page.context.close()
    assert troubles == []


def test_keys_lead_about_unless_somebody_types_or_switched_them_off(
    browser: Browser, site: PagesSite
) -> None:
    page, troubles = open_page(browser)
    page.goto(f"{site.url}/activity")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("l")
    page.keyboard.press("g")
    page.keyboard.press("u")
    page.wait_for_url("**/users")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("gk?")
    expect(page.get_by_role("searchbox")).to_have_value("gk?")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#shortcuts dl")).to_be_visible()
    found = look(page, page.url, rules_at=WIDTHS)
    page.locator("#shortcuts summary").click()
    page.get_by_label("Single keys are on").uncheck()
    page.reload()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).not_to_be_focused()

    page.context.close()
    assert found + troubles == []


def test_a_page_is_printed_without_what_only_a_screen_can_use(
    browser: Browser, site: PagesSite
) -> None:
    page, troubles = open_page(browser, color_scheme="dark")
    page.goto(f"{site.url}/activity?period=30d")
    page.emulate_media(media="print", color_scheme="dark")

    for unused in (".top nav", ".tools", ".menu", ".segments", "#shortcuts", ".live"):
        expect(page.locator(unused).first).to_be_hidden()
    expect(page.locator(".printed")).to_contain_text("30 days, to 20")
    expect(page.get_by_role("list", name="Legend")).to_be_visible()
    paper = page.evaluate("getComputedStyle(document.body).color")

    page.context.close()
    assert paper == "rgb(31, 27, 23)"
    assert troubles == []


def test_a_person_is_exported_merged_and_erased_by_hand(browser: Browser, tmp_path: Path) -> None:
    with running_pages(tmp_path, ROWS) as fresh:
        page, troubles = open_page(browser, signed_in=False)
        page.goto(f"{fresh.url}/users/ada.lovelace?period=90d")
        page.get_by_label("Management key").fill(MANAGEMENT_SECRET)
        page.keyboard.press("Enter")
        page.wait_for_url("**/users/ada.lovelace?period=90d")
        found = look(page, page.url, rules_at=WIDTHS)
        with page.expect_download() as download:
            page.locator("form[action='/export-user'] button").click()
        archive = Path(download.value.path()).read_bytes()
        page.get_by_placeholder("another id").fill("linus")
        page.get_by_role("button", name="Merge").click()
        page.wait_for_url("**/users/ada.lovelace")
        page.get_by_role("button", name="Erase this user").click()
        # Nothing happens: the box is required.
        expect(page.locator("h1")).to_have_text("ada.lovelace")
        page.get_by_label("I am sure").check()
        page.get_by_role("button", name="Erase this user").click()
        expect(page.get_by_role("heading", name="Erased")).to_be_visible()
        receipt = page.locator("pre").inner_text()
        found += page.evaluate(UNLABELLED)
        page.goto(f"{fresh.url}/keys")
        expect(page.locator('.scroll[aria-label="Changes, the newest first"]')).to_contain_text(
            "users merged"
        )
        page.context.close()
    assert archive.startswith(b"PK")
    assert '"signature"' in receipt
    assert found + troubles == []


def test_first_steps_turn_into_the_live_page(browser: Browser, tmp_path: Path) -> None:
    with running_pages(tmp_path, []) as fresh:
        page, troubles = open_page(browser)
        page.clock.install()
        found = look(page, f"{fresh.url}/activity")
        expect(page.get_by_text("Waiting for the first generation")).to_be_visible()
        with page.expect_response("**/activity/pulse"):
            page.clock.run_for(3_100)

        fresh.store.append(ROWS[-40:-39])
        page.clock.run_for(3_100)
        expect(page.get_by_role("heading", name="Newest generations")).to_be_visible()
        expect(page.locator("#newest-rows tbody tr")).to_have_count(1)
        expect(page.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "true")

        fresh.store.append([replace(ROWS[-39], created_at_us=int(time() * 1_000_000))])
        page.clock.run_for(3_100)
        expect(page.locator("#newest-rows tbody tr")).to_have_count(2)
        page.context.close()
    assert found + troubles == []


def test_a_person_chooses_columns_and_follows_the_sort(browser: Browser, site: PagesSite) -> None:
    page, troubles = open_page(browser)
    page.goto(f"{site.url}/users?period=90d&q=a")

    page.locator("#columns summary").click()
    page.get_by_label("First seen").check()
    page.get_by_label("Trend").uncheck()
    page.locator("#columns").get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Requests").click()

    expect(page.locator("thead")).to_contain_text("First seen")
    expect(page.locator("thead")).not_to_contain_text("Trend")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Requests")
    assert "q=a" in page.url
    page.context.close()
    assert troubles == []


def test_a_person_downloads_what_the_page_shows(browser: Browser, site: PagesSite) -> None:
    page, troubles = open_page(browser, signed_in=False)
    page.goto(f"{site.url}/activity?period=90d&user=ada.lovelace")
    page.get_by_label("Management key").fill(MANAGEMENT_SECRET)
    page.keyboard.press("Enter")
    page.locator("#export summary").click()

    with page.expect_download() as download:
        page.locator("#export").get_by_role("link", name="CSV").first.click()
    text = Path(download.value.path()).read_text()

    ours = [row for row in ROWS if row.end_user == "ada.lovelace"]
    assert len(text.splitlines()) == len(ours) + 1
    page.context.close()
    assert troubles == []


def test_the_browsers_own_time_zone_is_one_click(browser: Browser, site: PagesSite) -> None:
    page, troubles = open_page(browser, timezone_id="Asia/Tokyo")
    page.goto(f"{site.url}/activity?period=30d")
    page.locator("#dates summary").click()

    page.get_by_role("button", name="Use Asia/Tokyo").click()
    page.locator("#dates").get_by_role("button", name="Show").click()

    expect(page.locator("footer")).to_contain_text("Asia/Tokyo")
    assert "period=30d" in page.url
    page.context.close()
    assert troubles == []
