"""GET /models and what belongs to it. Open to all, as OpenRouter's is."""

from starlette.requests import Request
from starlette.responses import Response

from regulars.http.api import Api, error_response, json_response
from regulars.model.errors import NotFoundError
from regulars.wire.views import endpoint_view, model_view


def list_models(api: Api) -> Response:
    """`GET /models`."""
    models = [model_view(model) for model in api.catalog.models.values()]
    return json_response(
        {"object": "list", "data": models, "total_count": len(models), "links": {"next": None}}
    )


def list_endpoints(api: Api, request: Request) -> Response:
    """`GET /models/{author}/{slug}/endpoints`."""
    name: str = request.path_params["model"]
    model = api.catalog.models.get(name)
    if model is None:
        return error_response(NotFoundError(f"model {name[:100]!r} is not served here"))
    view = model_view(model)
    data = {name: view[name] for name in ("id", "name", "created", "description", "architecture")}
    data["endpoints"] = [endpoint_view(model, endpoint) for endpoint in model.endpoints]
    return json_response({"data": data})
