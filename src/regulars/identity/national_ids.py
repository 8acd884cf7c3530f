"""National identity numbers of several countries, each by its form and its check digits."""

import re
from collections.abc import Callable
from datetime import date
from typing import Final

from regulars.identity.check_digits import luhn, mod97, verhoeff, weighted

_DNI: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CF_ODD: Final = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21,
         2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip

_FORMS: Final = re.compile(
    r"(?P<us>(?!000|666|9)\d{3}(?P<s1>[- ])(?!00)\d\d(?P=s1)(?!0000)\d{4})"
    r"|(?P<uk>(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?P<s2> ?)\d\d(?P=s2)\d\d(?P=s2)\d\d(?P=s2)[A-D])"
    r"|(?P<es>[XYZ0-9]-?\d{7}-?[A-Z])"
    r"|(?P<it>[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z])"
    r"|(?P<fr>[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{3} ?\d{3} ?\d\d)"
    r"|(?P<br>\d{3}\.\d{3}\.\d{3}-\d\d)"
    r"|(?P<se>(?:19|20)?\d{6}[-+]\d{4})"
    r"|(?P<fi>\d{6}[-+A]\d{3}[0-9A-Y])"
    r"|(?P<pl>\d{11})"
    r"|(?P<cn>[1-9]\d{5}(?:19|20)\d{9}[\dX])"
    r"|(?P<in_>[2-9]\d{3}(?P<s3>[ -])\d{4}(?P=s3)\d{4})"
    r"|(?P<pan>[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z])"
    r"|(?P<mx>[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[0-9A-Z]\d)"
    r"|(?P<kr>\d{6}-[1-8]\d{6})"
    r"|(?P<ca>[0-79]\d\d(?P<s4>[ -])\d{3}(?P=s4)\d{3})"
    r"|(?P<ch>756\.\d{4}\.\d{4}\.\d\d)"
    r"|(?P<be>\d\d\.\d\d\.\d\d-\d{3}\.\d\d)"
    r"|(?P<nl>BSN[ :-]?\d{9})",
)


def is_national_id(number: str) -> bool:
    """Say whether a text is a national identity number as people write it."""
    if len(number) > 21:
        return False
    found = _FORMS.fullmatch(number.upper())
    if found is None:
        return False
    judge = _JUDGES.get(_country(found))
    return judge is None or judge(found[0])


def _country(found: re.Match[str]) -> str:
    return next(name for name, value in found.groupdict().items() if value == found[0])


def _es(number: str) -> bool:
    digits = number.replace("-", "")
    lead = {"X": "0", "Y": "1", "Z": "2"}.get(digits[0], digits[0])
    return _DNI[int(lead + digits[1:8]) % 23] == digits[8]


def _it(number: str) -> bool:
    total = sum(
        _CF_ODD[char] if place % 2 == 0 else int(char) if char.isdigit() else ord(char) - 65
        for place, char in enumerate(number[:15])
    )
    return chr(65 + total % 26) == number[15]


def _fr(number: str) -> bool:
    digits = number.replace(" ", "").replace("2A", "19", 1).replace("2B", "18", 1)
    return digits.isdigit() and mod97(digits[:13]) == int(digits[13:])


def _br(number: str) -> bool:
    digits = number.replace(".", "").replace("-", "")
    if len(set(digits)) == 1:
        return False
    return all(
        (weighted(digits[:count], range(count + 1, 1, -1)) * 10 % 11) % 10 == int(digits[count])
        for count in (9, 10)
    )


def _se(number: str) -> bool:
    """Judge Sweden's (with a check digit) and Denmark's (the day first, without)."""
    digits = number.replace("-", "").replace("+", "")
    if len(digits) == 12:
        digits = digits[2:]
    swedish = luhn(digits) and _is_day(digits[:2], digits[2:4], digits[4:6])
    danish = weighted(digits, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    return swedish or (danish and _is_day(digits[4:6], digits[2:4], digits[:2]))


def _fi(number: str) -> bool:
    check = _HETU[int(number[:6] + number[7:10]) % 31]
    return check == number[10] and _is_day(number[4:6], number[2:4], number[:2])


def _pl(number: str) -> bool:
    month = int(number[2:4]) % 20
    total = weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1))
    return total % 10 == 0 and _is_day(number[:2], str(month), number[4:6])


def _cn(number: str) -> bool:
    total = weighted(number[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    dated = _is_day(number[8:10], number[10:12], number[12:14])
    return dated and "10X98765432"[total % 11] == number[17]


def _in(number: str) -> bool:
    return verhoeff(number.replace(" ", "").replace("-", ""))


def _mx(number: str) -> bool:
    return _is_day(number[4:6], number[6:8], number[8:10])


def _kr(number: str) -> bool:
    return _is_day(number[:2], number[2:4], number[4:6])


def _ca(number: str) -> bool:
    return luhn(number.replace(" ", "").replace("-", ""))


def _ch(number: str) -> bool:
    digits = number.replace(".", "")
    return weighted(digits, (1, 3) * 6 + (1,)) % 10 == 0


def _be(number: str) -> bool:
    digits = number.replace(".", "").replace("-", "")
    # Who was born from 2000 on has a 2 ahead when the check digits are made.
    return int(digits[9:]) in (mod97(digits[:9]), mod97("2" + digits[:9]))


def _nl(number: str) -> bool:
    return weighted(number[-9:], (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _is_day(year: str, month: str, day: str) -> bool:
    try:
        date(2000 + int(year), int(month), int(day))
    except ValueError:
        return False
    return True


_JUDGES: Final[dict[str, Callable[[str], bool]]] = {
    "es": _es, "it": _it, "fr": _fr, "br": _br, "se": _se, "fi": _fi, "pl": _pl, "cn": _cn,
    "in_": _in, "mx": _mx, "kr": _kr, "ca": _ca, "ch": _ch, "be": _be, "nl": _nl,
}  # fmt: skip
