"""The command line, and the sizes it stands for."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.streams import ROOT, Pace

SECTIONS = ("whole", "streams", "start", "routing", "ledger", "reports")
LONG_SECTIONS = ("open", "large", "fuzz", "soak")
"""Only in the long form, or asked for by name."""

CHUNKS = 100
DESCRIPTION = "CPU of the gateway and of nginx passing the same bytes, in one run."


@dataclass(frozen=True, slots=True)
class Options:
    """What to run and how big. `paces` are the streamed rows."""

    repeats: int
    seconds: float
    quick: bool
    long: bool
    write: bool
    sections: tuple[str, ...]
    source: Path
    paces: tuple[Pace, ...]

    def __str__(self) -> str:
        """As the results name it."""
        size = "quick" if self.quick else "long" if self.long else "usual"
        return f"{self.repeats} repeats of {self.seconds:g} s, gateway and nginx in turn, {size}"


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line.

    Raises:
        BenchError: options that contradict each other or name no gateway.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=DESCRIPTION)
    parser.add_argument("--repeats", type=_count, help="measurements of each row (5)")
    parser.add_argument("--seconds", type=_count, help="length of each measurement (5)")
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds")
    parser.add_argument(
        "--long",
        action="store_true",
        help="also 5,000 open streams, 1 MB bodies, fuzz, soak; ledger and reports of 5 M rows",
    )
    parser.add_argument(
        "--write", action="store_true", help="write the rows measured into bench/RESULTS.md"
    )
    parser.add_argument("--only", choices=SECTIONS + LONG_SECTIONS, help="one section")
    parser.add_argument(
        "--source", type=Path, default=ROOT / "src", help="the gateway's tree, to compare versions"
    )
    given = parser.parse_args(arguments)
    if given.write and given.quick:
        raise BenchError("--write keeps full measurements: leave out --quick")
    if not (given.source / "regulars").is_dir():
        raise BenchError(f"--source {str(given.source)!r} holds no package `regulars`")
    seconds = float(given.seconds or (1 if given.quick else 5))
    return Options(
        repeats=given.repeats or (1 if given.quick else 5),
        seconds=seconds,
        quick=given.quick,
        long=given.long,
        write=given.write,
        sections=_sections(given.only, given.long),
        source=given.source.resolve(),
        paces=_quick_paces(seconds) if given.quick else _paces(seconds),
    )


def _sections(only: str | None, long: bool) -> tuple[str, ...]:  # noqa: FBT001 - the option itself
    if only:
        return (only,)
    return SECTIONS + LONG_SECTIONS if long else SECTIONS


def _paces(seconds: float) -> tuple[Pace, ...]:
    # About a quarter and half of a core at 25 us a chunk: saturated, chunks would come in clumps
    # and look cheap.
    return (
        Pace(200, CHUNKS, interval_s=0.020, seconds=seconds),
        Pace(1000, CHUNKS, interval_s=0.050, seconds=seconds),
    )


def _quick_paces(seconds: float) -> tuple[Pace, ...]:
    return (
        Pace(20, 20, interval_s=0.010, seconds=seconds),
        Pace(50, 20, interval_s=0.010, seconds=seconds),
    )


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 1 to 1000")
    return value
