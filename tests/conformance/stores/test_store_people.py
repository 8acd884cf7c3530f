"""Names of people that change: renaming and aliases, for any store that plays `People`."""

from dataclasses import replace
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.stores.ledgers import generation
from regulars.stores.base import Filter, Sums
from regulars.stores.contents import Content
from regulars.stores.sqlite import SqliteStore, open_store

ALL = Filter("default")


def requests(store: SqliteStore) -> dict[str | None, int]:
    return {row.user: row.sums.requests for row in store.users(ALL, limit=100)}


def filled(store: SqliteStore) -> Sums:
    """Ada has 4 rows that are folded and 4 in the tail, bob half as many."""
    names = ("ada", "ada", "bob")
    store.append([generation(n, end_user=names[n % 3]) for n in range(6)])
    store.fold()
    store.append([generation(n, end_user=names[n % 3]) for n in range(6, 12)])
    return store.totals(ALL)


def test_a_new_name_keeps_rows_and_sums(store: SqliteStore) -> None:
    before = filled(store)

    assert store.rename("default", "ada", "lovelace")

    assert requests(store) == {"lovelace": 8, "bob": 4}
    assert store.totals(ALL) == before
    assert not store.rename("default", "ada", "lovelace")
    assert list(store.verify()) == []


def test_two_names_become_one_person_with_both_histories(store: SqliteStore) -> None:
    before = filled(store)

    store.alias("default", "bob", "ada")
    store.append([generation(20, end_user="bob"), generation(21, end_user="ada")])

    assert requests(store) == {"ada": 14}
    assert store.totals(Filter("default", user="ada")).cost_nanousd == before.cost_nanousd + 3000
    assert store.person("default", "bob") == "ada"
    assert len(store.generations(Filter("default", user="ada"), limit=50, before=None)[0]) == 14
    store.fold()
    assert requests(store) == {"ada": 14}
    assert list(store.verify()) == []


def test_what_was_said_under_another_name_is_the_persons(store: SqliteStore) -> None:
    filled(store)
    early, late = (
        Content(f"gen-{n}", n, "default", "bob", "[]", False, None, None, False) for n in range(2)
    )
    store.keep_contents([early])

    store.alias("default", "bob", "ada")
    store.keep_contents([late])

    assert store.content("gen-0") == replace(early, end_user="ada")
    assert store.content("gen-1") == replace(late, end_user="ada")


def test_names_of_names_follow(store: SqliteStore) -> None:
    filled(store)

    store.alias("default", "bob", "ada")
    store.alias("default", "ada", "carol")
    store.append([generation(20, end_user="bob")])

    assert requests(store) == {"carol": 13}
    assert store.aliases("default") == [("ada", "carol"), ("bob", "carol")]


def test_an_alias_ends(store: SqliteStore) -> None:
    store.alias("default", "bob", "ada")
    store.unalias("default", "bob")
    store.append([generation(1, end_user="bob")])

    assert requests(store) == {"bob": 1}


def test_erasing_a_person_forgets_his_other_names(store: SqliteStore) -> None:
    filled(store)
    store.alias("default", "bob", "ada")

    store.erase("default", "ada", now_us=1)

    assert store.aliases("default") == []
    assert store.names("default") == ["erased-1"]


@settings(max_examples=25, deadline=None)
@given(
    owners=st.lists(st.sampled_from(["ada", "bob", None]), max_size=12), folds=st.integers(0, 12)
)
def test_sums_follow_rows_whatever_was_folded(owners: list[str | None], folds: int) -> None:
    with TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/ledger.db")
        rows = [generation(n, end_user=owner) for n, owner in enumerate(owners)]
        store.append(rows[:folds])
        store.fold()
        store.append(rows[folds:])

        store.rename("default", "bob", "ada")

        named = sum(owner is not None for owner in owners)
        assert requests(store).get("ada", 0) == named
        assert list(store.verify()) == []
        store.close()
