"""What a serving process frees and takes again stays its own."""

import subprocess
import sys

import pytest

ROUNDS = 40
PROGRAM = f"""
import resource, sys
from regulars.cli.heap import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    raise SystemExit("no mallopt")
for turn in range({ROUNDS + 5}):
    if turn == 5:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bodies = [bytearray(1_000_000) for _ in range(6)]
    del bodies
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has mallopt")
def test_memory_of_large_bodies_is_used_again() -> None:
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", PROGRAM, word], timeout=60))
        for word in ("kept", "usual")
    )

    assert kept < ROUNDS
    assert given_back > 100 * ROUNDS
