"""How tables are printed: folded to a terminal, never cut where a program reads along."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

PIPE_WIDTH: Final = 400
WORD_CHARS: Final = 12
"""Words may be folded down to this; figures never, since one in two lines cannot be read."""
BETWEEN_CHARS: Final = 3


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()
) -> None:
    """Print rows under a header; a cell too long for the terminal goes on in the next line.

    `numbers` are the columns whose figures stand under each other.
    """
    lines = list(rows)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    least = [
        _least_width(name, [line[column] for line in lines], figures=name in numbers)
        for column, name in enumerate(header)
    ]
    if lines and sum(least) + BETWEEN_CHARS * len(least) > console.width:
        _print_apart(console, header, lines)
        return
    table = Table(box=SIMPLE_HEAD)
    for name, width in zip(header, least, strict=True):
        justify = "right" if name in numbers else "left"
        table.add_column(name, overflow="fold", justify=justify, min_width=width)
    for line in lines:
        table.add_row(*line)
    console.print(table, markup=False)


def _least_width(name: str, cells: Sequence[str], *, figures: bool) -> int:
    widest = max(map(cell_len, cells), default=0)
    return max(widest if figures else min(widest, WORD_CHARS), _longest_word(name))


def _longest_word(heading: str) -> int:
    return max(map(cell_len, heading.split()), default=0)


def _print_apart(console: Console, header: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Print each row as lines of its own: the terminal is too narrow for a table."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(overflow="fold")
    grid.add_column(overflow="fold")
    for line in lines:
        for name, cell in zip(header, line, strict=True):
            grid.add_row(name, cell)
        grid.add_row("", "")
    console.print(grid, markup=False)
