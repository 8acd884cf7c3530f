"""The arithmetic of check digits."""

from collections.abc import Iterable
from typing import Final

_D5: Final = tuple(
    tuple((a + b) % 5 if a < 5 and b < 5
          else (a + b) % 5 + 5 if a < 5
          else (a - b) % 5 + 5 if b < 5
          else (a - b) % 5
          for b in range(10))
    for a in range(10)
)  # fmt: skip
"""The multiplication table of the dihedral group, by which Verhoeff's scheme adds."""
_TURN: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def luhn(digits: str) -> bool:
    """Say whether the last digit is the Luhn check digit of the others (ISO/IEC 7812-1)."""
    total = 0
    for place, char in enumerate(reversed(digits)):
        digit = int(char)
        if place % 2:
            digit = digit * 2 - 9 if digit > 4 else digit * 2
        total += digit
    return total % 10 == 0


def verhoeff(digits: str) -> bool:
    """Say whether the last digit is the Verhoeff check digit of the others."""
    check = 0
    for place, char in enumerate(reversed(digits)):
        digit = int(char)
        for _ in range(place % 8):
            digit = _TURN[digit]
        check = _D5[check][digit]
    return check == 0


def mod97(digits: str) -> int:
    """Return the two check digits of France's numbers."""
    return 97 - int(digits) % 97


def weighted(digits: str, weights: Iterable[int]) -> int:
    """Add the digits up, each times its weight."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
