"""A chat request's sticky keys: which of its fields names the session and the user."""

import re
from typing import Final

from regulars.routing.cache_lives import ASKED_S
from regulars.routing.keys import (
    StickyKeys,
    conversation_key,
    named_key,
    prefix_key,
    sticky_key,
    unit,
)
from regulars.wire.chat import ChatRequest, opener, prompt_cache_key

HARNESS_HEADERS: Final = (b"x-claude-code-session-id", b"x-session-affinity")

_ASKED: Final = re.compile(rb'"ttl"\s*:\s*"(5m|1h)"')
_CACHEABLE: Final = ("cache_control", "messages", "tools")


def sticky_keys(
    request: ChatRequest, *, account: str, model: str, end_user: str | None, session: str | None
) -> StickyKeys:
    """Derive S and U as routing.md ("Keys") orders the sources.

    `session` is the explicit one, from body or header. Without any, the conversation's opener
    stands for the session; without an end user, its shared prefix stands for the user.
    """
    cache_key = None
    if "prompt_cache_key" in request.fields:  # judged here: later would be too late for a 400
        cache_key = prompt_cache_key(request)
    named = session if session is not None else cache_key
    shared = first = b""
    if named is None or end_user is None:
        shared, first = opener(request)
    if end_user:
        user = named_key(account, model, "user", end_user)
    else:
        user = prefix_key(account, model, shared)
    if named is not None:
        return StickyKeys(named_key(account, model, "session", named), user)
    # Two users who open with the same words are two conversations.
    whose = end_user or ""
    return StickyKeys(
        conversation_key(account, model, whose=whose, shared=shared, first=first), user
    )


def in_holdout(account: str, end_user: str | None, share: float) -> bool:
    """Say whether a user is one of those routed without warmth: always the same ones.

    Requests that name no end user are never held out: nobody could be compared.
    """
    if end_user is None:
        return False
    return unit(sticky_key(account, "", "holdout", end_user.encode()), "") < share


def asked_ttl_s(request: ChatRequest) -> float | None:
    """Return the longest cache life that a `cache_control` of the request asks for.

    Looks for the bytes, as decoding megabytes of messages for this would cost too much. Inside
    a prompt's text they cannot stand so: its quotes are escaped.
    """
    if not request.names_cache_control:
        return None
    asked: list[float] = []
    for name in _CACHEABLE:
        raw = request.fields.get(name)
        if raw is not None:
            asked += [ASKED_S[found.decode()] for found in set(_ASKED.findall(bytes(raw)))]
    return max(asked, default=None)
