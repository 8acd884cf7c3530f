"""What a PDF shows: the breakdown that was asked for, its figures those of the rows, adding up."""

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from conformance.stores.ledgers import NOON_US, generation
from regulars.config.settings import ReportSettings
from regulars.delivery.deliver import check_report, report_query
from regulars.exports.export import export_pieces
from regulars.exports.pdf_file import pdf_document
from regulars.exports.summary import GROUPS_MAX
from regulars.model.generation import Generation
from regulars.reports.schema import ReportError
from regulars.stores.sqlite import SqliteStore, open_store

DUE = datetime.fromtimestamp(NOON_US / 1_000_000, UTC)
USUAL_HEADER = ["Requests", "Failed", "Prompt", "Cached", "Completion", "Cost (USD)"]


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return open_store(f"sqlite:///{tmp_path}/ledger.db")


def monthly(**fields: object) -> ReportSettings:
    plain = {"name": "bill", "cron": "0 6 1 * *", "period": "day", "format": "pdf"}
    return ReportSettings(**(plain | {"folder": Path("out")} | fields))  # pyright: ignore[reportArgumentType]


def yesterdays(count: int) -> list[Generation]:
    begin_us = NOON_US - 36 * 3_600_000_000
    return [
        generation(
            n,
            created_at_us=begin_us + n * 1_000_000,
            end_user=f"team-{n % 3}",
            app=("Shop", None)[n % 2],
            key_hash=f"key-{n % 2}",
            duration_ms=float(n),
        )
        for n in range(count)
    ]


def shown(store: SqliteStore, report: ReportSettings) -> dict[str, dict[str, list[str]]]:
    """Each table's rows by its title and their name; the header is there by ''."""
    document = pdf_document(store, report_query(report, "default", DUE))
    return {
        table["title"]: {
            "": table["header"],
            **{row[0].replace("\N{ZERO WIDTH SPACE}", ""): row[1:] for row in table["rows"]},
            "Total": table["total"][1:],
        }
        for table in document["tables"]
    }


def test_without_a_breakdown_it_is_by_user_model_and_provider(store: SqliteStore) -> None:
    store.append(yesterdays(12))

    tables = shown(store, monthly())

    assert list(tables) == ["By end user", "By model", "By provider"]
    assert tables["By end user"][""] == ["End user", *USUAL_HEADER]
    assert tables["By end user"]["team-1"] == ["4", "0", "400", "40.0%", "40", "0.000006"]
    store.close()


def test_the_breakdown_asked_for_comes_first_and_is_what_the_rows_add_up_to(
    store: SqliteStore,
) -> None:
    rows = yesterdays(20)
    store.append(rows)

    tables = shown(store, monthly(group_by=("user", "app"), metrics=("requests", "cost")))

    assert list(tables) == ["By end user, app", "By end user", "By model", "By provider"]
    found = tables["By end user, app"]
    assert found.pop("") == ["End user, app", "Requests", "Cost (USD)"]
    truth: dict[str, list[Generation]] = defaultdict(list)
    for row in rows:
        truth[f"{row.end_user} · {row.app or '(none named)'}"].append(row)
    total = found.pop("Total")
    assert {name: int(cells[0]) for name, cells in found.items()} == {
        name: len(group) for name, group in truth.items()
    }
    assert total == ["20", "0.000030"]
    assert sum(Decimal(cells[1]) for cells in found.values()) == pytest.approx(
        Decimal(total[1]), abs=Decimal("0.000005")
    )
    store.close()


def test_a_breakdown_is_called_what_it_is(store: SqliteStore) -> None:
    store.append(yesterdays(4))

    assert next(iter(shown(store, monthly(group_by=("key", "finish_reason"))))) == (
        "By API key, finish reason"
    )
    store.close()


def test_figures_that_cannot_be_added_up_are_left_out_where_groups_are(store: SqliteStore) -> None:
    rows = [
        generation(n, created_at_us=NOON_US - 36 * 3_600_000_000 + n, end_user=f"u{n}")
        for n in range(GROUPS_MAX + 5)
    ]
    store.append(rows)

    tables = shown(
        store, monthly(group_by=("user",), metrics=("requests", "cached_share", "duration_p90"))
    )

    found = tables["By end user"]
    assert found[""] == ["End user", "Requests", "Cached", "Duration, p90 (ms)"]
    assert found["all others"] == ["5", "40.0%", "–"]  # noqa: RUF001 - an en dash
    assert found["Total"] == [str(len(rows)), "40.0%", "12.5"]
    store.close()


def test_the_file_is_made_of_it(store: SqliteStore) -> None:
    store.append(yesterdays(20))
    many = ("requests", "cost", "cost_prompt", "cost_completion", "ttft_p90", "last_seen")
    report = monthly(group_by=("user", "key", "app", "streamed"), metrics=many)
    check_report(report)

    plain = b"".join(export_pieces(store, report_query(monthly(), "default", DUE)))
    grouped = b"".join(export_pieces(store, report_query(report, "default", DUE)))

    assert plain.startswith(b"%PDF")
    assert grouped.startswith(b"%PDF")
    assert plain != grouped
    store.close()


def test_more_figures_than_a_page_has_room_for_are_refused_at_the_check() -> None:
    many = ("requests", "cost", "cost_prompt", "cost_completion", "users", "sessions", "last_seen")
    check_report(monthly(metrics=many, format="csv"))

    with pytest.raises(ReportError, match="metrics: a PDF has room for 6; 7 were asked for"):
        check_report(monthly(metrics=many))
