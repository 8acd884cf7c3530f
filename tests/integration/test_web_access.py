"""Who gets to see the pages: sessions, logins, links, bearers."""

from collections.abc import Generator
from pathlib import Path
from time import time

import pytest

from fakes.pages_caller import BEARER, ask, cookies, log_in, session_of
from fakes.pages_site import PagesSite, running_pages
from fakes.sample_ledger import (
    INFERENCE_SECRET,
    MANAGEMENT_SECRET,
    hostile_rows,
    sample_keys,
    sample_rows,
)
from regulars.web.attempts import FAILURES_MAX
from regulars.web.tokens import LINK, sign

NOW_S = time()
ROWS = [*sample_rows(NOW_S, count=600), *hostile_rows(NOW_S)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[PagesSite]:
    with running_pages(tmp_path_factory.mktemp("site"), ROWS) as running:
        yield running


def test_pages_without_a_session_lead_to_the_login_and_back(site: PagesSite) -> None:
    for path, login in (
        ("/activity", "/login"),
        ("/users?period=7d", "/login?next=%2Fusers%3Fperiod%3D7d"),
        ("/users/a%2Fb", "/login?next=%2Fusers%2Fa%2Fb"),
    ):
        response, _ = ask(site, path)
        assert (response.status, response.headers["Location"]) == (303, login)
    assert ask(site, "/")[0].headers["Location"] == "/activity"


def test_scripts_get_a_status_instead_of_a_login_page(site: PagesSite) -> None:
    assert ask(site, "/activity/pulse")[0].status == 401


def test_bearer_must_be_a_management_key(site: PagesSite) -> None:
    wrong, _ = ask(site, "/activity", {"Authorization": "Bearer sk-reg-nobody"})
    inference, page = ask(site, "/activity", {"Authorization": f"Bearer {INFERENCE_SECRET}"})

    assert (wrong.status, wrong.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert inference.status == 403
    assert "management key" in page
    assert ask(site, "/activity", BEARER)[0].status == 200


def test_login_gives_a_session_that_leads_on(site: PagesSite) -> None:
    response = log_in(site, MANAGEMENT_SECRET, wanted="/users?period=7d")

    assert (response.status, response.headers["Location"]) == (303, "/users?period=7d")
    cookie = cookies(response)
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/;" in cookie
    assert "Secure" not in cookie
    session = {"Cookie": cookie.split(";")[0]}
    assert ask(site, "/users", session)[0].status == 200


def test_login_never_leads_to_another_site(site: PagesSite) -> None:
    response = log_in(site, MANAGEMENT_SECRET, wanted="//evil.example/")

    assert response.headers["Location"] == "/activity"


def test_login_needs_the_form_token(site: PagesSite) -> None:
    assert log_in(site, MANAGEMENT_SECRET, form="x" * 32).status == 403
    assert ask(site, "/login", {}, {"key": MANAGEMENT_SECRET, "form": ""})[0].status == 403
    oversized = {"key": "k" * 20_000, "form": "t" * 32}
    assert ask(site, "/login", {"Cookie": f"regulars_form={'t' * 32}"}, oversized)[0].status == 403


def test_inference_key_cannot_sign_in(site: PagesSite) -> None:
    response = log_in(site, INFERENCE_SECRET)

    assert response.status == 403
    assert "regulars_session" not in cookies(response)


def test_link_signs_in_and_an_old_one_says_so(site: PagesSite) -> None:
    hash_ = sample_keys()[0].hash
    good = sign(site.deps.secret, LINK, hash_, int(time()) + 60)
    old = sign(site.deps.secret, LINK, hash_, int(time()) - 1)

    assert ask(site, f"/login?token={good}")[0].headers["Location"] == "/activity"
    response, page = ask(site, f"/login?token={old}")
    assert response.status == 401
    assert "24 hours" in page


def test_link_is_no_session(site: PagesSite) -> None:
    link = sign(site.deps.secret, LINK, sample_keys()[0].hash, int(time()) + 60)

    assert ask(site, "/activity", {"Cookie": f"regulars_session={link}"})[0].status == 303
    assert ask(site, "/activity", session_of(site, life_s=-1))[0].status == 303


def test_guessing_keys_is_slowed_down(tmp_path: Path) -> None:
    with running_pages(tmp_path, []) as fresh:
        for _ in range(FAILURES_MAX):
            assert log_in(fresh, "sk-reg-guess").status == 401

        refused = log_in(fresh, MANAGEMENT_SECRET)

    assert refused.status == 429
    assert int(refused.headers["Retry-After"]) > 0


def test_disabled_key_is_out_at_once(tmp_path: Path) -> None:
    with running_pages(tmp_path, []) as fresh:
        session = session_of(fresh)
        assert ask(fresh, "/activity", session)[0].status == 200

        fresh.store.disable_key(sample_keys()[0].hash)

        assert ask(fresh, "/activity", session)[0].status == 303
        assert ask(fresh, "/activity", BEARER)[0].status == 401


def test_logout_needs_the_sessions_own_token(site: PagesSite) -> None:
    session = session_of(site)
    page = ask(site, "/activity", session)[1]
    token = page.split('name="form" value="')[1].split('"')[0]

    assert ask(site, "/logout", session, {"form": "0" * 64})[0].status == 403
    response, _ = ask(site, "/logout", session, {"form": token})

    assert response.headers["Location"] == "/login"
    assert 'regulars_session=""' in cookies(response)


def test_every_answer_has_the_security_headers(site: PagesSite) -> None:
    for path in ("/login", "/activity", "/generations/nope", "/activity/pulse", "/users"):
        headers = ask(site, path, BEARER)[0].headers
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
