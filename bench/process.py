"""What the kernel says of a running process: its memory and its sockets."""

from contextlib import suppress
from pathlib import Path

PAGE_BYTES = 4096


def resident_mb(pid: int) -> float:
    """Resident memory, in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 1e6


def open_sockets(pid: int) -> int:
    """How many sockets are open. Files are not counted: the store opens some when it needs them."""
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            count += str(entry.readlink()).startswith("socket:")
    return count
