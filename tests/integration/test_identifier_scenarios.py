"""What only many ids say together, over labelled traffic in a real store: precision and recall."""

from collections import Counter
from pathlib import Path

import pytest

from conformance.stores.ledgers import generation
from fakes.id_traffic import Traffic, scenarios
from regulars.reports.identifiers import by_finding
from regulars.stores.base import Filter
from regulars.stores.identifiers import seen_users
from regulars.stores.sqlite import open_store

SHARE_MIN = 0.95
FINDINGS = ("seen-once", "session-of-many-ids", "mixed-forms", "same-but-for-case")
GOOD_FLAGGED_MAX = 0.02
"""Of a good application's ids, under any of these findings."""


def found_in(folder: Path, name: str, traffic: Traffic) -> dict[str, set[str]]:
    store = open_store(f"sqlite:///{folder}/{name.replace(' ', '_').replace(',', '')}.db")
    rows = [
        generation(number, end_user=user, session=session)
        for number, (user, session) in enumerate(traffic.sent)
    ]
    store.append(rows)
    groups = by_finding(seen_users(store, Filter("default")))
    store.close()
    return {finding: {one.user or "" for one in groups[finding]} for finding in FINDINGS}


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory,
) -> list[tuple[str, Traffic, dict[str, set[str]]]]:
    folder = tmp_path_factory.mktemp("scenarios")
    return [
        (name, traffic, found_in(folder, f"{number} {name}", traffic))
        for number, (name, traffic) in enumerate(scenarios())
    ]


@pytest.mark.parametrize("finding", FINDINGS)
def test_each_finding_of_many_ids_is_right_and_complete(
    judged: list[tuple[str, Traffic, dict[str, set[str]]]], finding: str
) -> None:
    right, wrong, missed = 0, Counter[str](), Counter[str]()
    for name, traffic, found in judged:
        bad = {user for user, labels in traffic.labels.items() if finding in labels}
        right += len(found[finding] & bad)
        wrong[name] += len(found[finding] - bad)
        missed[name] += len(bad - found[finding])

    assert right >= SHARE_MIN * (right + wrong.total()), wrong.most_common(9)
    assert right >= SHARE_MIN * (right + missed.total()), missed.most_common(9)


def test_good_applications_are_left_alone(
    judged: list[tuple[str, Traffic, dict[str, set[str]]]],
) -> None:
    shares = {
        name: len(set().union(*found.values())) / len(traffic.labels)
        for name, traffic, found in judged
        if name.startswith("good")
    }

    assert len(shares) >= 15
    assert {name: share for name, share in shares.items() if share > GOOD_FLAGGED_MAX} == {}
