import logging
import threading

import pytest

from regulars.ledger.rounds import Rounds
from regulars.stores.base import StoreError

WAIT_S = 10.0


def test_a_failing_round_is_told_once_and_the_next_ones_still_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes = [StoreError("away"), StoreError("away"), None, StoreError("away again")]
    made: list[int] = []
    enough = threading.Event()

    def go() -> None:
        made.append(len(made))
        if len(made) > len(outcomes):
            enough.set()
            return
        outcome = outcomes[len(made) - 1]
        if outcome is not None:
            raise outcome

    rounds = Rounds(go, period_s=0.001, failed="notes_not_kept")
    with caplog.at_level(logging.WARNING):
        rounds.start()
        assert enough.wait(WAIT_S)
        rounds.stop()

    told = [record.getMessage() for record in caplog.records]
    assert told == ["notes_not_kept reason='away'", "notes_not_kept reason='away again'"]


@pytest.mark.parametrize(("finally_too", "rounds_made"), [(False, 1), (True, 2)])
def test_the_end_does_not_wait_for_the_period(finally_too: bool, rounds_made: int) -> None:
    made: list[int] = []
    first = threading.Event()

    def go() -> None:
        made.append(1)
        first.set()

    rounds = Rounds(go, period_s=3600, failed="notes_not_kept", finally_too=finally_too)
    rounds.start()
    assert first.wait(WAIT_S)
    rounds.stop()

    assert len(made) == rounds_made


def test_one_that_never_began_can_be_stopped() -> None:
    Rounds(lambda: None, period_s=1, failed="notes_not_kept").stop()
