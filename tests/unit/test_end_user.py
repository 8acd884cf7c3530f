"""Who a request is for: sources in their order, and what each policy of a key lets pass."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from regulars.identity.at_rest import KeptName, as_it_is, pseudonym_of
from regulars.identity.end_user import EndUsers, Named, refuse_repeated
from regulars.identity.new_users import NewUsers
from regulars.identity.personal_ids import PersonalIds
from regulars.identity.policy import make_policy
from regulars.identity.used_proofs import UsedProofs
from regulars.ids import prove_user
from regulars.model.caller import CALLERS_WORD, ApiKey, Role, UserPolicy
from regulars.model.errors import CallerError, ForbiddenError, RateLimitedError
from regulars.wire.chat import ChatRequest, parse_chat

NOW_S = 1_800_000_000
SECRET = "a signing secret of more than thirty-two bytes"
SIGNED = make_policy("signed", secret=SECRET)


def key(users: UserPolicy = CALLERS_WORD, *, account: str = "default") -> ApiKey:
    return ApiKey("ab" * 32, "shop", "sk-reg-abc...xyz", Role.INFERENCE, account, 0, users=users)


def asked(**fields: Any) -> ChatRequest:
    message = {"role": "user", "content": "hi"}
    return parse_chat(json.dumps({"model": "m", "messages": [message], **fields}).encode())


def end_users(*known: str, kept: KeptName = as_it_is) -> EndUsers:
    return EndUsers(
        lambda: NOW_S,
        personal=PersonalIds(lambda account, _: f"{account}-hidden"),
        new=NewUsers(lambda _account, user, _came_as: user in known, per_hour_max=1000),
        kept=kept,
    )


def of(policy: UserPolicy = CALLERS_WORD, proof: str | None = None, /, **fields: Any) -> Named:
    headers = {} if proof is None else {b"x-regulars-user-proof": proof.encode()}
    return end_users().of(asked(**fields), key(policy), headers)


def jwt(claims: dict[str, Any], *, secret: str = SECRET, alg: str = "HS256") -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": alg, "typ": "JWT"}, claims)]
    head = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = hmac.new(secret.encode(), head, hashlib.sha256).digest()
    return (head + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


ALL = {
    "user": "from-user",
    "safety_identifier": "from-safety",
    "metadata": {"user_id": "from-metadata"},
}
HEADERS = {b"x-regulars-user": b"from-header"}


@pytest.mark.parametrize(
    ("without", "found"),
    [
        ((), "from-user"),
        (("user",), "from-safety"),
        (("user", "safety_identifier"), "from-metadata"),
        (("user", "safety_identifier", "metadata"), "from-header"),
    ],
)
def test_sources_are_tried_in_the_documented_order(without: tuple[str, ...], found: str) -> None:
    request = asked(**{name: value for name, value in ALL.items() if name not in without})

    assert end_users().of(request, key(), HEADERS).user == found


def test_a_key_may_have_its_own_order() -> None:
    policy = make_policy(sources=["x-regulars-user", "metadata.user_id"])

    assert end_users().of(asked(**ALL), key(policy), HEADERS).user == "from-header"
    assert of(policy, **ALL).user == "from-metadata"
    assert of(policy, user="u", safety_identifier="s").user is None


def test_nobody_may_be_named() -> None:
    assert of() == Named(None)
    assert of(user=None, safety_identifier=None, metadata={"user_id": None}) == Named(None)
    assert of(metadata=["not", "an", "object"]) == Named(None)


@pytest.mark.parametrize(
    ("user_id", "user", "session"),
    [
        ("plain", "plain", None),
        ("user_abc_account_9f-1_session_77-b", "9f-1", "77-b"),
        ("user_abc_account__session_77-b", "abc", "77-b"),
        ('{"device_id":"d","account_uuid":"a","session_id":"s"}', "a", "s"),
        ('{"device_id":"d","account_uuid":"","session_id":"s"}', "d", "s"),
        ('{"other":1}', '{"other":1}', None),
        ("{not json", "{not json", None),
    ],
)
def test_what_harnesses_send_is_taken_apart(user_id: str, user: str, session: str | None) -> None:
    assert of(metadata={"user_id": user_id}) == Named(user, session)


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 513])
@pytest.mark.parametrize("source", ["user", "safety_identifier", "metadata.user_id"])
def test_names_are_judged_wherever_they_come_from(source: str, name: str) -> None:
    fields: dict[str, Any] = {source: name}
    if source == "metadata.user_id":
        fields = {"metadata": {"user_id": name}}

    with pytest.raises(CallerError, match=source):
        of(**fields)


def test_a_header_of_other_bytes_is_refused() -> None:
    with pytest.raises(CallerError, match="not UTF-8"):
        end_users().of(asked(), key(), {b"x-regulars-user": b"\xff"})


def test_a_fixed_key_is_one_users_whatever_is_said() -> None:
    policy = make_policy("fixed", user="u-1")

    assert of(policy, **ALL) == of(policy) == Named("u-1")


def test_a_prefix_key_names_only_its_own() -> None:
    policy = make_policy("prefix", prefix="shop-")

    assert of(policy, user="shop-1").user == "shop-1"
    assert of(policy).user is None
    with pytest.raises(ForbiddenError, match="'shop-'"):
        of(policy, user="Shop-1")


def test_a_proof_names_its_user() -> None:
    proof = prove_user("u-1", SECRET, expires_at_s=NOW_S + 60)

    assert of(SIGNED, proof, user="u-1").user == "u-1"
    assert of(SIGNED, prove_user("e\u0301", SECRET, expires_at_s=NOW_S + 60), user="\u00e9").user


def test_a_jwt_names_its_user_alone_or_with_the_request() -> None:
    token = jwt({"sub": "u-1", "exp": NOW_S + 60, "aud": ["default", "other"]})

    assert of(SIGNED, token).user == "u-1"
    assert of(SIGNED, token, user="u-1").user == "u-1"


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (None, "needs a proof"),
        ("", "neither"),
        ("v1.1.2.3", "neither"),
        (prove_user("u-2", SECRET, expires_at_s=NOW_S + 60), "does not verify"),
        (prove_user("u-1", SECRET * 2, expires_at_s=NOW_S + 60), "does not verify"),
        (prove_user("u-1", SECRET, expires_at_s=NOW_S + 60, account="b"), "does not verify"),
        ("v1.0" + prove_user("u-1", SECRET, expires_at_s=NOW_S + 60)[3:], "does not verify"),
        (prove_user("u-1", SECRET, expires_at_s=NOW_S), "expired"),
        (prove_user("u-1", SECRET, expires_at_s=NOW_S + 86_401), "longer than"),
        ("x" * 4097, "4097 bytes"),
        (jwt({"sub": "u-2", "exp": NOW_S + 60, "aud": "default"}), "another user"),
        (jwt({"sub": "u-1", "exp": NOW_S - 1, "aud": "default"}), "expired"),
        (jwt({"sub": "u-1", "exp": NOW_S + 60, "aud": "b"}), "another account"),
        (jwt({"sub": "u-1", "exp": NOW_S + 60, "aud": "default", "nbf": NOW_S + 9}), "yet"),
        (jwt({"sub": "u-1", "exp": NOW_S + 60}), "lacks a claim"),
        (jwt({"sub": "u-1", "aud": "default"}), "lacks a claim"),
        (jwt({"sub": "u-1", "exp": NOW_S + 60, "aud": "default"}, alg="none"), "HS256"),
        (jwt({"sub": "u-1", "exp": NOW_S + 60, "aud": "default"}, secret="x" * 40), "does not"),
        (jwt({"sub": "u-1", "exp": NOW_S + 60, "aud": "default"})[:-3] + "AAA", "does not"),
        (
            jwt({"sub": "u-1", "exp": NOW_S + 60, "aud": "default"}).rsplit(".", 1)[0] + ".A",
            "base64",
        ),
    ],
)
def test_bad_proofs_are_refused_without_the_id(proof: str | None, said: str) -> None:
    with pytest.raises(ForbiddenError, match=said) as refused:
        of(SIGNED, proof, user="u-1")

    assert "u-1" not in refused.value.message


def test_our_own_proof_needs_the_user_it_is_for() -> None:
    with pytest.raises(ForbiddenError, match="names none"):
        of(SIGNED, prove_user("u-1", SECRET, expires_at_s=NOW_S + 60))


@pytest.mark.parametrize("kind", ["own", "jwt"])
def test_a_proof_with_a_nonce_is_good_once(kind: str) -> None:
    own = prove_user("u", SECRET, expires_at_s=NOW_S + 60, nonce="n-1")
    token = jwt({"sub": "u", "exp": NOW_S + 60, "aud": "default", "jti": "n-1"})
    headers = {b"x-regulars-user-proof": (own if kind == "own" else token).encode()}
    users = end_users()

    assert users.of(asked(user="u"), key(SIGNED), headers).user == "u"
    with pytest.raises(ForbiddenError, match="has been used"):
        users.of(asked(user="u"), key(SIGNED), headers)


def test_used_proofs_are_bounded_and_forgotten_when_they_expire() -> None:
    used = UsedProofs(used_max=2)
    assert used.use("k", "1", expires_at_s=10.0, now_s=0.0)
    assert used.use("k", "2", expires_at_s=20.0, now_s=0.0)

    with pytest.raises(RateLimitedError, match="too many"):
        used.use("k", "3", expires_at_s=20.0, now_s=5.0)
    assert used.use("k", "3", expires_at_s=20.0, now_s=11.0)
    assert not used.use("k", "2", expires_at_s=20.0, now_s=11.0)


def test_a_user_named_twice_in_the_head_is_refused() -> None:
    headers = [(b"a", b"1"), (b"x-regulars-user", b"u"), (b"x-regulars-user", b"v")]

    refuse_repeated([*headers[:2], (b"a", b"2")])
    with pytest.raises(CallerError, match="more than once"):
        refuse_repeated(headers)


@pytest.mark.parametrize(
    ("rule", "parts", "said"),
    [
        ("nobody", {}, "user_policy: 'nobody'"),
        ("fixed", {}, "user: is missing"),
        ("client", {"user": "u"}, "user: does not belong"),
        ("prefix", {"prefix": ""}, "user_prefix: is empty"),
        ("signed", {"secret": "short"}, "secret: use at least"),
        ("client", {"sources": ["user", "cookie"]}, "user_sources: 'cookie'"),
        ("client", {"personal": "hide"}, "personal_ids: 'hide'"),
        ("client", {"new_users_per_hour_max": 0}, "new_users_per_hour: 0"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(rule: str, parts: dict[str, Any], said: str) -> None:
    with pytest.raises(CallerError, match=said):
        make_policy(rule, **parts)


def test_a_signing_secret_is_not_shown() -> None:
    assert SECRET not in repr(key(SIGNED))


def test_an_id_that_gives_a_person_away_is_flagged_hidden_or_refused() -> None:
    hide, refuse = make_policy(personal="pseudonymise"), make_policy(personal="refuse")

    assert of(user="jane@example.com").user == "jane@example.com"
    assert of(hide, user="jane@example.com").user == "default-hidden"
    assert of(hide, user="user_12").user == of(refuse, user="user_12").user == "user_12"
    with pytest.raises(CallerError, match="an e-mail address") as refused:
        of(refuse, user="jane@example.com")
    assert "jane" not in refused.value.message


def test_a_key_brings_so_many_new_users_an_hour() -> None:
    users, bounded = end_users("known"), key(make_policy(new_users_per_hour_max=2))
    for name in ("a", "b", "a", "known"):
        users.of(asked(user=name), bounded, {})

    with pytest.raises(RateLimitedError, match="2 new users") as refused:
        users.of(asked(user="c"), bounded, {})

    assert refused.value.retry_after_s is not None
    assert 0 < refused.value.retry_after_s <= 3600
    assert users.of(asked(user="b"), bounded, {}).user == "b"
    assert users.of(asked(user="c"), key(), {}).user == "c"


def test_pseudonyms_differ_by_account_and_key() -> None:
    made = {pseudonym_of(secret, account, "u") for secret in (b"1", b"2") for account in "ab"}

    assert len(made) == 4
    assert pseudonym_of(b"1", "a", "u") in made
