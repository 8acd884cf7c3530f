"""WarmHRW: stay where a key is warm, choose freely only when it is cold.

`Router` holds what one process knows and keeps it true; the rules it decides by are in
`rules.py`. Source: routing.md. Pure: every method takes the time, in seconds of one clock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from regulars.model.catalog import Endpoint
from regulars.model.tokens import Usage
from regulars.routing.burst import UnderWay
from regulars.routing.keys import StickyKeys
from regulars.routing.learning import CacheLives
from regulars.routing.lineup import FLOOR, Lineups, Member
from regulars.routing.load import Loads
from regulars.routing.placements import Placement, Placements
from regulars.routing.rules import Decision, Knowledge, Scene, decide, decide_unshared
from regulars.routing.sharing import (
    PLACEMENTS_MAX,
    Collected,
    Outbox,
    SharedLoads,
    SharedPlacement,
    Sharing,
)

OUTPUT_TOKENS_START: Final = 200.0
OUTPUT_SMOOTHING: Final = 0.05


class Choice(Struct, frozen=True):
    """One endpoint to try, and why. The rest is what `answered` and `failed` need to know."""

    endpoint: Endpoint
    member: Member
    """The endpoint as it was weighed."""
    reason: str
    charged: float
    """Load counted for it in advance."""
    keys: StickyKeys
    sent_s: float
    ttl_s: float | None
    """Cache life that the request itself asked for."""
    expected_tokens: int
    """What this session read there `idle_s` ago; 0 where nothing is to be learned from that."""
    idle_s: float


@dataclass(slots=True)
class Router:
    """The soft state of one process. Losing it costs one cold prefill per active key."""

    floor: float = FLOOR
    price_counts: bool = False
    """Whether cheap endpoints draw more users, by 1/price²."""
    sharing: Sharing = Sharing.ALONE
    placements: Placements = field(default_factory=Placements)
    under_way: UnderWay = field(default_factory=UnderWay)
    loads: Loads = field(default_factory=Loads)
    lives: CacheLives = field(default_factory=CacheLives)
    output_tokens: float = OUTPUT_TOKENS_START
    """Running mean of what an answer costs in output, until it is known."""
    _knowledge: Knowledge = field(init=False)
    _lineups: Lineups = field(init=False)
    _collected: Collected = field(init=False, default_factory=Collected)

    def __post_init__(self) -> None:
        self._lineups = Lineups(floor=self.floor, price_counts=self.price_counts)
        self._knowledge = Knowledge(self.placements, self.under_way, self.loads, self.lives)

    def choose(
        self,
        candidates: Sequence[Endpoint],
        keys: StickyKeys,
        *,
        prompt_tokens: int,
        now_s: float,
        tried: Sequence[str] = (),
        ttl_s: float | None = None,
    ) -> Choice | None:
        """Choose among the candidates that were not tried; None when none is left.

        `prompt_tokens` is an estimate, `ttl_s` the cache life the request asks for, if it does.
        The choice's load is counted at once, so that simultaneous requests see each other;
        `answered` or `failed` corrects it.
        """
        usable = candidates
        if tried:
            usable = [endpoint for endpoint in candidates if endpoint.id not in tried]
        if not usable:
            return None
        scene = Scene(self._lineups.of(usable), self.loads, now_s)
        decision = self._decision(scene, keys, now_s)
        if tried:
            decision = replace(decision, reason="failover")
        elif len(candidates) == 1:
            decision = replace(decision, reason="only-one")
        return self._charge(decision, keys, prompt_tokens, now_s, ttl_s, scale=scene.scale)

    def take(
        self,
        endpoint: Endpoint,
        keys: StickyKeys,
        *,
        reason: str,
        prompt_tokens: int,
        now_s: float,
        ttl_s: float | None = None,
    ) -> Choice:
        """Go where the request itself said (`order`, `sort`), and count it as any other."""
        lineup = self._lineups.of((endpoint,))
        decision = Decision(lineup.members[endpoint.id], reason)
        scale = self.loads.scale(now_s)
        return self._charge(decision, keys, prompt_tokens, now_s, ttl_s, scale=scale)

    def explain(
        self, candidates: Sequence[Endpoint], keys: StickyKeys, *, now_s: float
    ) -> tuple[str, str] | None:
        """Return (endpoint id, reason) that `choose` would give, and change nothing."""
        if not candidates:
            return None
        scene = Scene(self._lineups.of(candidates), self.loads, now_s)
        decision = self._decision(scene, keys, now_s)
        return decision.member.id, "only-one" if len(candidates) == 1 else decision.reason

    def scene(self, candidates: Sequence[Endpoint], now_s: float) -> Scene:
        """Show the candidates' loads, floors and weights as a decision sees them."""
        return Scene(self._lineups.of(candidates), self.loads, now_s)

    def knows(self, keys: StickyKeys, now_s: float) -> bool:
        """Say whether the session has a placement. If not, others may be asked for it once."""
        return self.placements.get(keys.session, now_s) is not None

    def answered(self, choice: Choice, keys: StickyKeys, usage: Usage, now_s: float) -> None:
        """Record an answer: the keys are warm there, and the load is what it really was."""
        endpoint_id = choice.endpoint.id
        cached = min(usage.cached_tokens or 0, usage.prompt_tokens)
        real = choice.member.units(usage.prompt_tokens - cached, cached, usage.completion_tokens)
        self._correct(choice, real, now_s)
        # Heavy is who was heavy, not who might be: a burst of first requests stays together.
        self.loads.add_user(keys.user, real, now_s)
        self.output_tokens += OUTPUT_SMOOTHING * (usage.completion_tokens - self.output_tokens)
        if choice.expected_tokens and usage.cached_tokens is not None:
            expected = min(choice.expected_tokens, usage.prompt_tokens)
            self.lives.saw(endpoint_id, choice.idle_s, cached=cached, expected=expected)
        placement = (endpoint_id, now_s, usage.prompt_tokens, choice.ttl_s)
        self.placements.keep_for(self._lineups.cache_life_s)
        self.placements.put(keys.session, placement, now_s)
        self.placements.put(keys.user, placement, now_s)
        self.under_way.settle(keys.session, keys.user)
        if self.sharing is Sharing.CHANNEL:
            self._collected.placed(keys.session)
            self._collected.placed(keys.user)
            self._collected.used(keys.user, real)

    def failed(self, choice: Choice, now_s: float) -> None:
        """Take back the load of an attempt that came to nothing. Placements stay."""
        self._correct(choice, 0.0, now_s)
        self.under_way.failed(choice.keys.session, choice.endpoint.id)
        self.under_way.failed(choice.keys.user, choice.endpoint.id)

    def outbox(self, now_s: float) -> Outbox:
        """Tell what changed since the last call. Empty unless there is a channel."""
        collected, self._collected = self._collected, Collected()
        told = ((key, self.placements.get(key, now_s)) for key in collected.keys)
        return Outbox(
            placements=tuple(_shared(key, known, now_s) for key, known in told if known),
            loads=SharedLoads(collected.endpoints, collected.users),
        )

    def everything(self, now_s: float) -> Outbox:
        """Tell a joining process all it needs to start warm: the newest placements, all loads."""
        known = self.placements.items(now_s)
        surplus = max(len(self.placements) - PLACEMENTS_MAX, 0)
        scale = self.loads.scale(now_s)
        return Outbox(
            placements=tuple(
                _shared(key, found, now_s) for key, found in islice(known, surplus, None)
            ),
            loads=SharedLoads(
                {name: load / scale for name, load in self.loads.endpoints.items()},
                {user: load / scale for user, load in self.loads.users.items()},
            ),
        )

    def merge(
        self,
        placements: Iterable[SharedPlacement],
        loads: SharedLoads,
        now_s: float,
        *,
        late_s: float = 0.0,
    ) -> None:
        """Take in what another router told, `late_s` ago as far as one knows."""
        for told in placements:
            at_s = now_s - told.idle_s - late_s
            known = self.placements.get(told.key, now_s)
            if known is None or known[1] < at_s:
                placement = (told.endpoint, at_s, told.prompt_tokens, told.ttl_s)
                self.placements.put(told.key, placement, now_s)
        for endpoint_id, amount in loads.endpoints.items():
            self.loads.correct(endpoint_id, amount, sent_s=now_s - late_s, now_s=now_s)
        for user, amount in loads.users.items():
            self.loads.add_user(user, amount, now_s)

    def _decision(self, scene: Scene, keys: StickyKeys, now_s: float) -> Decision:
        if self.sharing is Sharing.CUT:
            return decide_unshared(scene, self._knowledge, keys, now_s)
        return decide(scene, self._knowledge, keys, now_s)

    def _charge(
        self,
        decision: Decision,
        keys: StickyKeys,
        prompt_tokens: int,
        now_s: float,
        ttl_s: float | None,
        *,
        scale: float,
    ) -> Choice:
        member, session = decision.member, decision.session
        cached = min(decision.warm_tokens, prompt_tokens)
        charged = member.units(prompt_tokens - cached, cached, self.output_tokens)
        self.loads.charge(member.id, charged, scale)
        if self.sharing is Sharing.CHANNEL:
            self._collected.sent(member.id, charged)
        for key in decision.first:
            self.under_way.note(key, member.id, now_s)
        expected_tokens, idle_s = 0, 0.0
        if session is not None and session.life_is_learned:
            expected_tokens, idle_s = session.prompt_tokens, session.idle_s
        return Choice(
            member.endpoint,
            member,
            decision.reason,
            charged,
            keys,
            now_s,
            ttl_s,
            expected_tokens,
            idle_s,
        )

    def _correct(self, choice: Choice, real: float, now_s: float) -> None:
        difference = real - choice.charged
        endpoint_id = choice.endpoint.id
        self.loads.correct(endpoint_id, difference, sent_s=choice.sent_s, now_s=now_s)
        if self.sharing is Sharing.CHANNEL:
            self._collected.sent(endpoint_id, difference)


def _shared(key: int, placement: Placement, now_s: float) -> SharedPlacement:
    endpoint_id, at_s, prompt_tokens, ttl_s = placement
    return SharedPlacement(key, endpoint_id, max(now_s - at_s, 0.0), prompt_tokens, ttl_s)
