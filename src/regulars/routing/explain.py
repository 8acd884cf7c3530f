"""What would happen to a request, and why, without sending it. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from regulars.model.catalog import Endpoint
from regulars.routing.health import Refusal
from regulars.routing.keys import StickyKeys
from regulars.routing.plan import Plan, Planner, Stage


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a key was last."""

    endpoint: str
    idle_s: float
    prompt_tokens: int


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint as the decision sees it; load and fair share in cost units."""

    id: str
    provider: str
    refusal: str | None
    """Why its health keeps it out, None when it may be tried."""
    shaky: bool
    load: float
    fair_share: float
    ttft_s: float | None
    tokens_per_s: float | None


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage: what it would choose if it came to it, and among whom."""

    model: str
    ranked_by: str | None
    endpoint: str | None
    reason: str | None
    retry_after_s: float | None
    session: Placed | None
    user: Placed | None
    endpoints: tuple[EndpointView, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole way of a request. `endpoint` is tried first, None when there is none."""

    endpoint: str | None
    reason: str | None
    prompt_tokens: int
    attempts_max: int
    cache_ttl_s: float | None
    stages: tuple[StageView, ...]
    refusals: tuple[Refusal, ...]


def explain(planner: Planner, plan: Plan, now_s: float) -> Explanation:
    """Explain a plan as of now."""
    stages = tuple([_stage(planner, stage, now_s) for stage in plan.stages])
    first = next((stage for stage in stages if stage.endpoint is not None), None)
    reason = None if first is None else plan.reason or first.reason
    return Explanation(
        endpoint=None if first is None else first.endpoint,
        reason=reason,
        prompt_tokens=plan.prompt_tokens,
        attempts_max=plan.attempts_max,
        cache_ttl_s=plan.ttl_s,
        stages=stages,
        refusals=plan.refusals,
    )


def _stage(planner: Planner, stage: Stage, now_s: float) -> StageView:
    standings = planner.health.standings(stage.endpoints, now_s)
    endpoint, reason = _choice(planner, stage, standings.usable, now_s)
    return StageView(
        model=stage.endpoints[0].model,
        ranked_by=stage.ranked_by,
        endpoint=endpoint,
        reason=reason,
        retry_after_s=standings.retry_after_s,
        session=_placed(planner, stage.keys.session, now_s),
        user=_placed(planner, stage.keys.user, now_s),
        endpoints=endpoint_views(planner, stage.endpoints, standings.refusals, now_s),
    )


def _choice(
    planner: Planner, stage: Stage, usable: Sequence[Endpoint], now_s: float
) -> tuple[str | None, str | None]:
    if not usable:
        return None, None
    if stage.ranked_by is not None:
        return usable[0].id, stage.ranked_by
    keys: StickyKeys = stage.keys
    chosen = planner.router.explain(usable, keys, now_s=now_s)
    assert chosen is not None, "somebody is usable"
    return chosen


def _placed(planner: Planner, key: int, now_s: float) -> Placed | None:
    found = planner.router.placements.get(key, now_s)
    return None if found is None else Placed(found[0], max(now_s - found[1], 0.0), found[2])


def endpoint_views(
    planner: Planner, endpoints: Sequence[Endpoint], refusals: Sequence[Refusal], now_s: float
) -> tuple[EndpointView, ...]:
    """Show endpoints as a decision among them would see them now."""
    health = planner.health
    reasons = {refusal.endpoint: refusal.reason for refusal in refusals}
    scene = planner.router.scene(endpoints, now_s)
    return tuple(
        [
            EndpointView(
                id=member.id,
                provider=member.endpoint.provider.name,
                refusal=reasons.get(member.id),
                shaky=health.shaky(member.id, now_s),
                load=scene.load(member),
                fair_share=max(member.floor, member.weight * scene.mean),
                ttft_s=health.ttft_s(member.id, 50, now_s),
                tokens_per_s=health.tokens_per_s(member.id, 50, now_s),
            )
            for member in scene.lineup.in_order
        ]
    )
