"""What stands in a folder's files while a gateway is at work there."""

from pathlib import Path


def kept(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file, in folders too, by its path.

    A file that goes between being listed and read (SQLite's own journals do) keeps nothing.
    """
    found: dict[str, bytes] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            try:
                found[str(path.relative_to(folder))] = path.read_bytes()
            except FileNotFoundError:
                continue
    return found
