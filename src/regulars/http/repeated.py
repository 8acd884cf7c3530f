"""A request whose head is the one before's, but for its length: nothing of it is read again.

Clients that keep a connection send the same head with each request. The parser read it once; the
same bytes again, with other digits in `content-length`, mean the same. Pure.
"""

from typing import Final

from regulars.http.asgi import App, Scope

HEAD_BYTES_MAX: Final = 8_192
"""Longer heads are read each time."""
DIGITS_MAX: Final = 8
LESSONS: Final = 4
"""So many heads of a connection are learned: where each is another, none is worth it."""
HELD_BODY_BYTES_MAX: Final = 65_536
"""Bodies of more do not come in the one piece that is waited for."""
LENGTH: Final = b"\r\ncontent-length:"
_UNFIT: Final = (b"\r\nexpect:", b"\r\nupgrade:", b"\r\ntransfer-encoding:")
"""Headers with which a request's bytes do not tell by themselves what happens to it."""


class RepeatedHead:
    """A head as it was sent, cut around its length; the scope read from it, and who serves it."""

    __slots__ = ("_after", "_before", "app", "scope")

    def __init__(self, before: bytes, after: bytes, scope: Scope, app: App) -> None:
        self._before = before
        self._after = after
        self.scope = scope
        self.app = app

    def body(self, data: bytes) -> bytes | None:
        """Return the body if `data` is just one request with this head, else None."""
        before, after = self._before, self._after
        if not data.startswith(before):
            return None
        at = len(before)
        end = data.find(b"\r", at, at + DIGITS_MAX + 1)
        if end < 0 or not data.startswith(after, end):
            return None
        digits, begin = data[at:end], end + len(after)
        if not digits.isdigit() or int(digits) != len(data) - begin:
            return None
        return data[begin:]

    def is_alone(self, data: bytes) -> bool:
        """Say whether `data` is this head and nothing behind it, and its body is likely one piece."""
        before, after = self._before, self._after
        if not (data.startswith(before) and data.endswith(after)):
            return False
        digits = data[len(before) : -len(after)]
        if not digits.isdigit() or len(digits) > DIGITS_MAX:
            return False
        return 0 < int(digits) <= HELD_BODY_BYTES_MAX


class HeadMemory:
    """What one connection knows of its heads.

    A head is learned from a request's own bytes and from the scope that was read from it, which
    come from two sides: what is parsed, and who serves it, perhaps after others were parsed.
    """

    __slots__ = ("_lesson", "_piece", "_served", "known", "lessons")

    def __init__(self) -> None:
        self.known: RepeatedHead | None = None
        self.lessons = LESSONS
        self._lesson: tuple[Scope, tuple[bytes, bytes]] | None = None
        """What was read from the head of the request that came last, and the head, cut."""
        self._served: tuple[Scope, App] | None = None
        """What was read from the head of the one that is served, and who serves it."""
        self._piece = b""
        """A head whose body comes apart."""

    def forget(self) -> None:
        """Let go of what is half learned: another request begins."""
        self._lesson = self._served = None

    def skip(self) -> None:
        """Do not learn from the request that is coming: its body went another way."""
        self._piece = b""

    def came(self, data: bytes, scope: Scope | None, *, first: bool) -> None:
        """Learn from what the parser took: one request in one piece, or in one and another for its body.

        `scope` is None as long as the request is not whole.
        """
        if scope is None:
            self._piece = data if first and data.endswith(b"\r\n\r\n") else b""
        elif first or self._piece:
            data, self._piece = data if first else self._piece + data, b""
            self.lessons -= 1
            cut = cut_head(data)
            if cut is not None:
                self._lesson = scope, cut
                self._learn()

    def served(self, scope: Scope, app: App) -> None:
        """Have requests with this scope's head served by `app`: the scope says all they say."""
        self._served = scope, app
        self._learn()

    def _learn(self) -> None:
        if self._lesson is None or self._served is None:
            return
        (read, cut), (scope, app) = self._lesson, self._served
        if read is scope:
            self.known = RepeatedHead(*cut, scope, app)
            self.forget()


def cut_head(data: bytes) -> tuple[bytes, bytes] | None:
    """Cut the head of a request that the parser took whole around the digits of its length.

    None where there is no such place, or more is sent than one request.
    """
    end = data.find(b"\r\n\r\n", 0, HEAD_BYTES_MAX) + 4
    if end < 4:
        return None
    head = data[:end]
    lower = head.lower()
    at = lower.find(LENGTH)
    if at < 0 or any(lower.find(name) >= 0 for name in _UNFIT):
        return None
    begin = at + len(LENGTH)
    begin += len(head) - begin - len(head[begin:].lstrip(b" "))
    stop = head.find(b"\r", begin)
    before, digits, after = head[:begin], head[begin:stop], head[stop:]
    is_length = digits.isdigit() and len(digits) <= DIGITS_MAX and int(digits) == len(data) - end
    # A line that goes on in the next one, or the length said twice, is the parser's to judge.
    if not is_length or after[2:3] in (b" ", b"\t") or lower.find(LENGTH, begin) >= 0:
        return None
    return before, after
