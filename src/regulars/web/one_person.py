"""The forms of one user's page: erase him, hand out all about him, make two ids one. All on record."""

import json
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from regulars.identity.name import USER_LENGTH_MAX, accept_name
from regulars.stores.base import KeyAction
from regulars.web.access import Viewer
from regulars.web.forms import STALE, is_of_session, read_form
from regulars.web.names import user_path
from regulars.web.site import Site

ARCHIVES_MAX: Final = 1
"""Archives that are made at once: each reads all of a person's rows."""
PIECE_BYTES: Final = 65_536
ARCHIVE_NAME: Final = "regulars-user.zip"
_NOT_SURE: Final = "Nothing was erased: the box that says you are sure was not ticked."
_ONE_ALREADY: Final = "Nothing was changed: both ids are one user already."
_BUSY: Final = "Another archive is being made. Try again when it is done."
_making = threading.BoundedSemaphore(ARCHIVES_MAX)


async def erase_user(site: Site, request: Request, viewer: Viewer) -> Response:
    """Erase a user everywhere and show the signed receipt."""
    fields = await read_form(request)
    if not is_of_session(fields, viewer):
        return site.problem(403, STALE, viewer=viewer)
    user = _user(fields.get("user", ""))
    if fields.get("sure") != "yes":
        return site.problem(400, _NOT_SURE, viewer=viewer)
    receipt = await run_in_threadpool(partial(site.deps.people.erase, user, by=viewer.key.hash))
    await _note(site, viewer, "user_erased", str(receipt["subject"]))
    return site.page(
        "erased.html",
        viewer=viewer,
        receipt=receipt,
        written=json.dumps(receipt, indent=2),
    )


async def merge_users(site: Site, request: Request, viewer: Viewer) -> Response:
    """Make another id a name of this user."""
    fields = await read_form(request)
    if not is_of_session(fields, viewer):
        return site.problem(403, STALE, viewer=viewer)
    user, other = _user(fields.get("user", "")), _user(fields.get("other", ""))
    if not await run_in_threadpool(site.deps.people.merge, other, user):
        return site.problem(400, _ONE_ALREADY, viewer=viewer)
    subject = await run_in_threadpool(site.deps.people.subject, user)
    await _note(site, viewer, "users_merged", subject)
    return RedirectResponse(user_path(user), status_code=303)


async def export_user(site: Site, request: Request, viewer: Viewer) -> Response:
    """Send one archive of everything that is kept about a user."""
    fields = await read_form(request)
    if not is_of_session(fields, viewer):
        return site.problem(403, STALE, viewer=viewer)
    user = _user(fields.get("user", ""))
    if not _making.acquire(blocking=False):
        return site.problem(503, _BUSY, viewer=viewer)
    try:
        archive = await run_in_threadpool(_archive, site, user)
    finally:
        _making.release()
    subject = await run_in_threadpool(site.deps.people.subject, user)
    await _note(site, viewer, "user_exported", subject)
    return StreamingResponse(
        _pieces(archive),
        media_type="application/zip",
        # Never the id: file names are seen by others.
        headers={"Content-Disposition": f'attachment; filename="{ARCHIVE_NAME}"'},
    )


def _user(name: str) -> str:
    return accept_name(name, field="user", length_max=USER_LENGTH_MAX)


def _archive(site: Site, user: str) -> IO[bytes]:
    """Make the archive and open it; when it is closed nothing of it is left on the disk."""
    with tempfile.TemporaryDirectory(prefix="regulars-") as folder:
        target = Path(folder) / ARCHIVE_NAME
        site.deps.people.export(user, target)
        return target.open("rb")


def _pieces(archive: IO[bytes]) -> Iterator[bytes]:
    with archive:
        while piece := archive.read(PIECE_BYTES):
            yield piece


async def _note(site: Site, viewer: Viewer, action: KeyAction, subject: str) -> None:
    details = {"subject": (None, subject)}
    await run_in_threadpool(site.deps.keys.note_use, viewer.key, action, details)
