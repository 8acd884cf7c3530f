"""A ledger that keeps pseudonyms, asked by id: every question finds the same as a plain one."""

from contextlib import closing
from functools import partial

from msgspec.structs import replace

from conformance.stores.ledgers import NOON_US, generation
from regulars.identity.at_rest import AtRest, pseudonym_of
from regulars.reports.schema import Condition, ReportQuery
from regulars.stores.base import Filter
from regulars.stores.by_id import ReportsById
from regulars.stores.sqlite import SqliteStore

KEPT = partial(pseudonym_of, bytes(32))
ADA = KEPT("default", "ada")
OF_ADA = Filter("default", user="ada")


def reports(store: SqliteStore) -> ReportsById:
    rows = [generation(n, end_user="ada" if n % 3 else "bob") for n in range(9)]
    store.append([replace(row, end_user=KEPT("default", row.end_user or "")) for row in rows])
    return ReportsById(store, AtRest(kept=KEPT))


def test_lists_sums_and_scans_find_an_id_and_its_pseudonym(store: SqliteStore) -> None:
    asked = reports(store)

    with closing(asked.scan(OF_ADA, ("id", "end_user"))) as pages:
        scanned = [row for page in pages for row in zip(*page, strict=True)]
    listed, _ = asked.generations(Filter("default", user=ADA), limit=10, before=None)

    assert scanned == [(row.id, row.end_user) for row in listed]
    assert [row.end_user for row in listed] == [ADA] * 6
    assert asked.totals(OF_ADA).requests == 6
    assert [row.user for row in asked.users(OF_ADA, limit=10)] == [ADA]


def test_a_report_is_filtered_by_ids(store: SqliteStore) -> None:
    asked = reports(store)

    def requests(*where: Condition) -> int:
        query = ReportQuery(account="default", metrics=("requests",), where=where)
        (row,) = asked.run(query).rows
        return int(row[0] or 0)

    assert requests(Condition("user", "eq", ("ada",))) == 6
    assert requests(Condition("user", "neq", ("ada",))) == 3
    assert requests(Condition("user", "in", ("ada", "bob", None))) == 9
    assert requests(Condition("user", "contains", ("ada",))) == 0
    assert requests(Condition("model", "neq", ("ada",))) == 9


def test_first_seen_answers_by_the_names_that_were_asked_for(store: SqliteStore) -> None:
    asked = reports(store)

    seen = asked.first_seen("default", ["ada", ADA, "nobody"])

    assert seen.keys() == {"ada", ADA}
    assert seen["ada"] == seen[ADA] >= NOON_US
