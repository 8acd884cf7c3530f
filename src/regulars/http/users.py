"""DELETE /users/{id}: erase one end user."""

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from regulars.http.api import Api, Handler, json_response
from regulars.http.auth import require_management
from regulars.identity.name import USER_LENGTH_MAX, accept_name
from regulars.model.caller import ApiKey

USER_PATH: Final = "/users/{user:path}"


def delete_user(api: Api) -> Handler:
    """`DELETE /users/{id}`: the id goes everywhere, the sums stay; answers the signed receipt."""

    async def handle(request: Request, key: ApiKey) -> Response:
        require_management(key)
        user = accept_name(request.path_params["user"], field="user", length_max=USER_LENGTH_MAX)
        return json_response({"data": await run_in_threadpool(api.erase, key.account, user)})

    return handle
