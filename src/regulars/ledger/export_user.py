"""Everything the ledger keeps about one person, as one archive."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec

from regulars.stores.base import Filter, Reports
from regulars.stores.contents import Content, Contents
from regulars.wire.views import generation_view

PAGE_ROWS: Final = 1000
FILE_MODE: Final = 0o600


def export_user(reports: Reports, contents: Contents, who: tuple[str, str], target: Path) -> int:
    """Write a user's generations, with what was kept of their texts, and sums into a new zip file.

    `who` is (account, user). Returns how many generations.

    Only its owner can read the file. Raises OSError where it exists or cannot be written.
    """
    account, user = who
    where = Filter(account, user=user)
    count, before = 0, None
    file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(file, "wb") as opened, ZipFile(opened, "w", ZIP_DEFLATED) as archive:
        with archive.open("generations.jsonl", "w") as lines:
            while True:
                rows, before = reports.generations(where, limit=PAGE_ROWS, before=before)
                for row in rows:
                    view = generation_view(row) | _said(contents.content(row.id))
                    lines.write(msgspec.json.encode(view) + b"\n")
                count += len(rows)
                if before is None:
                    break
        sums = {"account": account, "user": user, **asdict(reports.totals(where))}
        archive.writestr("sums.json", msgspec.json.encode(sums))
    return count


def _said(content: Content | None) -> dict[str, Any]:
    if content is None:
        return {}
    said = ("input", "input_cut", "completion", "reasoning", "output_cut")
    return {"content": {name: getattr(content, name) for name in said}}
