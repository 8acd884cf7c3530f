"""Who chooses: the gateway's router on one or more nodes, or a rule to compare it with."""

from collections.abc import Sequence
from random import Random
from typing import Protocol

from regulars.model.catalog import Endpoint
from regulars.model.tokens import Usage
from regulars.routing.keys import StickyKeys
from regulars.routing.lineup import Lineup
from regulars.routing.warmhrw import Choice, Router
from regulars.simulate.nodes import Nodes
from regulars.simulate.plan import Plan, Policy


class Chooser(Protocol):
    """Chooses an endpoint for each request, and is told of the answer."""

    def choose(
        self, up: Sequence[Endpoint], keys: StickyKeys, prompt_tokens: int, now_s: float
    ) -> Endpoint:
        """Choose among the endpoints that are up."""
        ...

    def answered(self, usage: Usage, now_s: float) -> None:
        """Learn from the answer of the last choice."""
        ...


def chooser(plan: Plan) -> Chooser:
    """Make the policy that a plan names."""
    random = Random(plan.seed)  # noqa: S311 - a replay must give the same twice
    match plan.policy:
        case Policy.WARM:
            return WarmChooser(Nodes(plan.nodes, plan.share_delay_s), random)
        case Policy.RANDOM:
            return RandomChooser(random)
        case Policy.HRW:
            return HrwChooser()


class WarmChooser:
    """The router objects; each request arrives at any of the nodes."""

    def __init__(self, nodes: Nodes, random: Random) -> None:
        self._nodes = nodes
        self._random = random
        self._last: tuple[Router, Choice] | None = None

    def choose(
        self, up: Sequence[Endpoint], keys: StickyKeys, prompt_tokens: int, now_s: float
    ) -> Endpoint:
        """Choose as the gateway does."""
        router = self._random.choice(self._nodes.at(now_s))
        choice = router.choose(up, keys, prompt_tokens=prompt_tokens, now_s=now_s)
        assert choice is not None, "someone is up, and nobody was tried"
        self._last = (router, choice)
        return choice.endpoint

    def answered(self, usage: Usage, now_s: float) -> None:
        """Learn as the gateway does."""
        assert self._last is not None, "answers follow choices"
        router, choice = self._last
        router.answered(choice, choice.keys, usage, now_s)


class RandomChooser:
    """By weight only, as most gateways do."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def choose(
        self, up: Sequence[Endpoint], keys: StickyKeys, prompt_tokens: int, now_s: float
    ) -> Endpoint:
        """Choose any."""
        _ = keys, prompt_tokens, now_s
        return self._random.choices(up, weights=[endpoint.capacity for endpoint in up])[0]

    def answered(self, usage: Usage, now_s: float) -> None:
        """Learn nothing."""


class HrwChooser:
    """Always the user's first endpoint, whatever the load."""

    def __init__(self) -> None:
        self._lineup = Lineup(())

    def choose(
        self, up: Sequence[Endpoint], keys: StickyKeys, prompt_tokens: int, now_s: float
    ) -> Endpoint:
        """Choose the first of the user's own order."""
        _ = prompt_tokens, now_s
        if self._lineup.candidates is not up:
            self._lineup = Lineup(up)
        return self._lineup.first(keys.user, 1)[0].endpoint

    def answered(self, usage: Usage, now_s: float) -> None:
        """Learn nothing."""
