"""A stream of the common dialect → frames for the client and figures for the ledger.

Most chunks are passed on as the upstream's own bytes with id and model replaced; only chunks
that carry usage, an error, an end, or that look unlike their predecessors are parsed. A quote
inside a JSON string is always escaped, so `"id":"…"` can only be met as a key and its value.
"""

from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from regulars.model.errors import UpstreamError, UpstreamProtocolError
from regulars.model.money import ReportedCost
from regulars.model.tokens import Usage
from regulars.providers.openai.charged import read_cost, read_service_tier, read_usage_tier
from regulars.providers.openai.choices import finish_reason, has_content, polish
from regulars.providers.openai.chunk import chunk_of_whole, read_chunk
from regulars.providers.openai.failure import read_stream_failure
from regulars.providers.openai.kept import kept_id, kept_name
from regulars.providers.openai.mould import Mould
from regulars.providers.openai.usage import read_usage
from regulars.wire.answers import Label, json_text
from regulars.wire.large import LARGE_BYTES, long_string
from regulars.wire.sse import CR, EventCutter, EventTooLargeError

_NULL: Final = Raw(b"null")
_CHUNK: Final = Raw(b'"chat.completion.chunk"')
_NEVER: Final = b"\0"
"""Replaced before the first chunk has shown what to replace: JSON holds no NUL."""
_HERE: Final = b"\1"
"""Stands for a long text that was taken out: JSON holds no such byte either."""

FRAMING_BYTES: Final = len(b"data: \n\n")
CHUNK_FRAMING_BYTES: Final = len(b"100\r\n\r\n")

HELD_BYTES_MAX: Final = 1_048_576
"""How much may be held back while no content has come."""


class StreamReader:
    """Reads one upstream stream. Feed pieces, pass on what comes back.

    Nothing comes back before the first content: until then another endpoint may be tried.
    After `feed` look at `error`: what was good before it has been returned.
    """

    __slots__ = (
        "_counted",
        "_cutter",
        "_held",
        "_id_new",
        "_id_old",
        "_label",
        "_model_new",
        "_model_old",
        "_mould",
        "_overhead",
        "_provider",
        "_seen_created",
        "_silent",
        "bytes_in",
        "chunks",
        "cost",
        "done",
        "error",
        "finish_reason",
        "halted",
        "native_finish_reason",
        "service_tier",
        "started",
        "upstream_id",
        "usage",
    )

    def __init__(self, label: Label) -> None:
        self._cutter = EventCutter()
        self._held: list[bytes] = []
        self._label = label
        self._id_old = self._model_old = _NEVER
        self._mould: Mould | None = None
        self._id_new = b'"id":"%b","provider":%b' % (label.id.encode(), json_text(label.provider))
        self._model_new = b'"model":' + json_text(label.model)
        self._provider = Raw(json_text(label.provider))
        self._seen_created = False
        self.started = False
        """Content has come: from here on the endpoint is final."""
        self.done = False
        self.halted = False
        """The stream is at its end, by `[DONE]` or by an error. Asked once a chunk: no property."""
        self.error: UpstreamError | None = None
        self.usage: Usage | None = None
        self.cost: ReportedCost | None = None
        self.service_tier: str | None = None
        self.finish_reason: str | None = None
        self.native_finish_reason: str | None = None
        self.upstream_id: str | None = None
        self.chunks = 0
        self._silent = 0
        """Chunks that carried no content."""
        self._counted = 0
        """Chunks with content up to the last that said what was used."""
        self.bytes_in = 0
        self._overhead: int | None = None

    @property
    def label(self) -> Label:
        """What the frames say of themselves: our names, and the time the upstream gave first."""
        return self._label

    @property
    def content_bytes(self) -> int:
        """Roughly how many bytes of content came: all bytes less the chunks' own.

        Never less than four a chunk, since a chunk carries a token or more.
        """
        if not self.started:
            return 0
        return max(self.bytes_in - self.chunks * (self._overhead or 0), 4 * self.chunks)

    @property
    def counted_early(self) -> bool:
        """Whether `usage` is that of a part: content came after it, and it cannot have known of it.

        Where the stream reached its end, a provider that had all of the answer may have told ahead.
        """
        if self.usage is None or self.chunks - self._silent <= self._counted:
            return False
        return not self.usage.completion_tokens or (self.finish_reason is None and not self.done)

    def feed(self, piece: bytes) -> bytes:
        """Take a piece as it came from the socket, return frames for the client (or b"")."""
        self.bytes_in += len(piece)
        mould = self._mould
        if mould is not None and not self._cutter.rest:
            event = mould.event(piece)
            if event is not None:
                self.chunks += 1
                return event
        if self.started and not self._cutter.rest and self._is_plain(piece):
            return piece.replace(self._id_old, self._id_new).replace(
                self._model_old, self._model_new
            )
        try:
            events = self._cutter.feed(piece)
        except EventTooLargeError as exc:
            self._fail(UpstreamProtocolError(f"{self._label.provider} sent {exc}"))
            return b""
        return self._frames(events)

    def chunk(self, wire: bytes) -> bytes | None:
        """Take one whole chunk of HTTP, framing included, and return one for the client.

        None, and nothing has been taken, for all but an event like the one before, in a chunk
        of its own: `feed` is for those.
        """
        mould = self._mould
        if mould is None or self._cutter.rest:
            return None
        framed = mould.chunk(wire)
        if framed is None:
            return None
        self.chunks += 1
        # Without the framing, up to a byte or two: they only serve an estimate.
        self.bytes_in += len(wire) - CHUNK_FRAMING_BYTES
        return framed

    def end(self) -> bytes:
        """Say that the upstream's body has ended; return what was still held."""
        rest = self._cutter.rest
        events = self._cutter.end()
        if rest and not events and not self.chunks:
            whole = chunk_of_whole(rest)
            events = [] if whole is None else [whole]
        frames = self._frames(events)
        if self._held:
            frames = b"".join(self._held) + frames
            self._held.clear()
        return frames

    def _frames(self, events: list[bytes]) -> bytes:
        frames: list[bytes] = []
        for data in events:
            if self.halted:
                break
            frame = None
            if self.started:
                frame = self._splice(data) if len(data) <= LARGE_BYTES else self._splice_large(data)
            if frame is None:
                frame = self._read(data)
                if not self.started:
                    self._hold(frame)
                    continue
                if self._held:
                    frames.extend(self._held)
                    self._held.clear()
            frames.append(frame)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _is_plain(self, piece: bytes) -> bool:
        """Tell a piece of whole plain chunks, which needs no cutting into events; count them."""
        if len(piece) > LARGE_BYTES and piece.find(b"\n\n", 0, LARGE_BYTES) < 0:
            return False  # one large event: `_splice_large` has a shorter way
        count = piece.count(b"\n\n")
        if (
            piece.count(self._id_old) != count
            or piece.count(b'"finish_reason":null') != count
            or piece.count(self._model_old) != count
            or not piece.endswith(b"\n\n")
            or piece.find(b'"usage"') >= 0
            or piece.find(b'"error"') >= 0
            or piece.find(b'"reasoning_content"') >= 0
            or CR in piece
            or self._id_old is _NEVER
            or self.halted
        ):
            return False
        self.chunks += count
        return True

    def _splice(self, data: bytes) -> bytes | None:
        """Replace id and model in a plain chunk; None for a chunk that has to be read."""
        if (
            data.find(b'"finish_reason"') < 0
            or data.find(b'"finish_reason":"') >= 0
            or data.find(b'"finish_reason": "') >= 0
            or data.find(b'"error"') >= 0
            or data.find(b'"reasoning_content"') >= 0
        ):
            return None
        if data.find(b'"usage"') >= 0:
            if data.find(b',"usage":null') < 0:
                return None
            data = data.replace(b',"usage":null', b"", 1)
        renamed = data.replace(self._id_old, self._id_new, 1)
        if renamed is data:
            return None
        spliced = renamed.replace(self._model_old, self._model_new, 1)
        if spliced is renamed and self._model_old not in renamed:
            return None
        self.chunks += 1
        return b"data: " + spliced + b"\n\n"

    def _splice_large(self, data: bytes) -> bytes | None:
        """Splice a chunk without looking through its text: 1 MB takes 0.1 ms, as a whole 1.3.

        Text that fits the mould, or any long string, has no quote in it and so no key.
        """
        event = None if self._mould is None else self._mould.event(b"data: %b\n\n" % data)
        if event is not None:
            self.chunks += 1
            return event
        found = long_string(data)
        if found is None:
            return self._splice(data)
        before, after = data[: found[0]], data[found[1] :]
        if before.find(_HERE) >= 0 or after.find(_HERE) >= 0:
            return self._splice(data)
        spliced = self._splice(before + _HERE + after)
        if spliced is None:
            return None
        before, _, after = spliced.partition(_HERE)
        return b"".join((before, memoryview(data)[slice(*found)], after))

    def _hold(self, frame: bytes) -> None:
        if frame:
            self._held.append(frame)
        if sum(map(len, self._held)) > HELD_BYTES_MAX:
            self._fail(
                UpstreamProtocolError(
                    f"{self._label.provider} sent {HELD_BYTES_MAX} bytes of chunks without content"
                )
            )

    def _read(self, data: bytes) -> bytes:
        """Parse a chunk, take what the ledger needs, write it in OpenRouter's shape."""
        self._mould = None  # until this chunk has shown that it fits
        text = data.strip()
        if text == b"[DONE]":
            self.done = self.halted = True
        if not text or self.halted:  # an event without data is none
            return b""
        chunk = read_chunk(data)
        if chunk is None:
            self._fail(
                UpstreamProtocolError(
                    f"{self._label.provider} sent an event that is no chat completion chunk"
                )
            )
            return b""
        fields, choices, upstream_id = chunk.fields, chunk.choices, chunk.upstream_id
        if "service_tier" in fields:  # the last one counts: the first may say `auto`
            self.service_tier = read_service_tier(fields["service_tier"]) or self.service_tier
        reported = chunk.usage
        usage = read_usage(reported)
        if usage is not None:
            before, self.usage = self.usage, usage
            cost = read_cost(reported)
            # A charge said before is for what was counted then.
            if cost is not None or before is None or before.total_tokens != usage.total_tokens:
                self.cost = cost
            self._counted = self.chunks - self._silent
            if self.upstream_id is None:
                self.upstream_id = kept_id(upstream_id)
            self.service_tier = self.service_tier or read_usage_tier(reported)
        if chunk.error:
            self._fail(read_stream_failure(self._label.provider, chunk.error))
            return b""
        if usage is not None and not choices:
            return b""
        self._note(choices, upstream_id, len(data) + FRAMING_BYTES)
        if usage is not None:
            self._counted = self.chunks - self._silent
        self._learn(chunk.data, fields, _only_text(choices))
        return self._render(fields, choices)

    def _fail(self, error: UpstreamError) -> None:
        self.error = error
        self.halted = True

    def _note(self, choices: list[dict[str, Any]], upstream_id: object, size: int) -> None:
        self.chunks += 1
        speaks = False
        if self.upstream_id is None:
            self.upstream_id = kept_id(upstream_id)
        for choice in choices:
            native = polish(choice, body="delta")
            if native is not None:
                self.native_finish_reason = kept_name(native)
                self.finish_reason = finish_reason(native)
            delta = choice["delta"]
            speaks = speaks or has_content(delta)
            if native is not None or speaks:
                self.started = True
                if self._overhead is None:
                    self._overhead = size - len(str(delta.get("content") or "").encode())
        if not speaks:
            self._silent += 1

    def _learn(self, data: bytes, fields: dict[str, Raw], plain_text: str | None) -> None:
        """Remember how this upstream writes id and model, to replace them without parsing.

        Nothing is learned of one whose chunks need more than that.
        """
        complete = fields.get("object") == _CHUNK and bytes(fields.get("created", _NULL)).isdigit()
        if not complete or fields.get("system_fingerprint") == _NULL:
            self._id_old = _NEVER
            return
        self._id_old = _written(data, b'"id"', fields.get("id"))
        self._model_old = _written(data, b'"model"', fields.get("model"))
        if self.started and plain_text is not None:
            self._mould = self._cast(data, plain_text)

    def _cast(self, data: bytes, text: str) -> Mould | None:
        """Make the mould of chunks that differ from this one in their text alone."""
        quoted = json_text(text)
        written = _written(data, b'"content"', Raw(quoted))
        if written is _NEVER or len(quoted) != len(text.encode()) + 2:
            return None
        start = data.index(written) + len(written) - len(quoted) + 1
        before, after = data[:start], data[start + len(quoted) - 2 :]
        spliced = self._splice(before + after)
        if spliced is None:
            return None
        self.chunks -= 1  # it was counted when it was read
        new_before = b"data: " + self._renamed(before)
        new_after = self._renamed(after) + b"\n\n"
        if new_before + new_after != spliced:
            return None
        return Mould(b"data: " + before, after + b"\n\n", new_before, new_after)

    def _renamed(self, part: bytes) -> bytes:
        part = part.replace(b',"usage":null', b"").replace(self._id_old, self._id_new)
        return part.replace(self._model_old, self._model_new)

    def _render(self, fields: dict[str, Raw], choices: list[dict[str, Any]]) -> bytes:
        label = self._label
        fields["id"] = Raw(json_text(label.id))
        fields["object"] = _CHUNK
        fields["model"] = Raw(json_text(label.model))
        fields["provider"] = self._provider
        fields["choices"] = Raw(msgspec.json.encode(choices))
        created = bytes(fields.get("created", _NULL))
        if not self._seen_created and created.isdigit() and len(created) < 20:
            label = self._label = replace(label, created=int(created))
        self._seen_created = True
        fields["created"] = Raw(str(label.created).encode())
        if fields.get("system_fingerprint") == _NULL:
            del fields["system_fingerprint"]
        return b"data: " + msgspec.json.encode(fields) + b"\n\n"


def _only_text(choices: list[dict[str, Any]]) -> str | None:
    """Return the text of a chunk that adds nothing but text to its only choice."""
    if len(choices) != 1 or choices[0]["finish_reason"] is not None:
        return None
    delta = choices[0]["delta"]
    text = delta.get("content")
    return text if len(delta) == 1 and isinstance(text, str) else None


def _written(data: bytes, key: bytes, value: Raw | None) -> bytes:
    if value is None or value == _NULL:
        return _NEVER
    for colon in (b":", b": "):
        pattern = key + colon + bytes(value)
        if data.count(pattern) == 1:
            return pattern
    return _NEVER
