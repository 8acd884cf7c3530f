import asyncio
import os
import sys
import threading

import pytest

from regulars.http.turns import NICENESS, SWITCH_S, Turns

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority elsewhere")


@linux
def test_work_is_done_behind_the_event_loop() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    async def scenario() -> tuple[int, int]:
        return await Turns().run(niceness), niceness()

    own = niceness()
    assert asyncio.run(scenario()) == (own + NICENESS, own)


def test_turns_are_short_while_any_work_is_under_way() -> None:
    usual_s = sys.getswitchinterval()
    turns, seen = Turns(), []

    async def scenario() -> None:
        turns.begin()
        seen.append(await turns.run(sys.getswitchinterval))
        seen.append(sys.getswitchinterval())
        turns.end()

    asyncio.run(scenario())

    assert seen == [pytest.approx(SWITCH_S)] * 2
    assert sys.getswitchinterval() == pytest.approx(usual_s)


def test_work_that_fails_ends_its_turn() -> None:
    usual_s = sys.getswitchinterval()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        asyncio.run(Turns().run(fail))

    assert sys.getswitchinterval() == pytest.approx(usual_s)
