"""Numbers as people read them. Pure; unknown is a dash, never 0."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from regulars.model.money import NANO, TOKENS_PER_MILLION, plain_text, usd_text

DASH: Final = "\N{EN DASH}"
_THIN: Final = "\N{NARROW NO-BREAK SPACE}"
_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_MINUS: Final = "\N{MINUS SIGN}"
_CENT: Final = Decimal("0.01")
_STEPS: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def usd(nanousd: int | None) -> str:
    """Write money short: three digits below a dollar, cents above, none from ten thousand on."""
    if nanousd is None:
        return DASH
    if nanousd == 0:
        return "$0"
    amount = abs(Decimal(nanousd)) / NANO
    sign = "-" if nanousd < 0 else ""
    if amount < 1:
        amount = _three_digits(amount)
        text = f"{amount:f}" if amount < _CENT else f"{amount:.3f}".rstrip("0")
        return f"{sign}${_at_least_cents(text)}"
    return f"{sign}${amount:,.0f}" if amount >= 10_000 else f"{sign}${amount:,.2f}"


def usd_exact(nanousd: int | None) -> str:
    """Write money to the last nano-dollar."""
    if nanousd is None:
        return DASH
    text = usd_text(nanousd)
    return f"-${text[1:]}" if nanousd < 0 else f"${text}"


def usd_column(nanousd: int | None) -> str:
    """Write money with nine decimals, so that a column of it can be added by eye."""
    if nanousd is None:
        return DASH
    return f"{'-' if nanousd < 0 else ''}${abs(Decimal(nanousd)) / NANO:,.9f}"


def usd_per_million(per_token: Decimal | None) -> str:
    """Write a price per token as one per million tokens: $0.60."""
    if per_token is None:
        return DASH
    return f"${_at_least_cents(plain_text(per_token * TOKENS_PER_MILLION))}"


def compact(count: int | None) -> str:
    """Write a count with three digits: 987, 12.3k, 4.56M."""
    if count is None:
        return DASH
    for size, letter in _STEPS:
        # From 999.5 on the next unit's rounding takes over: never 1000k.
        if abs(count) * 2000 >= size * 1999:
            return f"{_short(Decimal(count) / size)}{letter}"
    return str(count)


def grouped(count: int | None) -> str:
    """Write a count in full: 12,345."""
    return DASH if count is None else f"{count:,}"


def share(part: int, whole: int) -> str:
    """Write a part of a whole as `79 %`; never 0 or 100 unless it is exactly that."""
    if whole <= 0:
        return DASH
    percent = part * 100 / whole
    if 0 < percent < 1:
        return f"<1{_THIN}%"
    if 99 < percent < 100:
        return f">99{_THIN}%"
    return f"{percent:.0f}{_THIN}%"


def change(now: int, before: int) -> str:
    """Write the change between two periods: `+12 %`, `9.5 times`; a dash when there was nothing."""
    if before <= 0:
        return DASH
    if now >= 4 * before:
        ratio = now / before
        return f"{_TIMES}{ratio:.1f}" if ratio < 100 else f"{_TIMES}{ratio:,.0f}"
    percent = (now - before) * 100 / before
    rounded = f"{percent:+.0f}"
    return f"±0{_THIN}%" if rounded in {"+0", "-0"} else f"{rounded}{_THIN}%".replace("-", _MINUS)


def milliseconds(value: float | None) -> str:
    """Write a duration: 312 ms, 1.24 s, 2 min 3 s, 1 h."""
    if value is None:
        return DASH
    if value < 999.5:
        return f"{value:.0f}{_THIN}ms"
    if value < 59_995:
        return f"{value / 1000:.2f}{_THIN}s"
    seconds = round(value / 1000)
    hours, minutes = divmod(seconds // 60, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds % 60, "s"))
    return " ".join(f"{count}{_THIN}{unit}" for count, unit in parts if count)


def _three_digits(amount: Decimal) -> Decimal:
    quantum = Decimal(1).scaleb(amount.adjusted() - 2)
    return amount.quantize(max(quantum, Decimal("1e-9")), rounding=ROUND_HALF_EVEN)


def _at_least_cents(text: str) -> str:
    if 0 < Decimal(text) < _CENT:
        return text.rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def _short(value: Decimal) -> str:
    decimals = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
