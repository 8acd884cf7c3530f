"""`regulars export`: every request or any report into a file, which is there only once it is whole."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from regulars.cli import filters
from regulars.cli.answers import KEY_VARIABLE, KeyEnvOption, UrlOption, answers
from regulars.cli.options import ConfigOption, JsonOption, failed, mistaken
from regulars.cli.since import SinceOption

if TYPE_CHECKING:
    from rich.progress import Progress

GC_YOUNG_MAX: Final = 20_000
"""Rows make no cycles, and there are many: at the usual 700, looking took a sixth of the CPU."""


def export(
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="A file; - is standard output.")
    ] = Path("-"),
    file_format: Annotated[
        str | None,
        typer.Option("--format", help="csv, jsonl, parquet or pdf; absent: by the file's name."),
    ] = None,
    since: SinceOption = None,
    from_: filters.FromOption = None,
    to: filters.ToOption = None,
    user: filters.UserOption = None,
    model: filters.ModelOption = None,
    provider: filters.ProviderOption = None,
    key: filters.KeyOption = None,
    time_zone: filters.ZoneOption = "UTC",
    by: Annotated[
        str | None, typer.Option(help="Group by these, like user,model; absent: every request.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help="Figures of each group.")] = None,
    step: Annotated[
        str | None, typer.Option(help="Group by time too: minute, hour, day, week, month.")
    ] = None,
    bare: Annotated[
        bool, typer.Option("--bare", help="Without words about the file itself.")
    ] = False,
    as_json: JsonOption = False,
    url: UrlOption = None,
    key_env: KeyEnvOption = KEY_VARIABLE,
    config: ConfigOption = None,
) -> None:
    """Write requests, or a report of them, into a file."""
    to_file = str(output) != "-"
    to_screen = "jsonl" if as_json else "csv"
    chosen = file_format or (output.suffix.removeprefix(".") if to_file else to_screen)
    if as_json and not to_file and chosen != "jsonl":
        raise mistaken(f"--json and --format {chosen} are two things on standard output; leave one")
    asked = filters.params(
        format=chosen, since=since, from_=from_, to=to, user=user, model=model,
        provider=provider, api_key_hash=key, time_zone=time_zone, group_by=by, metrics=metrics,
        granularity=step, bare="true" if bare else None,
    )  # fmt: skip
    with (
        _calm_garbage_collection(),
        answers(url, key_env, config) as source,
        closing(source.export(asked)) as pieces,
    ):
        if not to_file:
            _write(pieces, sys.stdout.buffer)
            return
        every_request = by is None and metrics is None and step is None and chosen != "pdf"
        total = source.count(asked) if every_request else None
        size = _write_file(pieces, output, total)
    if as_json:
        import json

        typer.echo(json.dumps({"file": str(output), "format": chosen, "bytes": size}))
    else:
        typer.echo(f"{output}: {size} bytes", err=True)


@contextmanager
def _calm_garbage_collection() -> Generator[None]:
    before = gc.get_threshold()
    gc.set_threshold(GC_YOUNG_MAX, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _write(pieces: Iterator[bytes], target: BinaryIO) -> None:
    try:
        target.writelines(pieces)
        target.flush()
    except BrokenPipeError as error:
        # Who read along has enough; a second complaint at exit helps nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), target.fileno())
        raise typer.Exit from error


def _write_file(pieces: Iterator[bytes], target: Path, total: int | None) -> int:
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as out, _progress(total) as advance:
            for piece in pieces:
                out.write(piece)
                advance(piece)
        part.replace(target)
    except OSError as error:
        raise failed(f"cannot write {str(part)!r}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


@contextmanager
def _progress(total: int | None) -> "Generator[Advance]":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield Advance(bar, total)


class Advance:
    """Moves the bar on: by lines, which are nearly rows, where their number is known."""

    def __init__(self, bar: "Progress", total: int | None) -> None:
        self._bar = bar
        self._task = bar.add_task("exporting", total=total)
        self._bytes = 0

    def __call__(self, piece: bytes) -> None:
        """Take note of one more piece."""
        self._bytes += len(piece)
        self._bar.update(
            self._task,
            advance=piece.count(b"\n"),
            description=f"{self._bytes / 1_000_000:.1f} MB",
        )
