"""What the upstream is told of who asks: a pseudonym in the field it has for that, never a name.

Source: openrouter-api.md section 1.1; model/catalog.py, `Disclosure`.
"""

from collections.abc import Callable
from typing import Any, Final
from unicodedata import normalize

import msgspec
from msgspec import Raw, Struct

from regulars.model.catalog import CacheKeyRule, Disclosure
from regulars.model.errors import CallerError
from regulars.wire.chat import ChatRequest, prompt_cache_key

CACHE_KEY: Final = "prompt_cache_key"


class Asker(Struct, frozen=True, gc=False):
    """Who asks, by the names that must not leave, and how to make pseudonyms of them."""

    account: str
    end_user: str | None
    session: str | None
    pseudonym: Callable[[str, str], str]
    """(account, name) → pseudonym, of letters and digits alone."""


def disclose(
    fields: dict[str, Raw], request: ChatRequest, *, disclosure: Disclosure, asker: Asker
) -> None:
    """Change the upstream's fields so that they tell what this provider is to know, and no name."""
    place, rule = disclosure.end_user_field, disclosure.prompt_cache_key
    told: Raw | None = None
    if asker.end_user is not None and (place != "none" or rule == "fill"):
        told = _told(asker, asker.end_user)
    if place == "metadata.user_id" or "metadata" in fields:
        _write_metadata(fields, told if place == "metadata.user_id" else None)
    if told is not None and place not in ("none", "metadata.user_id"):
        fields[place] = told
    if CACHE_KEY in fields:
        _judge_cache_key(fields, request, rule, asker)
    if rule == "fill" and told is not None:
        fields.setdefault(CACHE_KEY, told)


def _told(asker: Asker, name: str) -> Raw:
    return Raw(b'"%b"' % asker.pseudonym(asker.account, name).encode())


def _judge_cache_key(
    fields: dict[str, Raw], request: ChatRequest, rule: CacheKeyRule, asker: Asker
) -> None:
    """Leave the client's own key alone, unless it is not wanted or has a name of the asker in it."""
    sent = prompt_cache_key(request)
    if sent is None or rule == "drop":
        del fields[CACHE_KEY]
    elif _names(sent, asker):
        # Its pseudonym groups the same requests as it did.
        fields[CACHE_KEY] = _told(asker, sent)


def _names(key: str, asker: Asker) -> bool:
    """Say whether a key holds the end user's or the session's name, in whatever case."""
    folded = normalize("NFC", key).casefold()
    names = (asker.end_user, asker.session)
    return any(name is not None and name.casefold() in folded for name in names)


def _write_metadata(fields: dict[str, Raw], told: Raw | None) -> None:
    """Take the client's `user_id` out of `metadata`, and put ours in, if there is any."""
    sent = fields.pop("metadata", None)
    try:
        kept: Any = {} if sent is None else msgspec.json.decode(sent)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        raise CallerError("metadata: is not an object") from exc
    if kept is None:
        kept = {}
    if not isinstance(kept, dict):
        raise CallerError("metadata: is not an object")
    kept.pop("user_id", None)
    if told is not None:
        kept["user_id"] = told
    if kept:
        fields["metadata"] = Raw(msgspec.json.encode(kept))
