"""What a generation is charged: what the upstream says it cost, else usage x price, or nothing."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from regulars.billing.price import rated, tariff
from regulars.model.generation import Billed, CostSource, UsageSource
from regulars.model.money import Cost, Price, ReportedCost
from regulars.model.tokens import Usage

NOTHING: Final = Cost(0, 0, 0, 0)
SPECIAL_TIERS: Final = frozenset({"batch", "fast", "flex", "priority", "ultrafast"})
"""Service tiers that have prices of their own. Any other name (`default`, `on_demand`) has not."""
_ERROR: Final = "error"


class Charge(Struct, frozen=True, gc=False):
    """A cost and how it came about; `price` is the price in force, in words."""

    cost: Cost | None
    source: CostSource | None
    price: str | None


def charge(
    usage: Usage,
    price: Price | None,
    *,
    usage_source: UsageSource,
    at_us: int,
    reported: ReportedCost | None = None,
) -> Charge:
    """Charge for tokens; no cost where nobody knows the price.

    An upstream that says what it charged is believed over any list: it knows its own discounts.
    """
    listed: Cost | None = None
    text: str | None = None
    if price is not None:
        if price.tiers or price.dated:
            price = price.of(usage.prompt_tokens, at_us)
        rates = tariff(price)
        listed, text = rated(usage, rates), rates.text
    if reported is not None:
        return Charge(_parts(reported, listed), CostSource.REPORTED, text)
    if listed is None:
        return Charge(None, None, None)
    estimated = usage_source is UsageSource.ESTIMATED
    return Charge(listed, CostSource.ESTIMATED if estimated else CostSource.COMPUTED, text)


def charge_all(last: Charge | None, before: Sequence[Billed]) -> Charge:
    """Add to the charge of the last attempt what those before it billed; parts still add up.

    What nobody knows the price of makes the whole unknown: a sum with a hole would look like one
    without. `last` is None where the last attempt used nothing.
    """
    price = None if last is None else last.price
    costs = [bill.cost for bill in before] + ([] if last is None else [last.cost])
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return Charge(None, None, price)
    return Charge(add_up(known), before[-1].cost_source if last is None else last.source, price)


def add_up(costs: Sequence[Cost]) -> Cost:
    """Add costs, part by part."""
    byok = [cost.byok for cost in costs if cost.byok is not None]
    return Cost(
        total=sum(cost.total for cost in costs),
        prompt=sum(cost.prompt for cost in costs),
        completion=sum(cost.completion for cost in costs),
        cache_saving=sum(cost.cache_saving for cost in costs),
        byok=sum(byok) if byok else None,
    )


def insure(charged: Charge) -> Charge:
    """Make an answer that came to nothing free, unless its upstream says that it was not.

    Source: openrouter-api.md section 7.4.
    """
    if charged.source is CostSource.REPORTED:
        return charged
    return replace(charged, cost=NOTHING, source=CostSource.INSURED)


def is_insured(usage: Usage, finish_reason: str | None) -> bool:
    """Say whether an answer is free: nothing was said and it just stopped, or it ended in an error."""
    return finish_reason == _ERROR or (not usage.completion_tokens and not finish_reason)


def service_price(price: Price, *, served: str | None, asked: str | None) -> Price | None:
    """Return the price of the service tier: the one that served, else the one asked for.

    A tier known to have a price of its own that is not here makes the price unknown. What was
    only asked for counts where it is priced: an upstream that knows no tiers passes over it.
    """
    for name, priced in price.services:
        if name == (served or asked):
            return priced
    return None if served in SPECIAL_TIERS else price


def _parts(reported: ReportedCost, listed: Cost | None) -> Cost:
    """Split a reported total into parts that add up to it.

    The completion's part is what the upstream said, else its share by our list; the prompt's is
    the rest, fees and all: everything, where nobody knows. What a cache saved is ours to say,
    since no upstream reports it.
    """
    total, completion = reported.total, reported.completion
    if completion is None:
        completion = 0
        if listed is not None and listed.total > 0:
            completion = (2 * total * listed.completion + listed.total) // (2 * listed.total)
    completion = min(completion, total)
    saving = 0 if listed is None else listed.cache_saving
    return Cost(total, total - completion, completion, saving, reported.byok)
