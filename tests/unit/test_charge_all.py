"""The charge of a generation with attempts that were passed over."""

from regulars.billing.charge import Charge, charge_all
from regulars.model.generation import Billed, CostSource
from regulars.model.money import Cost
from regulars.model.tokens import Usage

LAST = Charge(Cost(100, 60, 40, 5), CostSource.COMPUTED, "prompt 1")
FIRST = Billed("a", Usage(9, 1), Cost(30, 20, 10, 1, byok=7), CostSource.REPORTED, None)
UNPRICED = Billed("b", Usage(9, 1), None, None, None)


def test_parts_of_all_attempts_add_up() -> None:
    charged = charge_all(LAST, [FIRST, FIRST])

    assert charged == Charge(Cost(160, 100, 60, 7, byok=14), CostSource.COMPUTED, "prompt 1")


def test_an_attempt_without_a_price_makes_the_whole_unknown() -> None:
    charged = charge_all(LAST, [FIRST, UNPRICED])

    assert charged == Charge(None, None, "prompt 1")


def test_a_last_attempt_without_a_price_makes_the_whole_unknown() -> None:
    charged = charge_all(Charge(None, None, None), [FIRST])

    assert charged == Charge(None, None, None)


def test_a_last_attempt_that_used_nothing_adds_nothing() -> None:
    charged = charge_all(None, [FIRST])

    assert charged == Charge(FIRST.cost, CostSource.REPORTED, None)
