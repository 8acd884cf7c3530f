"""What a generation is charged: what the upstream says it cost, else usage x price, or nothing."""

from typing import Final

from regulars.billing.price import cost
from regulars.model.money import Cost, Price
from regulars.model.tokens import Usage

NOTHING: Final = Cost(0, 0, 0, 0)
_ERROR: Final = "error"


def charge(
    usage: Usage,
    price: Price | None,
    *,
    finish_reason: str | None,
    at_us: int,
    reported: Cost | None = None,
) -> Cost | None:
    """Charge an answer that has ended; None where nobody knows the price.

    An upstream that says what it charged is believed over any list: it knows its own discounts.
    Answers that came to nothing are free, whatever they read.

    Source: openrouter-api.md section 7.4.
    """
    if is_insured(usage, finish_reason):
        return NOTHING
    listed = None if price is None else cost(usage, price, at_us)
    if reported is None:
        return listed
    # What a cache saved is ours to say: no upstream reports it.
    saving = 0 if listed is None else listed.cache_saving
    return Cost(reported.total, reported.prompt, reported.completion, saving)


def is_insured(usage: Usage, finish_reason: str | None) -> bool:
    """Say whether an answer is free: nothing was said and it just stopped, or it ended in an error."""
    return finish_reason == _ERROR or (not usage.completion_tokens and not finish_reason)
