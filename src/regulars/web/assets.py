"""The stylesheet, the modules and the icon: read once, served compressed, cached for a year."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_YEAR: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, plain and compressed."""

    media_type: str
    plain: bytes
    packed: bytes


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files under one digest, since modules import one another by name."""

    digest: str
    by_name: Mapping[str, Asset]

    def path(self, name: str) -> str:
        """Return the path of a file, which changes when any of them does."""
        assert name in self.by_name, name
        return f"/static/{self.digest}/{name}"

    async def serve(self, request: Request) -> Response:
        """Answer with a file of this digest."""
        asset = self.by_name.get(request.path_params["name"])
        if asset is None or request.path_params["digest"] != self.digest:
            return PlainTextResponse("Nothing under that name.\n", status_code=404)
        headers = {"Cache-Control": _YEAR, "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.media_type, headers=headers)
        return Response(asset.plain, media_type=asset.media_type, headers=headers)


def read_assets() -> Assets:
    """Read the static files of the package."""
    digest = sha256()
    by_name: dict[str, Asset] = {}
    folder = files("regulars.web") / "static"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        suffix = f".{entry.name.rpartition('.')[2]}"
        if suffix not in MEDIA_TYPES:
            continue
        content = entry.read_bytes()
        digest.update(entry.name.encode() + b"\0" + content)
        by_name[entry.name] = Asset(MEDIA_TYPES[suffix], content, gzip.compress(content, mtime=0))
    return Assets(digest.hexdigest()[:16], by_name)
