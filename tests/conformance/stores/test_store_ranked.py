"""Rankings by figures that only rows know: exact as far as rows may be read, else said to be partial."""

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import pytest

from conformance.stores.ledgers import generation
from conformance.stores.slow_reports import answer
from regulars.exports.aggregated import report_pages
from regulars.exports.export import FORMATS, ExportQuery, export_pieces
from regulars.model.generation import Generation
from regulars.reports.schema import Condition, Order, ReportQuery
from regulars.stores.base import Filter, StoreTimeoutError
from regulars.stores.sqlite import SqliteStore
from regulars.stores.sqlite.ranked import RankBounds
from regulars.stores.sqlite.readers import Readers
from regulars.stores.sqlite.run import run_query

FEW = RankBounds(exact=10, ranked=60, own_exact=10, own_ranked=60)
ALL = Filter("default")
QUERY = ReportQuery(
    account="default",
    metrics=("requests", "cost", "duration_p90", "sessions"),
    dimensions=("user",),
    order=(Order("duration_p90"),),
)


def rows() -> list[Generation]:
    """User u1 makes one request, u2 two, … u15 fifteen; nobody makes the most."""
    users = [f"u{n}" for n in range(16) for _ in range(n)] + [None] * 20
    return [
        generation(
            number,
            end_user=user,
            duration_ms=float(number * 37 % 101),
            session=f"s{number % 3}",
        )
        for number, user in enumerate(users)
    ]


@pytest.fixture
def readers(store: SqliteStore) -> Generator[Readers]:
    store.append(rows()[::2])
    store.fold()
    store.append(rows()[1::2])
    with closing(Readers(store.path)) as opened:
        yield opened


@pytest.mark.parametrize("figure", ["duration_p90", "sessions", "tokens_per_second"])
def test_of_too_many_rows_those_of_the_busiest_are_ranked_and_the_answer_says_so(
    readers: Readers, figure: str
) -> None:
    query = replace(QUERY, metrics=(*QUERY.metrics[:2], figure), order=(Order(figure),))

    found = run_query(readers, query, FEW)

    truth = answer(rows(), query)
    # 15, 14, 13 and 12 fit into 60, and 11 do not; nobody's 20 are no user's.
    busiest = [(f"u{n}",) for n in range(12, 16)]
    assert {(row[0],): [*row[1:]] for row in found.rows} == {
        key: pytest.approx(truth[key]) for key in busiest
    }
    assert found.partial
    assert found.cut is not None
    assert "only 4 of the users with most requests are ranked: there are 140 requests" in found.cut
    assert "name nobody are left out" in found.cut


def test_rows_that_may_be_read_are_ranked_exactly(readers: Readers) -> None:
    found = run_query(readers, QUERY)

    assert {(row[0],): [*row[1:]] for row in found.rows} == answer(rows(), QUERY)
    assert (found.cut, found.partial) == (None, False)


def test_sums_are_exact_however_few_rows_may_be_read(readers: Readers) -> None:
    query = replace(QUERY, order=(Order("cost"),), where=(Condition("user", "neq", (None,)),))

    found = run_query(readers, query, RankBounds(exact=0, ranked=1))

    assert {(row[0],): [*row[1:]] for row in found.rows} == answer(rows(), query)
    assert not found.partial


def test_pages_of_a_partial_ranking_end_and_each_says_so(readers: Readers) -> None:
    first = run_query(readers, replace(QUERY, limit=2), FEW)
    second = run_query(readers, replace(QUERY, limit=2, cursor=first.next), FEW)

    assert len({row[0] for row in (*first.rows, *second.rows)}) == 4
    assert first.partial
    assert second.partial
    assert second.next is None


def test_no_file_is_made_of_a_partial_ranking(readers: Readers) -> None:
    class Asked:
        """A store with small bounds."""

        def run(self, query: ReportQuery):  # noqa: ANN202 - a ReportResult
            return run_query(readers, query, FEW)

    with pytest.raises(StoreTimeoutError, match="the report is not whole"):
        next(report_pages(Asked(), QUERY))  # pyright: ignore[reportArgumentType]


def test_a_file_of_the_first_of_a_partial_ranking_says_so(readers: Readers) -> None:
    class Asked:
        """A store with small bounds."""

        def run(self, query: ReportQuery):  # noqa: ANN202 - a ReportResult
            return run_query(readers, query, FEW)

    query = replace(QUERY, limit=10)
    asked = {
        format_: ExportQuery(format=format_, where=ALL, now_us=0, report=query)
        for format_ in FORMATS[:2]
    }

    made = {
        format_: b"".join(export_pieces(Asked(), one)).decode()  # pyright: ignore[reportArgumentType]
        for format_, one in asked.items()
    }

    remark = "only 4 of the users with most requests are ranked"
    assert f"complete; rows=4; {remark}" in made["csv"]
    assert json.loads(made["jsonl"].splitlines()[-1])["regulars_export"]["remarks"][0].startswith(
        remark
    )
