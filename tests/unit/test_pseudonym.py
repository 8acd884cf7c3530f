from hashlib import sha256

import pytest

from regulars.config.known_providers import KNOWN_PROVIDERS, KnownProvider, known_disclosure
from regulars.identity.pseudonym import pseudonym, pseudonyms
from regulars.model.catalog import Disclosure

KEY = b"k" * 32


def test_a_pseudonym_is_stable_short_and_unlike_any_other() -> None:
    of = pseudonyms(KEY)

    made = [of("a", "user"), of("a", "user"), of("b", "user"), of("a", "user2")]

    assert made[0] == made[1] == pseudonym(KEY, "a", "user")
    assert len(set(made)) == 3
    assert all(len(one) == 24 and one.isalnum() and one.islower() for one in made)


def test_it_depends_on_the_key_and_is_no_plain_digest() -> None:
    made = pseudonym(KEY, "a", "user")

    assert made != pseudonym(b"l" * 32, "a", "user")
    assert sha256(b"a\0user").hexdigest()[:24] != made


def test_account_and_name_do_not_run_together() -> None:
    assert pseudonym(KEY, "ab", "c") != pseudonym(KEY, "a", "bc")


@pytest.mark.parametrize("known", KNOWN_PROVIDERS, ids=lambda known: known.slug)
def test_what_is_known_of_a_provider_is_found_by_its_name(known: KnownProvider) -> None:
    assert known_disclosure(known.slug) is known.disclosure


def test_nothing_is_told_to_an_unknown_provider() -> None:
    assert known_disclosure("alpha") == Disclosure("none", "pass")
