"""The rules of WarmHRW, by their numbers in routing.md ("Decision"). They change nothing.

L is an endpoint's recent load. Its fair load F is its weight's part of all load, or its floor
where that is more: below the floor balance is worth nothing, and warmth always wins.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from regulars.routing.burst import UnderWay
from regulars.routing.keys import StickyKeys
from regulars.routing.learning import CacheLives
from regulars.routing.lineup import Lineup, Member
from regulars.routing.load import Loads
from regulars.routing.placements import Placements

VALVE_OVER_FAIR: Final = 3.0
VALVE_GAIN: Final = 2.0
USER_OVER_FAIR: Final = 1.25
HEAVY_SHARE: Final = 0.25
SPREAD_MIN: Final = 3


class Standing(Struct, frozen=True):
    """Where a key was last, and whether the endpoint is believed to hold its prompt still."""

    member: Member
    prompt_tokens: int
    warm: bool
    idle_s: float
    life_is_learned: bool


class Decision(Struct, frozen=True):
    """Where to, and why."""

    member: Member
    reason: str
    warm_tokens: int = 0
    """Prompt tokens believed warm there."""
    session: Standing | None = None
    """The session's standing there, from which the answer teaches how long caches live."""
    first: tuple[int, ...] = ()
    """Keys that have no warm placement yet: parallel requests of theirs follow this one."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What the rules look things up in."""

    placements: Placements
    under_way: UnderWay
    loads: Loads
    lives: CacheLives


class Scene:
    """The members' loads at one moment."""

    __slots__ = ("_mean", "_scaled", "lineup", "scale")

    def __init__(self, lineup: Lineup, loads: Loads, now_s: float) -> None:
        self.lineup = lineup
        self.scale = loads.scale(now_s)
        self._scaled = loads.endpoints
        self._mean: float | None = None

    @property
    def mean(self) -> float:
        """The load of the mean member. Most warm decisions never ask."""
        if self._mean is None:
            loads = self._scaled
            total = sum([loads.get(name, 0.0) for name in self.lineup.ids])
            self._mean = total / (len(self.lineup.ids) * self.scale)
        return self._mean

    @property
    def fair(self) -> float:
        """F of the mean member, which is what users are measured by."""
        return max(self.mean, self.lineup.floor)

    def load(self, member: Member) -> float:
        """L of one member."""
        return self._scaled.get(member.id, 0.0) / self.scale

    def within(self, member: Member, times: float) -> bool:
        """Say whether L is at most so many times F."""
        load = self.load(member)
        return load <= times * member.floor or load <= times * member.weight * self.mean

    def valve_opens(self, member: Member, warm_tokens: int) -> bool:
        """Say whether a drowning endpoint is worth leaving a warm prompt for."""
        if len(self.lineup.ids) == 1:
            return False
        if self.within(member, VALVE_OVER_FAIR):
            return False
        least = min(self.load(other) / other.weight for other in self.lineup.in_order)
        return self.load(member) - member.weight * least > VALVE_GAIN * warm_tokens


def decide(scene: Scene, known: Knowledge, keys: StickyKeys, now_s: float) -> Decision:
    """Apply the rules in their order; the first that holds decides."""
    # 1. Warm session: stay, unless the exit valve opens.
    session = _standing(keys.session, scene, known, now_s)
    valve = False
    if session is not None and session.warm:
        valve = scene.valve_opens(session.member, session.prompt_tokens)
        if not valve:
            return Decision(session.member, "warm-session", session.prompt_tokens, session)
    # An unanswered request of the same session decides for those beside it.
    ahead = _follow(keys.session, scene, known, now_s)
    if ahead is not None:
        return Decision(ahead, "burst", first=(keys.session,))
    if valve:
        return _cold(scene, keys, known.loads.of_user(keys.user, now_s), "valve")
    return _decide_session(scene, known, keys, now_s, session)


def _decide_session(
    scene: Scene, known: Knowledge, keys: StickyKeys, now_s: float, session: "Standing | None"
) -> Decision:
    """Apply rules 2 to 4: the session is new, or no longer warm."""
    spent = known.loads.of_user(keys.user, now_s)
    heavy = spent > HEAVY_SHARE * scene.fair
    first = (keys.session,)

    # 2. Warm user: a new session shares his prefix. Below the floor even a heavy user's does.
    user = _standing(keys.user, scene, known, now_s)
    if user is not None and user.warm:
        stays = not heavy or scene.load(user.member) <= user.member.floor
        if stays and scene.within(user.member, USER_OVER_FAIR):
            return Decision(user.member, "warm-user", user.prompt_tokens, first=first)
    elif not heavy:
        # A new user's unanswered request decides for those beside it, whatever their load.
        first = (keys.session, keys.user)
        ahead = _follow(keys.user, scene, known, now_s)
        if ahead is not None:
            return Decision(ahead, "burst", first=first)

    # 3. Idle session or user: back to the old endpoint, free if the cache outlived our belief.
    if session is not None and scene.within(session.member, 1.0):
        return Decision(session.member, "idle", 0, session, first)
    if user is not None and not user.warm and scene.within(user.member, 1.0):
        return Decision(user.member, "idle", first=first)

    decision = _cold(scene, keys, spent, "heavy" if heavy else "cold")
    return replace(decision, first=first)


def _cold(scene: Scene, keys: StickyKeys, spent: float, reason: str) -> Decision:
    """Rule 4: the least loaded of the first k in the user's own order; ties by that order."""
    k = max(SPREAD_MIN, ceil(spent / (HEAVY_SHARE * scene.fair)))
    order = scene.lineup.first(keys.user, k)
    member = min(order, key=lambda one: scene.load(one) / one.weight)
    return Decision(member, reason, first=(keys.session,))


def decide_unshared(scene: Scene, known: Knowledge, keys: StickyKeys, now_s: float) -> Decision:
    """Rule 5: with no channel between nodes, decide so that all of them decide alike."""
    heavy = known.loads.of_user(keys.user, now_s) > HEAVY_SHARE * scene.fair
    order = scene.lineup.first(keys.session if heavy else keys.user, 1)
    return Decision(order[0], "unshared")


def _standing(key: int, scene: Scene, known: Knowledge, now_s: float) -> Standing | None:
    """Look up where a key was last; None when that is forgotten or cannot be chosen."""
    placement = known.placements.get(key, now_s)
    if placement is None:
        return None
    endpoint_id, at_s, prompt_tokens, asked_s = placement
    member = scene.lineup.members.get(endpoint_id)
    if member is None:
        return None
    idle_s = now_s - at_s
    life_s = member.ttl_s if asked_s is None else asked_s
    if life_s is None:
        warm = known.lives.believed(endpoint_id, idle_s)
        return Standing(member, prompt_tokens, warm, idle_s, life_is_learned=True)
    return Standing(member, prompt_tokens, idle_s <= life_s, idle_s, life_is_learned=False)


def _follow(key: int, scene: Scene, known: Knowledge, now_s: float) -> Member | None:
    endpoint_id = known.under_way.endpoint(key, now_s)
    return None if endpoint_id is None else scene.lineup.members.get(endpoint_id)
