"""Where else than in `user` a request's body names its end user.

Sources: OpenAI's `safety_identifier`; Anthropic's `metadata.user_id`, for which Claude Code sends
`user_<hash>_account_<uuid>_session_<uuid>`, newer versions a JSON object as text.
"""

import re
from typing import Final

import msgspec
from msgspec import Struct

from regulars.model.errors import CallerError
from regulars.wire.chat import ChatRequest


class _Metadata(Struct):
    user_id: str | None = None


class _Harness(Struct):
    account_uuid: str = ""
    device_id: str = ""
    user_id: str = ""
    session_id: str = ""


class MetadataUser(Struct, frozen=True, gc=False):
    """The end user, and the session that a harness names along with him."""

    user: str
    session: str | None = None


_TEXT: Final = msgspec.json.Decoder(str | None)
_METADATA: Final = msgspec.json.Decoder(_Metadata)
_HARNESS: Final = msgspec.json.Decoder(_Harness)
_JOINED: Final = re.compile(r"user_([^_]*)_account_([^_]*)_session_(.*)", re.DOTALL)


def safety_identifier(request: ChatRequest) -> str | None:
    """Return the request's `safety_identifier`, None when absent or null."""
    raw = request.fields.get("safety_identifier")
    if raw is None:
        return None
    try:
        return _TEXT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CallerError("safety_identifier: is not a string") from exc


def metadata_user(request: ChatRequest) -> MetadataUser | None:
    """Return who `metadata.user_id` names, None when it is absent.

    `metadata` of another shape is the upstream's to judge: it names nobody.
    """
    raw = request.fields.get("metadata")
    if raw is None or b'"user_id"' not in bytes(raw):
        return None
    try:
        named = _METADATA.decode(raw).user_id
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return None if named is None else _taken_apart(named)


def _taken_apart(named: str) -> MetadataUser:
    if named.startswith("{"):
        try:
            harness = _HARNESS.decode(named.encode("utf-8", "surrogatepass"))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return MetadataUser(named)
        user = harness.account_uuid or harness.user_id or harness.device_id
        return MetadataUser(user, harness.session_id or None) if user else MetadataUser(named)
    joined = _JOINED.fullmatch(named)
    if joined is None:
        return MetadataUser(named)
    device, account, session = joined.groups()
    user = account or device
    return MetadataUser(user, session or None) if user else MetadataUser(named)
