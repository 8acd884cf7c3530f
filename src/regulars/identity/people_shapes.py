"""Ids that look like a person's own data: e-mails, phone numbers, cards, national ids, names.

A shape is only taken where a check digit, a date or the punctuation people write speaks for it:
plain numbers are mostly just numbers.
"""

import re
from enum import StrEnum
from typing import Final

from regulars.identity.check_digits import luhn
from regulars.identity.national_ids import is_national_id

DIGITS_MIN: Final = 4
"""Of a phone number, a card or a national id (India's has four); one with fewer is none."""


class PersonalKind(StrEnum):
    """What an id gives away."""

    EMAIL = "email"
    PHONE = "phone"
    CARD = "card"
    NATIONAL_ID = "national_id"
    NAME = "name"


_EMAIL: Final = re.compile(
    r"[\w.!#$&'*+~^-]+(?:@|%40)(?:[\w-]{1,63}\.)+([^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})"
    r"(?=$|[\s>;,)|\"'\]?])",
    re.IGNORECASE,
)
_HOSTS: Final = frozenset(
    {"local", "localhost", "internal", "lan", "invalid", "test", "svc", "git"}
)
"""Top-level names that are machines', not mailboxes'."""

_LABEL: Final = re.compile(r"[^\W\d_]{2,12}[:=|_ /-]+(?=[+(\w])")
"""`tel:`, `phone_`, `whatsapp:` …: what may stand before a number."""
_LABELS: Final = frozenset(
    {"tel", "phone", "mobile", "cell", "sms", "whatsapp", "wa", "signal", "telefon", "handy",
     "card", "cc", "pan", "visa", "ssn", "nino", "cpf", "dni", "nie", "bsn", "sin", "nir", "nif",
     "cf", "pesel", "personnummer", "cpr", "hetu", "aadhaar", "rrn", "curp", "ahv"}
)  # fmt: skip

_ABROAD: Final = re.compile(r"(?:\+|00)[1-9](?:[ ().\-/]{0,2}\d){7,14}")
_AT_HOME: Final = re.compile(
    r"\(0?\d{2,5}\)[ -]?\d{3,5}[ .-]?\d{3,5}"  # (415) 555-2671, (11) 91234-5678, (030) 123456
    r"|1?[-. ]?[2-9]\d{2}([-. ])[2-9]\d{2}\1\d{4}"  # 415-555-2671
    r"|0[1-9]\d{1,4}[ /-]\d{3,4}(?:[ -]?\d{2,4}){0,2}"  # 020 7946 0958, 0171/1234567
    r"|0[1-9](?:([ .-])\d{2})(?:\2\d{2}){3}"  # 06 12 34 56 78
    r"|0[1-9][ -]\d{3,4}[ -]\d{4}"  # 03-1234-5678
    r"|0[1-9]\d{8,9}"  # 07911123456, 0612345678
    r"|[6-9]\d{4} \d{5}"  # 98765 43210
    r"|[679]\d{2} \d{3} \d{3}"  # 612 345 678
    r"|0?4\d{2} \d{3} \d{3}"  # 0412 345 678
    r"|1[3-9]\d[ -]?\d{4}[ -]?\d{4}"  # 138 1234 5678
)
_CARD: Final = re.compile(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|3\d{3}([ -]?)\d{6}\2\d{4,5}")
_BRAND: Final = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}(?:\d\d)?"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14}"
)

_NAME: Final = re.compile(r"[^\W\d_][^\d\s]*(?:,? [^\W\d_][^\d\s]*){1,4}")
_NO_NAMES: Final = frozenset(
    (
        "account acme admin administrator agency agent ai anonymous api app application assistant "
        "batch bot bots build chat ci client club co company corp customer customers customer's "
        "data default demo dept department desk dev device dry end environment error evaluation external "
        "finance for free from gmbh group guest guests hr id import inc integration internal job "
        "key kiosk lab load local ltd machine main marketing model monitor my new nightly no none "
        "not null of office old ops org org's our owner pipeline premium prod production project qa "
        "queue research robot role room run runner sales sandbox scheduler school server service "
        "session shared shop smoke staff staging store support system tablet team tenant test "
        "tester testing the tool trial undefined unit university unknown user users web website "
        "with worker workspace your warehouse shift night reception counter terminal printer display "
        "booth station delivery shipping billing accounting security catering kitchen helpdesk"
    ).split()
)
_TRIMMED: Final = ".,'\N{RIGHT SINGLE QUOTATION MARK}"
_TITLES: Final = frozenset({"mr", "mrs", "ms", "dr", "prof", "herr", "frau", "sr", "sra", "mme"})


def personal_kind(name: str) -> PersonalKind | None:
    """Say what kind of personal data an id looks like, None where it looks like none."""
    if ("@" in name or "%40" in name) and _has_email(name):
        return PersonalKind.EMAIL
    if _has_digits(name):
        number = _unlabelled(name.strip())
        if is_national_id(number):
            return PersonalKind.NATIONAL_ID
        if _is_card(number):
            return PersonalKind.CARD
        if _is_phone(number):
            return PersonalKind.PHONE
        return None
    if " " in name and _is_full_name(" ".join(name.split())):
        return PersonalKind.NAME
    return None


def _has_digits(name: str) -> bool:
    if name.isalpha():
        return False
    count = 0
    for char in name[:64]:
        if "0" <= char <= "9":
            count += 1
            if count >= DIGITS_MIN:
                return True
    return False


def _has_email(name: str) -> bool:
    found = _EMAIL.search(name)
    return found is not None and found[1].lower() not in _HOSTS


def _unlabelled(name: str) -> str:
    label = _LABEL.match(name)
    if label is not None and label[0].rstrip(":=|_ /-").lower() in _LABELS:
        return name[label.end() :]
    return name


def _is_phone(number: str) -> bool:
    if _AT_HOME.fullmatch(number):
        return True
    if not _ABROAD.fullmatch(number):
        return False
    # Two zeros ahead of a bare number may also pad a counter, but then more follow.
    return number.startswith("+") or len(number) >= 12


def _is_card(number: str) -> bool:
    if not _CARD.fullmatch(number):
        return False
    digits = number.replace(" ", "").replace("-", "")
    return _BRAND.fullmatch(digits) is not None and luhn(digits)


def _is_full_name(name: str) -> bool:
    if not _NAME.fullmatch(name):
        return False
    words = [word.strip(_TRIMMED).casefold() for word in name.split(" ")]
    if any(word in _NO_NAMES for word in words):
        return False
    full = [word for word in words if len(word) > 1 or not word.isascii()]
    return len(full) >= 2 or (len(full) == 1 and len(words) > 1 and words[0] not in _TITLES)
