"""A chat request's sticky keys: which of its fields names the session and the user."""

from typing import Final

from regulars.routing.keys import StickyKeys, join, sticky_key
from regulars.wire.chat import ChatRequest, opener, prompt_cache_key

HARNESS_HEADERS: Final = (b"x-claude-code-session-id", b"x-session-affinity")


def sticky_keys(
    request: ChatRequest, *, account: str, end_user: str | None, session: str | None
) -> StickyKeys:
    """Derive S and U as routing.md ("Keys") orders the sources.

    `session` is the explicit one, from body or header. Without any, the conversation's opener
    stands for the session; without an end user, its shared prefix stands for the user.
    """
    named = session if session is not None else prompt_cache_key(request)
    shared = first = b""
    if named is None or end_user is None:
        shared, first = opener(request)
    user_kind, user_name = ("user", end_user.encode()) if end_user else ("prefix", shared)
    user = sticky_key(account, request.model, user_kind, user_name)
    if named is not None:
        return StickyKeys(sticky_key(account, request.model, "session", named.encode()), user)
    # Two users who open with the same words are two conversations.
    conversation = join((user_kind.encode(), user_name, shared, first))
    return StickyKeys(sticky_key(account, request.model, "opener", conversation), user)
