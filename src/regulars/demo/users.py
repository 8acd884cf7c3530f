"""Plays the demo's people against a running gateway, over plain HTTP as any application would."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from regulars.demo.chat_client import Answer, Target, ask
from regulars.demo.people import Person

THREADS: Final = 6
ANSWER_TOKENS: Final = (24, 32, 48)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the play came to. `cost_usd` leaves out the `unpriced` answers."""

    users: int
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: float
    unpriced: int

    @property
    def cached_ratio(self) -> float:
        """Part of all input that came from a warm cache, 0..1."""
        return self.cached_tokens / self.prompt_tokens if self.prompt_tokens else 0.0


@dataclass(slots=True)
class _Conversation:
    """One person's chat: the history grows by each question and its answer."""

    person: Person
    number: int
    messages: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def next_body(self, turn: int) -> dict[str, Any]:
        if not self.messages:
            self.messages.append({"role": "system", "content": self.person.system})
        self.messages.append({"role": "user", "content": self.person.questions[turn]})
        body: dict[str, Any] = {
            "user": self.person.id,
            "session_id": f"{self.person.id}/{self.number}",
            "messages": self.messages,
            "max_tokens": ANSWER_TOKENS[turn % len(ANSWER_TOKENS)],
        }
        if self.person.streams:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body


def requests_of(crowd: Sequence[Person]) -> int:
    """How many requests this crowd will send."""
    return sum(person.conversations * person.turns for person in crowd)


def play(target: Target, crowd: Sequence[Person], on_answer: Callable[[], None]) -> Summary:
    """Let everybody chat, side by side, turn by turn; the first error ends the play.

    `on_answer` is called after each answer, from several threads.

    Raises:
        ChatError: the gateway cannot be reached or refused.
    """
    answers: list[Answer] = []
    with ThreadPoolExecutor(THREADS, thread_name_prefix="demo-user") as pool:
        for wave, turn in _waves(crowd):

            def take(conversation: _Conversation, turn: int = turn) -> Answer:
                answer = ask(target, conversation.next_body(turn))
                conversation.messages.append({"role": "assistant", "content": answer.text})
                on_answer()
                return answer

            answers += pool.map(take, wave)
    return _sum(len(crowd), answers)


def _waves(crowd: Sequence[Person]) -> list[tuple[list[_Conversation], int]]:
    """All that may run side by side: one person has one question open at a time."""
    waves: list[tuple[list[_Conversation], int]] = []
    for number in range(max((person.conversations for person in crowd), default=0)):
        open_now = [_Conversation(p, number) for p in crowd if p.conversations > number]
        waves += [
            ([c for c in open_now if c.person.turns > turn], turn)
            for turn in range(max(c.person.turns for c in open_now))
        ]
    return waves


def _sum(users: int, answers: Sequence[Answer]) -> Summary:
    costs = [answer.cost_usd for answer in answers if answer.cost_usd is not None]
    return Summary(
        users=users,
        requests=len(answers),
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        cached_tokens=sum(answer.cached_tokens for answer in answers),
        completion_tokens=sum(answer.completion_tokens for answer in answers),
        cost_usd=sum(costs),
        unpriced=len(answers) - len(costs),
    )
