"""The keys' pages: made and shown once, changed, revoked, on record, and only by one's own forms."""

import re
from collections.abc import Generator
from pathlib import Path
from time import time

import pytest

from fakes.pages_caller import ask_signed_in
from fakes.pages_site import PagesSite, running_pages
from fakes.sample_ledger import INFERENCE_SECRET, MANAGEMENT_SECRET, sample_keys, sample_rows
from regulars.model.caller import (
    ApiKey,
    LimitReset,
    PersonalRule,
    Role,
    UserRule,
    UserSource,
    key_hash,
)
from regulars.stores.base import Filter
from regulars.stores.contents import Content

MANAGER, APP = sample_keys()
HOSTILE = '<script>alert(1)</script>"\u202e'


@pytest.fixture
def site(tmp_path: Path) -> Generator[PagesSite]:
    with running_pages(tmp_path, sample_rows(time(), days=3, count=40)) as running:
        yield running


def ask(
    site: PagesSite, path: str, form: dict[str, str] | None = None, *, signed: bool = True
) -> tuple[int, str]:
    """Ask as the manager; `signed` puts the session's form token in."""
    status, content = ask_signed_in(site, MANAGER, path, form, signed=signed)
    return status, content.decode()


def key_named(site: PagesSite, name: str) -> ApiKey:
    (found,) = [key for key in site.store.list_keys() if key.name == name]
    return found


def test_a_key_is_made_and_its_secret_shown_once(site: PagesSite) -> None:
    form = {"name": "shop", "limit": "12.5", "limit_reset": "weekly", "content_percent": "25"}

    status, page = ask(site, "/keys", {**form, "expires": "2999-01-31", "role": "inference"})

    made = key_named(site, "shop")
    (secret,) = set(re.findall(r"sk-reg-[\w-]{40,}", page))
    assert status == 200
    assert key_hash(secret) == made.hash
    assert made.role is Role.INFERENCE
    assert made.terms.limit_nanousd == 12_500_000_000
    assert made.terms.limit_reset is LimitReset.WEEKLY
    assert made.terms.content_share == 0.25
    assert made.terms.expires_at_ms is not None
    assert secret not in ask(site, "/keys")[1]
    assert secret not in ask(site, f"/keys/{made.hash}")[1]


def test_keys_are_shown_with_what_they_spent(site: PagesSite) -> None:
    status, page = ask(site, "/keys")

    assert status == 200
    assert "web app" in page
    assert "first management key" in page
    assert "just now" in page or "ago" in page
    assert MANAGEMENT_SECRET not in page
    assert INFERENCE_SECRET not in page


def test_rules_are_changed_and_the_change_is_on_record(site: PagesSite) -> None:
    path = f"/keys/{APP.hash}"

    status, _ = ask(site, path, {"name": "renamed", "limit": "3", "include_byok_in_limit": "yes"})

    changed = key_named(site, "renamed")
    _, page = ask(site, path)
    assert status == 303
    assert changed.terms.limit_nanousd == 3_000_000_000
    assert changed.terms.include_byok_in_limit
    assert "limit_nanousd" in page
    assert "first management key" in page


def test_a_key_is_revoked_and_let_work_again(site: PagesSite) -> None:
    path = f"/keys/{APP.hash}/switch"

    assert ask(site, path, {"state": "disabled"})[0] == 303
    assert key_named(site, "web app").disabled
    assert "Let it work again" in ask(site, f"/keys/{APP.hash}")[1]
    assert ask(site, path, {"state": "works"})[0] == 303
    assert not key_named(site, "web app").disabled


def test_the_key_one_is_signed_in_with_stays(site: PagesSite) -> None:
    status, page = ask(site, f"/keys/{MANAGER.hash}/switch", {"state": "disabled"})

    assert status == 400
    assert "signed in with this key" in page
    assert not key_named(site, MANAGER.name).disabled


def test_who_names_a_keys_users_is_said_when_it_is_made(site: PagesSite) -> None:
    form = {"name": "kiosk", "user_policy": "fixed", "external_user": "kiosk 7", "user_prefix": "x"}
    more = {"personal_ids": "refuse", "new_users_per_hour": "50"}

    status, _ = ask(site, "/keys", {**form, **more, "user_sources": "x-regulars-user, user"})

    users = key_named(site, "kiosk").users
    page = ask(site, f"/keys/{key_named(site, 'kiosk').hash}")[1]
    assert status == 200
    assert (users.rule, users.user, users.prefix) == (UserRule.FIXED, "kiosk 7", None)
    assert users.sources == (UserSource.HEADER, UserSource.USER)
    assert (users.personal, users.new_users_per_hour_max) == (PersonalRule.REFUSE, 50)
    assert 'value="kiosk 7"' in page
    assert 'value="x-regulars-user, user"' in page


def test_who_names_a_keys_users_is_changed_and_on_record(site: PagesSite) -> None:
    path = f"/keys/{APP.hash}"
    form = {"name": "web app", "user_policy": "prefix", "user_prefix": "shop:"}

    first = ask(site, path, form)[0]
    again = ask(site, path, {**form, "user_policy": "client"})[0]

    fixed, client = site.store.key_changes(2, key_hash=APP.hash)[::-1]
    assert (first, again) == (303, 303)
    assert fixed.details == {"user_policy": ["client", "prefix"], "user_prefix": [None, "shop:"]}
    assert client.details == {"user_policy": ["prefix", "client"], "user_prefix": ["shop:", None]}
    assert client.actor == MANAGER.hash
    assert "user_policy" in ask(site, path)[1]


def test_what_the_command_line_did_to_a_user_is_on_the_page(site: PagesSite) -> None:
    site.store.note_use(None, "user_erased", {"subject": (None, "4711" * 8)})

    status, page = ask(site, "/keys")

    assert status == 200
    assert "user erased" in page
    assert "command line" in page
    assert "4711" * 8 in page


def test_a_signing_secret_is_shown_once_and_given_anew_when_asked(site: PagesSite) -> None:
    path = f"/keys/{APP.hash}"
    form = {"name": "web app", "user_policy": "signed"}

    became = ask(site, path, form)
    stayed = ask(site, path, form)
    renewed = ask(site, path, {**form, "new_signing_secret": "yes"})
    made = ask(site, "/keys", {**form, "name": "app"})

    shown = [re.findall(r"<code>([\w-]{32,})</code>", page) for _, page in (became, renewed)]
    later = ask(site, path)[1]
    assert (became[0], stayed[0], renewed[0], made[0]) == (200, 303, 200, 200)
    assert "signing secret" in became[1]
    assert "signing secret" in made[1]
    assert shown[0][0] != shown[1][0]
    assert not any(secret in later for secret in (shown[0][0], shown[1][0]))


def test_what_is_named_in_a_policy_is_text(site: PagesSite) -> None:
    hostile = HOSTILE.replace("\u202e", "")
    path = f"/keys/{APP.hash}"

    pages = []
    for form in (
        {"user_policy": "prefix", "user_prefix": hostile},
        {"user_policy": "fixed", "external_user": hostile},
        {"user_policy": hostile},
        {"user_policy": "client", "user_sources": hostile},
    ):
        pages += [ask(site, path, {"name": "web app", **form})[1], ask(site, path)[1]]

    assert all("<script>alert" not in page for page in pages)
    assert key_named(site, "web app").users.user == hostile
    (change,) = site.store.key_changes(1)
    assert change.details["external_user"] == [None, "(not shown)"]


@pytest.mark.parametrize("path", ["/keys", f"/keys/{APP.hash}", f"/keys/{APP.hash}/switch"])
def test_a_form_of_another_site_changes_nothing(site: PagesSite, path: str) -> None:
    before = site.store.list_keys()

    statuses = [
        ask(site, path, {"name": "evil", "state": "disabled", **token}, signed=False)[0]
        for token in ({}, {"form": ""}, {"form": "0" * 64})
    ]

    assert statuses == [403, 403, 403]
    assert site.store.list_keys() == before


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": ""}, "name"),
        ({"name": "shop", "limit": "much"}, "limit"),
        ({"name": "shop", "limit": "-1"}, "limit"),
        ({"name": "shop", "limit": "NaN"}, "limit"),
        ({"name": "shop", "limit_reset": "hourly"}, "limit_reset"),
        ({"name": "shop", "expires": "2001-01-01"}, "past"),
        ({"name": "shop", "content_percent": "101"}, "content_share"),
        ({"name": "shop", "content_percent": "Infinity"}, "content_share"),
        ({"name": "shop", "content_percent": "NaN"}, "content_share"),
        ({"name": "shop", "user_policy": "anybody"}, "user_policy"),
        ({"name": "shop", "user_policy": "fixed"}, "external_user: is missing"),
        ({"name": "shop", "user_policy": "fixed", "external_user": "a\x00"}, "external_user"),
        ({"name": "shop", "user_policy": "prefix"}, "user_prefix: is missing"),
        ({"name": "shop", "user_policy": "client", "user_sources": "cookie"}, "user_sources"),
        ({"name": "shop", "user_policy": "client", "user_sources": "user,user"}, "user_sources"),
        ({"name": "shop", "user_policy": "client", "personal_ids": "hide"}, "personal_ids"),
        ({"name": "s", "user_policy": "client", "new_users_per_hour": "-1"}, "new_users_per_hour"),
        ({"name": "s", "user_policy": "client", "new_users_per_hour": "0"}, "new_users_per_hour"),
        ({"name": "s", "user_policy": "client", "new_users_per_hour": "9" * 99}, "new_users_per"),
    ],
)
def test_what_makes_no_sense_is_told(site: PagesSite, form: dict[str, str], words: str) -> None:
    status, page = ask(site, "/keys", form)

    assert status == 400
    assert words in page
    assert len(site.store.list_keys()) == 2


def test_strangers_names_are_text(site: PagesSite) -> None:
    name = HOSTILE.replace("\u202e", "")
    ask(site, "/keys", {"name": name})

    pages = [ask(site, "/keys")[1], ask(site, f"/keys/{key_named(site, name).hash}")[1]]

    assert all("<script>alert" not in page for page in pages)


def test_an_unknown_key_is_not_there(site: PagesSite) -> None:
    assert ask(site, "/keys/none")[0] == 404
    assert ask(site, "/keys/none", {"name": "x"})[0] == 404
    assert ask(site, "/keys/none/switch", {"state": "works"})[0] == 404


def test_what_was_said_stands_on_the_generations_page(site: PagesSite) -> None:
    (row, *_), _ = site.store.generations(Filter("default"), limit=1, before=None)
    said = Content(row.id, row.created_at_us, "default", "u", HOSTILE, False, "Hello!", None, False)
    site.store.keep_contents([said])

    _, page = ask(site, f"/generations/{row.id}")

    assert "What was said" in page
    assert "Hello!" in page
    assert "<script>alert" not in page
