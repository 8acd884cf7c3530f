"""The pages over a real store and real sockets, without a browser."""

import json
import re
from collections.abc import Generator
from csv import DictReader
from dataclasses import replace as with_other
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from threading import Event
from time import time
from urllib.parse import urlsplit

import duckdb
import pytest
from msgspec.structs import replace

from fakes.pages_caller import BEARER, ask, log_in, session_of
from fakes.pages_site import PagesSite, running_pages, served
from fakes.sample_ledger import (
    HOSTILE_IDS,
    MANAGEMENT_SECRET,
    hostile_rows,
    sample_rows,
)
from regulars.model.generation import Attempt, CostSource, Generation, Outcome
from regulars.reports.schema import ReportQuery, ReportResult
from regulars.stores.base import Filter, StoreTimeoutError
from regulars.web.names import user_path
from regulars.web.numbers import usd
from regulars.web.price_lines import price_lines

NOW_S = time()
ROWS = [*sample_rows(NOW_S, count=600), *hostile_rows(NOW_S)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[PagesSite]:
    with running_pages(tmp_path_factory.mktemp("site"), ROWS) as running:
        yield running


def test_static_files_are_cached_for_a_year_under_their_digest(site: PagesSite) -> None:
    page = ask(site, "/login")[1]
    path = page.split('rel="stylesheet" href="')[1].split('"')[0]

    plain, text = ask(site, path)
    packed, same_text = ask(site, path, {"Accept-Encoding": "gzip"})

    assert "immutable" in plain.headers["Cache-Control"]
    assert packed.headers["Content-Encoding"] == "gzip"
    assert text == same_text
    assert ask(site, "/static/0000000000000000/site.css")[0].status == 404


@pytest.mark.parametrize(
    "query",
    ["", "?period=1h&group=key", "?period=7d&group=model&metric=tokens", "?period=90d&group=provider",
     "?period=1y&metric=requests", "?from=2026-01-01&to=2026-12-31", "?from=x&to=y",
     "?user=ada.lovelace&model=a%22%3E&provider=%3Cb%3E&key=zz", "?before=nope"],
)  # fmt: skip
def test_activity_answers_every_view_small(site: PagesSite, query: str) -> None:
    response, page = ask(site, f"/activity{query}", BEARER | {"Accept-Encoding": "gzip"})

    assert response.status == 200
    assert response.headers["Content-Encoding"] == "gzip"
    assert "<style" not in page
    assert ' style="' not in page


def test_totals_are_the_ledgers(site: PagesSite) -> None:
    page = ask(site, "/activity?period=90d&metric=requests", BEARER)[1]

    spent = sum(row.cost.total for row in ROWS if row.cost)
    assert f">{len(ROWS)}</span>" in page
    assert f'title="${spent // 10**9}.{spent % 10**9:09d}'.rstrip("0") in page


def test_generations_go_on_where_the_page_ended(site: PagesSite) -> None:
    first = ask(site, "/activity?period=90d", BEARER)[1]
    older = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")

    second = ask(site, older.split("#")[0], BEARER)[1]

    assert _ids(first)
    assert not _ids(first) & _ids(second)


@pytest.mark.parametrize("user", HOSTILE_IDS)
def test_hostile_ids_are_text_and_their_pages_open(site: PagesSite, user: str) -> None:
    response, page = ask(site, user_path(user), BEARER)

    assert response.status == 200
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "\u202e" not in page.split("<title>")[1].split("</title>")[0]
    assert "Newest generations" in page


def test_user_is_found_by_id_and_missing_ones_are_404(site: PagesSite) -> None:
    assert ask(site, "/users?id=a%2Fb", BEARER)[0].headers["Location"] == "/users/a%2Fb"
    assert ask(site, "/users/nobody-here", BEARER)[0].status == 404
    assert ask(site, f"/users/{'x' * 513}", BEARER)[0].status == 404
    assert ask(site, "/users/", BEARER)[0].headers["Location"] == "/users"


def test_each_outcome_has_its_story(site: PagesSite) -> None:
    stories = {row.outcome: row for row in ROWS} | {
        None: next(r for r in ROWS if len(r.attempts) > 1)
    }

    for row in stories.values():
        response, page = ask(site, f"/generations/{row.id}", BEARER)
        assert response.status == 200
        assert row.id in page
        assert f'class="outcome {row.outcome.value}"' in page


def test_price_lines_add_up_and_unknown_prices_are_dashes(tmp_path: Path) -> None:
    priced = next(row for row in ROWS if row.cost)
    unpriced = replace(priced, id="gen-unpriced", cost=None, attempts=())
    bare = Generation(
        id="gen-bare", created_at_us=priced.created_at_us, account="default",
        key_hash="gone", outcome=Outcome.REFUSED, status=400, model="x", streamed=False,
    )  # fmt: skip
    foreign = replace(priced, id="gen-foreign", account="other")

    with running_pages(tmp_path, [priced, unpriced, bare, foreign]) as fresh:
        page = ask(fresh, f"/generations/{priced.id}", BEARER)[1]
        unknown = ask(fresh, "/generations/gen-unpriced", BEARER)[1]
        nothing = ask(fresh, "/generations/gen-bare", BEARER)[1]
        other = ask(fresh, "/generations/gen-foreign", BEARER)[0]

    assert priced.cost is not None
    for part in (priced.cost.prompt, priced.cost.completion, priced.cost.total):
        assert f"$0.{part:09d}" in page
    assert "no known price" in unknown
    assert "No provider was asked." in nothing
    assert "Unknown: no tokens were reported." in nothing
    assert other.status == 404


def test_empty_ledger_shows_first_steps_at_the_viewers_address(tmp_path: Path) -> None:
    with running_pages(tmp_path, []) as fresh:
        page = ask(fresh, "/activity", BEARER | {"Host": "gw.example:9000"})[1]
        hostile = ask(fresh, "/activity", BEARER | {"Host": "evil'$(id)"})[1]
        silent = ask(fresh, "/activity/pulse", BEARER)[1]
        fresh.store.append(ROWS[:1])
        heard = ask(fresh, "/activity/pulse", BEARER)[1]

    assert "http://gw.example:9000/api/v1/chat/completions" in page
    assert "http://127.0.0.1:8787/api/v1/chat/completions" in hostile
    assert silent == '{"mark":null}'
    assert ROWS[0].id in heard


def test_store_that_cannot_be_read_is_a_page_too(tmp_path: Path) -> None:
    with running_pages(tmp_path, ROWS[:3]) as fresh:
        fresh.store.close()
        (tmp_path / "pages.db").unlink()
        (tmp_path / "pages.db").mkdir()

        page, _ = ask(fresh, "/activity", BEARER)
        pulse, _ = ask(fresh, "/activity/pulse", BEARER)
        login = log_in(fresh, MANAGEMENT_SECRET)

    assert {page.status, pulse.status, login.status} == {503}


def _ids(page: str) -> set[str]:
    return {piece.split('"')[0] for piece in page.split('href="/generations/')[1:]}


def test_a_young_ledger_shows_its_hour_unless_asked_otherwise(tmp_path: Path) -> None:
    rows = [
        replace(row, id=f"gen-{number}", created_at_us=int((NOW_S - 60) * 1_000_000) + number)
        for number, row in enumerate(sample_rows(NOW_S, count=3))
    ]
    with running_pages(tmp_path, rows) as young:
        plain = ask(young, "/activity", BEARER)[1]
        day = ask(young, "/activity?period=24h", BEARER)[1]

    assert 'aria-current="true">1 h<' in plain
    assert 'aria-current="true">24 h<' in day


def test_providers_are_offered_by_the_name_the_ledger_keeps(site: PagesSite) -> None:
    names = {endpoint.provider.name for endpoint in site.deps.catalog.endpoints}

    page = ask(site, "/activity", BEARER)[1]

    assert all(f">{name}<" in page for name in names)


def test_the_routing_page_shows_how_endpoints_stand_and_what_caches_saved(site: PagesSite) -> None:
    response, html = ask(site, "/routing?period=30d", BEARER)
    refused, _ = ask(site, "/routing")

    endpoints = site.deps.catalog.endpoints
    assert response.status == 200
    assert all(endpoint.id in html for endpoint in endpoints)
    assert "failed repeatedly; tried again in" in html
    assert "250\u202fms" in html or "250\u2009ms" in html
    assert "than the same tokens without a cache" in html
    assert (refused.status, refused.headers["Location"].split("?")[0]) == (303, "/login")


def test_a_running_total_ends_at_the_sum_and_keeps_the_legend(site: PagesSite) -> None:
    _, each = ask(site, "/activity?period=90d&metric=requests&group=model", BEARER)
    _, running = ask(site, "/activity?period=90d&metric=requests&group=model&bars=running", BEARER)

    def legend(page: str) -> set[str]:
        return set(re.findall(r"</bdi><b>([^<]+)</b><small>([^<]+)", page))

    def last_total(page: str) -> str:
        table = page[
            page.index("data-figures") : page.index("</table>", page.index("data-figures"))
        ]
        return re.findall(r'<td class="n">([^<]*)</td></tr>', table)[-1]

    sums = site.store.totals(Filter("default"))
    assert legend(running) == legend(each) != set()
    assert last_total(running) == str(sums.requests)
    assert "Requests by model, running total" in running


def test_the_routing_page_draws_what_the_holdout_tells(site: PagesSite) -> None:
    _, html = ask(site, "/routing?period=90d", BEARER)
    _, nothing = ask(site, "/routing?from=2021-01-01&to=2021-01-02", BEARER)

    found, _ = site.deps.worth(Filter("default"))
    gain = found.cached_share_gain
    assert gain is not None
    assert found.holdout.users >= 5
    assert f"{gain.value * 100:+.1f} points" in html
    assert html.count('class="whisker"') == 2
    assert "holdout_share = 0.05" in nothing


def test_a_page_is_on_the_wire_before_its_heavier_questions_are_asked(site: PagesSite) -> None:
    asked, may_answer = Event(), Event()

    class Slow:
        def __getattr__(self, name: str) -> object:
            return getattr(site.store, name)

        def run(self, query: ReportQuery) -> ReportResult:
            if query.dimensions:
                asked.set()
                assert may_answer.wait(10)
            return site.store.run(query)

    slow = with_other(site.deps, reports=Slow())
    with served(slow) as url:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request("GET", "/activity?period=30d", None, BEARER)
        response = connection.getresponse()
        first = response.read1().decode()
        assert asked.wait(10)
        may_answer.set()
        rest = response.read().decode()
        connection.close()

    assert 'id="card-spend"' in first
    assert "chart-title" not in first
    assert "chart-title" in rest
    assert rest.rstrip().endswith("</html>")


def test_a_store_that_fails_midway_says_so_where_the_rest_would_stand(site: PagesSite) -> None:
    class Late:
        def __getattr__(self, name: str) -> object:
            return getattr(site.store, name)

        def run(self, query: ReportQuery) -> ReportResult:
            if query.dimensions:
                raise StoreTimeoutError("the report took too long <b>")
            return site.store.run(query)

    with served(with_other(site.deps, reports=Late())) as url:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request("GET", "/activity?period=30d", None, BEARER)
        page = connection.getresponse().read().decode()
        connection.close()

    assert 'role="alert">The rest is missing. the report took too long &lt;b&gt;' in page


def test_the_list_of_users_shows_what_caches_saved_each(site: PagesSite) -> None:
    _, html = ask(site, "/users?period=1y", BEARER)

    rows = site.store.users(Filter("default"), limit=1)
    assert "Saved by cache" in html
    assert usd(rows[0].sums.cache_saving_nanousd) in html


def test_the_identifiers_page_shows_findings_with_masked_examples(site: PagesSite) -> None:
    response, html = ask(site, "/identifiers?period=30d", BEARER)
    refused, _ = ask(site, "/identifiers")

    assert response.status == 200
    assert "no-user" in html
    assert "stable_user_id" in html
    assert refused.status != 200


def links(page: str, start: str) -> list[str]:
    return [piece.split('"')[0].replace("&amp;", "&") for piece in page.split(f'href="{start}')[1:]]


def test_exports_hold_exactly_what_the_page_shows(site: PagesSite) -> None:
    page = ask(site, "/activity?period=90d&model=qwen%2Fqwen3-235b&group=provider", BEARER)[1]
    rest = next(each for each in links(page, "/activity/export") if "format=jsonl" in each)
    figures = next(each for each in links(page, "/activity/export") if "rows=chart" in each)

    response, text = ask(site, f"/activity/export{rest}", session_of(site))
    _, chart = ask(site, f"/activity/export{figures}", session_of(site))

    ours = {row.id for row in ROWS if row.model == "qwen/qwen3-235b"}
    found = [json.loads(line) for line in text.splitlines()]
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert {row["generation_id"] for row in found if "generation_id" in row} == ours
    assert chart.splitlines()[0].startswith("time,provider,requests")


def test_every_format_the_page_offers_holds_the_same_requests(
    site: PagesSite, tmp_path: Path
) -> None:
    page = ask(site, "/activity?period=90d&user=ada.lovelace", BEARER)[1]
    files: dict[str, bytes] = {}
    for rest in links(page, "/activity/export"):
        if "rows=chart" in rest:
            continue
        connection = HTTPConnection(urlsplit(site.url).netloc, timeout=20)
        connection.request("GET", f"/activity/export{rest}", None, session_of(site))
        files[rest.rpartition("format=")[2]] = connection.getresponse().read()
        connection.close()

    ours = {row.id for row in ROWS if row.end_user == "ada.lovelace"}
    parquet = tmp_path / "rows.parquet"
    parquet.write_bytes(files["parquet"])
    query = "SELECT generation_id FROM read_parquet(?)"
    kept = duckdb.connect().execute(query, [str(parquet)]).fetchall()
    csv = list(DictReader(files["csv"].decode().splitlines()))
    assert sorted(files) == ["csv", "jsonl", "parquet", "pdf"]
    assert {one for (one,) in kept} == {row["generation_id"] for row in csv} == ours
    assert files["pdf"].startswith(b"%PDF")


def test_exports_need_a_session_and_a_known_format(site: PagesSite) -> None:
    away, _ = ask(site, "/activity/export?format=csv")
    unknown, page = ask(site, "/activity/export?format=exe", session_of(site))

    assert (away.status, away.headers["Location"][:12]) == (303, "/login?next=")
    assert unknown.status == 400
    assert "jsonl" in page


def test_a_zones_day_is_the_one_the_page_counts(tmp_path: Path) -> None:
    # 23:30 UTC is the next day in Berlin already.
    at_us = int(datetime(2026, 3, 10, 23, 30, tzinfo=UTC).timestamp() * 1_000_000)
    row = replace(ROWS[0], created_at_us=at_us, end_user="night")
    day = "from=2026-03-11&to=2026-03-11&metric=requests"
    with running_pages(tmp_path, [row]) as fresh:
        berlin = ask(fresh, f"/activity?{day}&tz=Europe/Berlin", BEARER)[1]
        utc = ask(fresh, f"/activity?{day}", BEARER)[1]

    assert "/users/night" in berlin
    assert "/users/night" not in utc


def test_users_are_searched_sorted_and_paged_by_key(tmp_path: Path) -> None:
    rows = [
        replace(ROWS[number], end_user=f"person-{number:03}", outcome=Outcome.COMPLETED)
        for number in range(120)
    ]
    with running_pages(tmp_path, rows) as fresh:
        seen: list[str] = []
        path = "/users?period=90d&q=PERSON&sort=requests&order=asc"
        for _ in range(3):
            page = ask(fresh, path, BEARER)[1]
            seen += [each.split("?")[0] for each in links(page, "/users/")]
            later = [each for each in links(page, "/users?") if "cursor=" in each]
            path = f"/users?{later[-1]}" if later else ""
        one = ask(fresh, "/users?period=90d&q=son-007", BEARER)[1]
        wrong, _ = ask(fresh, "/users?period=90d&cursor=nonsense", BEARER)

    assert sorted(seen) == sorted(f"person-{number:03}" for number in range(120))
    assert links(one, "/users/") == ["person-007"]
    assert path == ""
    assert wrong.status == 400


def test_who_is_new_who_grew_and_who_stopped(tmp_path: Path) -> None:
    day_us = 86_400_000_000
    now_us = int(NOW_S * 1_000_000)
    priced = next(row for row in ROWS if row.cost and row.cost.total)

    def visits(user: str, days_ago: float, count: int) -> list[Generation]:
        begin_us = now_us - int(days_ago * day_us)
        return [
            replace(
                priced, id=f"gen-{user}-{begin_us}-{n}", end_user=user, created_at_us=begin_us + n
            )
            for n in range(count)
        ]

    rows = [
        *visits("fresh", 1, 1),
        *visits("grower", 10, 1),
        *visits("grower", 1, 5),
        *visits("calm", 10, 3),
        *visits("calm", 1, 2),
        *visits("gone", 10, 4),
    ]
    with running_pages(tmp_path, rows) as fresh:
        shown = {
            show: links(ask(fresh, f"/users?period=7d&show={show}", BEARER)[1], "/users/")
            for show in ("new", "grew", "stopped")
        }

    assert shown == {"new": ["fresh"], "grew": ["grower", "fresh"], "stopped": ["gone"]}


def test_a_users_page_tells_moves_sessions_and_everybodys_share(tmp_path: Path) -> None:
    base = next(row for row in ROWS if row.outcome is Outcome.COMPLETED and row.usage)
    made = [
        replace(
            base, id=f"gen-move-{number}", created_at_us=int((NOW_S - 600 + number) * 1_000_000),
            end_user="mover", session="talk/1", endpoint=f"{place}/m", provider=place,
            attempts=(Attempt(f"{place}/m", place, reason, 200, None, 0.0, 9.0),),
        )
        for number, (place, reason) in enumerate([("a", "cold"), ("a", "warm-user"), ("b", "valve")])
    ]  # fmt: skip
    with running_pages(tmp_path, made) as fresh:
        page = ask(fresh, "/users/mover", BEARER)[1]
        (session,) = links(page, "/sessions/")
        told = ask(fresh, f"/sessions/{session}", BEARER)[1]
        sought = ask(fresh, "/sessions/talk%2F1", BEARER)[1]
        missing, _ = ask(fresh, "/sessions/other", BEARER)

    for text in (page, told, sought):
        assert text.count('class="moves"') == 1
        assert "The warm endpoint was overloaded, so this request moved on." in text
    assert "everybody " in page
    assert _ids(told) == _ids(sought) == {row.id for row in made}
    assert missing.status == 404


def test_models_show_price_cache_life_and_use(site: PagesSite) -> None:
    page = ask(site, "/models?period=90d", BEARER)[1]
    searched = ask(site, "/models?q=JUNIPER", BEARER)[1]

    assert all(model in page for model in site.deps.catalog.models)
    assert "$0.60" in page
    assert "learned" in page
    assert "mistral/mistral-small" in searched
    assert "qwen/qwen3-235b</bdi>" not in searched


def test_routing_explains_a_request_without_sending_it(site: PagesSite) -> None:
    page = ask(site, "/routing?ask=mistral%2Fmistral-small&of=ada", BEARER)[1]
    unknown = ask(site, "/routing?ask=nobody&of=%3Cb%3E", BEARER)[1]

    assert "<strong><bdi>juniper/mistral/mistral-small</bdi></strong>" in page
    assert "at home at northwind" in page
    assert "is not served here" in unknown
    assert '<b>"' not in unknown
    assert "&lt;b&gt;" in unknown


def test_every_price_line_is_tokens_times_price() -> None:
    for row in [each for each in ROWS if each.cost][-40:]:
        lines = price_lines(row)

        assert row.cost is not None
        assert row.usage is not None
        assert sum(line.nanousd for line in lines) == row.cost.total
        assert sum(line.tokens for line in lines) == row.usage.total_tokens


def test_a_cost_that_another_reported_has_no_lines_of_ours() -> None:
    row = next(each for each in ROWS if each.cost)

    assert price_lines(replace(row, cost_source=CostSource.REPORTED)) == ()
    assert price_lines(replace(row, price=None)) == ()


@pytest.mark.parametrize(
    "path",
    [
        "/users?period=90d",
        "/users?period=90d&col=requests&col=prompt&col=completion&col=first",
        "/users/ada.lovelace?period=90d&group=provider",
        "/models?period=1y",
        "/routing?period=1y&ask=qwen/qwen3-235b&of=ada",
        "/login",
    ],
)
def test_every_page_is_small(site: PagesSite, path: str) -> None:
    response, page = ask(site, path, BEARER | {"Accept-Encoding": "gzip"})

    # `ask` holds what was packed to PAGE_BYTES_MAX.
    assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip")
    assert "<style" not in page
    assert ' style="' not in page
