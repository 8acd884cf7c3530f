"""How tables are printed: folded to a terminal, never cut where a program reads along."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

PIPE_WIDTH: Final = 400


def print_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()
) -> None:
    """Print rows under a header; a cell too long for the terminal goes on in the next line.

    `numbers` are the columns whose figures stand under each other.
    """
    table = Table(box=SIMPLE_HEAD)
    for name in header:
        table.add_column(name, overflow="fold", justify="right" if name in numbers else "left")
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPE_WIDTH)
    console.print(table, markup=False)
