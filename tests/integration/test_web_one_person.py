"""One user's page: his rights as forms of one's own session, on record; limits and id notes beside."""

import io
import json
import re
import zipfile
from collections.abc import Generator
from dataclasses import replace as with_terms
from html import unescape
from pathlib import Path
from time import time

import pytest
from msgspec.structs import replace

from fakes.pages_caller import ask_signed_in
from fakes.pages_site import PagesSite, running_pages
from fakes.sample_ledger import sample_keys, sample_rows
from regulars.ledger.erase import verify_receipt
from regulars.model.caller import KeyTerms, LimitReset
from regulars.stores.base import Filter

MANAGER, APP = sample_keys()
USER = "ada.lovelace"
OPAQUE = "u_4f9a1c77e2b04d55"
FORMS = ("/erase-user", "/export-user", "/merge-users")
ALL = {"user": USER, "sure": "yes", "other": "grace@example.com"}


@pytest.fixture
def site(tmp_path: Path) -> Generator[PagesSite]:
    rows = sample_rows(time(), days=3, count=120)
    other = replace(rows[-1], id=f"{rows[-1].id}x", end_user="grace@example.com")
    opaque = replace(rows[-2], id=f"{rows[-2].id}x", end_user=OPAQUE)
    with running_pages(tmp_path, [*rows, other, opaque]) as running:
        yield running


def ask(
    site: PagesSite, path: str, form: dict[str, str] | None = None, *, signed: bool = True
) -> tuple[int, bytes]:
    """Ask as the manager; `signed` puts the session's form token in."""
    status, content = ask_signed_in(site, MANAGER, path, form, signed=signed)
    return status, content


def rows_of(site: PagesSite, user: str) -> int:
    return len(site.store.generations(Filter("default", user=user), limit=1000, before=None)[0])


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_another_site_does_nothing_to_a_user(site: PagesSite, path: str) -> None:
    before = rows_of(site, USER)

    status, _ = ask(site, path, ALL, signed=False)

    assert status == 403
    assert rows_of(site, USER) == before > 0
    assert site.store.key_changes(1)[0].action == "created"


def test_a_user_is_erased_with_a_signed_receipt_and_on_record(site: PagesSite) -> None:
    rows = rows_of(site, USER)

    status, page = ask(site, "/erase-user", ALL)

    found = re.search(r"<code>(\{.*?\})</code>", unescape(page.decode()), re.DOTALL)
    assert found is not None
    receipt = json.loads(found[1])
    assert (status, receipt["generations"]) == (200, rows)
    assert verify_receipt(site.store, receipt)
    assert rows_of(site, USER) == 0
    assert USER not in page.decode()
    assert ask(site, f"/users/{USER}")[0] == 404
    (change,) = site.store.key_changes(1)
    assert (change.action, change.actor) == ("user_erased", MANAGER.hash)
    assert change.details == {"subject": [None, receipt["subject"]]}
    assert b"user erased" in ask(site, "/keys")[1]


def test_nothing_is_erased_unless_one_is_sure(site: PagesSite) -> None:
    status, page = ask(site, "/erase-user", {"user": USER})

    assert status == 400
    assert b"not ticked" in page
    assert rows_of(site, USER) > 0


def test_everything_about_a_user_is_handed_out_and_on_record(site: PagesSite) -> None:
    status, content = ask(site, "/export-user", {"user": USER})

    assert status == 200
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        lines = archive.read("generations.jsonl").splitlines()
        sums = json.loads(archive.read("sums.json"))
    assert {json.loads(line)["external_user"] for line in lines} == {USER}
    assert len(lines) == sums["requests"] == rows_of(site, USER)
    (change,) = site.store.key_changes(1)
    assert change.action == "user_exported"
    assert USER not in str(change.details)


def test_two_ids_become_one_user_and_once_only(site: PagesSite) -> None:
    before = rows_of(site, USER)

    first, _ = ask(site, "/merge-users", ALL)
    again, page = ask(site, "/merge-users", ALL)

    assert (first, again) == (303, 400)
    assert b"one user already" in page
    assert rows_of(site, USER) == before + 1
    assert [change.action for change in site.store.key_changes(2)] == ["users_merged", "created"]


def test_an_id_no_request_could_name_is_refused(site: PagesSite) -> None:
    statuses = [ask(site, path, {**ALL, "user": "a\x00b"})[0] for path in FORMS]

    assert statuses == [400, 400, 400]


def test_the_page_shows_the_limits_that_bound_a_user(site: PagesSite) -> None:
    rows = site.store.generations(Filter("default", user=USER), limit=1, before=None)[0]
    terms = KeyTerms(limit_nanousd=25_000_000_000, limit_reset=LimitReset.MONTHLY)
    key_hash = rows[0].key_hash
    assert key_hash is not None

    site.store.change_key(key_hash, lambda key: with_terms(key, terms=terms))
    page = ask(site, f"/users/{USER}?period=30d")[1].decode()

    assert "API keys and their limits" in page
    assert "$25.00" in page
    assert "monthly" in page


def test_the_page_says_what_is_wrong_with_an_id_and_how_to_fix_it(site: PagesSite) -> None:
    page = unescape(ask(site, "/users/grace%40example.com")[1].decode())

    assert "personal data: <strong>email" in page
    assert "stable_user_id" in page
    opaque = ask(site, f"/users/{OPAQUE}")[1].decode()
    assert "Nothing to say against it" in opaque
