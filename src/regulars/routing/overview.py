"""All endpoints as one process's routing sees them now: health, load, and who is at home there."""

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

from regulars.model.catalog import Catalog, Model
from regulars.routing.explain import EndpointView, endpoint_views
from regulars.routing.plan import Planner

MODELS_MAX: Final = 100
"""The most loaded ones are shown."""
KEYS_MAX: Final = 20_000
"""Of all that are known, the newest are counted: in about 2 ms."""


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """One model's endpoints."""

    model: str
    endpoints: tuple[EndpointView, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """The models with most load now, of all there are."""

    models: tuple[ModelOverview, ...]
    models_in_all: int
    keys_held: Mapping[str, int]
    """Sessions and users by the id of the endpoint that answered them last, within the last
    hour; only the `KEYS_MAX` newest are counted."""


def overview(planner: Planner, catalog: Catalog, now_s: float) -> Overview:
    """Look at every model's endpoints; changes nothing."""
    router = planner.router

    def load(model: Model) -> float:
        return sum([router.loads.of(endpoint.id, now_s) for endpoint in model.endpoints])

    # The sort is stable: without load, the configured order stays.
    shown = nlargest(MODELS_MAX, catalog.models.values(), key=load)
    return Overview(
        models=tuple([_model(planner, model, now_s) for model in shown]),
        models_in_all=len(catalog.models),
        keys_held=router.placements.held(now_s, looked_at_max=KEYS_MAX),
    )


def _model(planner: Planner, model: Model, now_s: float) -> ModelOverview:
    refusals = planner.health.standings(model.endpoints, now_s).refusals
    return ModelOverview(model.id, endpoint_views(planner, model.endpoints, refusals, now_s))
