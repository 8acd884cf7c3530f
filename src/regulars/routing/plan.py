"""One request's way through the endpoints: its wishes, then health, then warmth, then fallbacks.

Pure: the time is an argument. `gateway/relay.py` asks `next` until an endpoint has answered.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from regulars.model.catalog import Catalog, Endpoint, Model, Traits
from regulars.model.errors import GatewayError, NotFoundError, RateLimitedError
from regulars.model.tokens import TOKENS_MAX, Usage
from regulars.routing.filters import Asked, Filter, Speeds, refusals_text
from regulars.routing.health import Health, Refusal, failure_of
from regulars.routing.keys import StickyKeys
from regulars.routing.stickiness import asked_ttl_s
from regulars.routing.warmhrw import Choice, Router
from regulars.routing.wishes import Sort, Wishes, read_wishes, with_suffix
from regulars.wire.chat import ChatRequest

BYTES_PER_TOKEN = 4
_NO_WISHES = Wishes()
_COUNT = msgspec.json.Decoder(int | None)


class Candidate(Struct, frozen=True):
    """A model the request may be served by, and what is warm of it.

    `suffix` is the `:nitro` or `:floor` that stood behind the model's name.
    """

    model: Model
    keys: StickyKeys
    suffix: Sort | None = None


class Stage(Struct, frozen=True):
    """Endpoints among which warmth chooses; with `ranked_by` they are tried in their order."""

    keys: StickyKeys
    endpoints: tuple[Endpoint, ...]
    ranked_by: str | None = None
    keys_of: Mapping[str, StickyKeys] | None = None
    """By model, where endpoints of several are ranked together."""


class Plan(Struct, frozen=True):
    """The stages of one request, tried one after the other."""

    stages: tuple[Stage, ...]
    prompt_tokens: int
    ttl_s: float | None
    attempts_max: int
    refusals: tuple[Refusal, ...] = ()
    reason: str | None = None
    """Given instead of warmth's own, where warmth was not to count."""

    def past(self, model: str) -> "Plan":
        """Return what is left of the plan when this model cannot serve the request at all."""
        stages = [
            replace(stage, endpoints=left)
            for stage in self.stages
            if (left := tuple(one for one in stage.endpoints if one.model != model))
        ]
        return replace(self, stages=tuple(stages))


class Planner:
    """Plans requests and learns from their ends. Its state is one process's."""

    def __init__(
        self, catalog: Catalog, *, router: Router, health: Health, attempts_max: int
    ) -> None:
        self.router = router
        self.health = health
        self._attempts_max = attempts_max
        self._traits: Mapping[str, Traits] = {e.id: e.traits for e in catalog.endpoints}
        # Models whose endpoints differ in nothing a request without wishes could meet.
        self._plain = {
            model.id: min((e.context_length or TOKENS_MAX for e in model.endpoints), default=0)
            for model in catalog.models.values()
            if all(_is_plain(endpoint.traits) for endpoint in model.endpoints)
        }

    def plan(
        self,
        request: ChatRequest,
        candidates: Sequence[Candidate],
        *,
        now_s: float,
        reason: str | None = None,
    ) -> Plan:
        """Plan a request.

        Raises:
            CallerError: a wish that cannot be.
            NotFoundError: the wishes leave no endpoint; says why each fell out.
        """
        provider = request.fields.get("provider")
        wishes = _NO_WISHES if provider is None else read_wishes(provider)
        keys_of: Mapping[str, StickyKeys] | None = None
        if wishes.mix_models and _has_sort(wishes, candidates):
            keys_of = {one.model.id: one.keys for one in candidates}
            candidates = (_merged(candidates),)
        max_tokens = _max_tokens(request)
        stages: list[Stage] = []
        refusals: list[Refusal] = []
        attempts_max = self._attempts_max
        for candidate in candidates:
            model, keys, suffix = candidate.model, candidate.keys, candidate.suffix
            wanted = wishes if suffix is None else with_suffix(wishes, suffix)
            if wanted is _NO_WISHES and (max_tokens or 0) <= self._plain.get(model.id, -1):
                stages.append(Stage(keys, model.endpoints))
                continue
            found = self._filter(request, wanted, max_tokens, now_s).apply(model.endpoints)
            refusals += found.refusals
            if found.endpoints:
                stages.append(Stage(keys, found.endpoints, found.ranked_by, keys_of))
            if found.last:
                stages.append(Stage(keys, found.last))
            if found.attempts_max is not None:
                attempts_max = min(attempts_max, found.attempts_max)
        if not stages:
            raise NotFoundError(refusals_text(candidates[0].model.id, refusals))
        return Plan(
            stages=tuple(stages),
            prompt_tokens=request.body_bytes // BYTES_PER_TOKEN,
            ttl_s=asked_ttl_s(request),
            attempts_max=attempts_max,
            refusals=tuple(refusals),
            reason=reason,
        )

    def next(self, plan: Plan, tried: Sequence[str], now_s: float) -> Choice | None:
        """Choose the next endpoint and count its load; None when there is none left.

        Raises:
            RateLimitedError: all that could serve rest after a 429, and none was tried.
        """
        if len(tried) >= plan.attempts_max:
            return None
        rest_s: float | None = None
        for stage in plan.stages:
            keys, left = stage.keys, stage.endpoints
            if tried:
                left = tuple(e for e in left if e.id not in tried)
            standings = self.health.standings(left, now_s)
            if not standings.usable:
                rest_s = _sooner(rest_s, standings.retry_after_s)
                continue
            if stage.ranked_by is None:
                choice = self.router.choose(
                    standings.usable,
                    keys,
                    prompt_tokens=plan.prompt_tokens,
                    now_s=now_s,
                    tried=tried,
                    ttl_s=plan.ttl_s,
                )
                assert choice is not None, "usable endpoints are never all tried"
            else:
                endpoint = standings.usable[0]
                choice = self.router.take(
                    endpoint,
                    keys if stage.keys_of is None else stage.keys_of[endpoint.model],
                    reason="failover" if tried else stage.ranked_by,
                    prompt_tokens=plan.prompt_tokens,
                    now_s=now_s,
                    ttl_s=plan.ttl_s,
                )
            self.health.began(choice.endpoint.id, now_s)
            if plan.reason is not None and not tried:
                return replace(choice, reason=plan.reason)
            return choice
        if rest_s is not None and not tried:
            raise RateLimitedError(
                "every endpoint that could serve this rests after a 429", retry_after_s=rest_s
            )
        return None

    def answered(
        self, choice: Choice, usage: Usage, now_s: float, *, ttft_s: float | None, spent_s: float
    ) -> None:
        """Learn from an answer: where the keys are warm, and how fast the endpoint is."""
        self.router.answered(choice, choice.keys, usage, now_s)
        speed = usage.completion_tokens / spent_s if spent_s > 0 else None
        self.health.succeeded(choice.endpoint.id, now_s, ttft_s=ttft_s, tokens_per_s=speed)

    def failed(self, choice: Choice, error: GatewayError, now_s: float) -> None:
        """Learn from a failed attempt."""
        self.router.failed(choice, now_s)
        failure = failure_of(error)
        if failure is None:
            self.health.left(choice.endpoint.id)
        else:
            self.health.failed(
                choice.endpoint.id, failure, now_s, retry_after_s=error.retry_after_s
            )

    def left(self, choice: Choice, now_s: float) -> None:
        """Note an attempt whose end says nothing of the endpoint: the client left."""
        self.router.failed(choice, now_s)
        self.health.left(choice.endpoint.id)

    def _filter(
        self, request: ChatRequest, wishes: Wishes, max_tokens: int | None, now_s: float
    ) -> Filter:
        speeds = Speeds(
            ttft_s=partial(self._ttft_s, now_s=now_s),
            tokens_per_s=partial(self._tokens_per_s, now_s=now_s),
        )
        asked = Asked(frozenset(request.fields), max_tokens)
        return Filter(wishes, asked, self._traits, speeds)

    def _ttft_s(self, endpoint: str, percent: int, *, now_s: float) -> float | None:
        return self.health.ttft_s(endpoint, percent, now_s)

    def _tokens_per_s(self, endpoint: str, percent: int, *, now_s: float) -> float | None:
        return self.health.tokens_per_s(endpoint, percent, now_s)


def _is_plain(traits: Traits) -> bool:
    """Say whether no request without wishes could meet anything of this."""
    return traits.parameters is None and traits.completion_tokens_max is None


def _has_sort(wishes: Wishes, candidates: Sequence[Candidate]) -> bool:
    return not wishes.order and with_suffix(wishes, candidates[0].suffix).sort is not None


def _merged(candidates: Sequence[Candidate]) -> Candidate:
    """Make one candidate of all, as if its model had the endpoints of every one."""
    first = candidates[0]
    endpoints = {e.id: e for one in candidates for e in one.model.endpoints}
    model = dataclasses.replace(first.model, endpoints=tuple(endpoints.values()))
    return replace(first, model=model)


def _sooner(one_s: float | None, other_s: float | None) -> float | None:
    return min((s for s in (one_s, other_s) if s is not None), default=None)


def _max_tokens(request: ChatRequest) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        raw = request.fields.get(name)
        if raw is not None:
            try:
                return _COUNT.decode(raw)
            except msgspec.DecodeError:
                return None  # the upstream says what is wrong with it
    return None
