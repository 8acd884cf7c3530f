"""Parquet, by DuckDB (the `parquet` extra): typed columns, money as DECIMAL(18, 9) USD.

Rows go through a temporary file, since DuckDB writes a file and no stream; both are deleted
when the last piece is out. A cut file has no footer, so every reader refuses it; the filters
and the row count stand in the footer's metadata.
"""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import msgspec

from regulars.exports.jsonl_file import object_maker
from regulars.exports.missing import needs
from regulars.exports.table import About, Kind, Table
from regulars.model.money import usd_text

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT: Final = "256MB"
GROUP_ROWS: Final = 50_000
PIECE_BYTES: Final = 262_144
LINE_BYTES_MAX: Final = 16_777_216
_TYPES: Final[dict[Kind, str]] = {
    "text": "VARCHAR",
    "time": "TIMESTAMPTZ",
    "usd": "DECIMAL(18, 9)",
    "count": "BIGINT",
    "number": "DOUBLE",
    "flag": "BOOLEAN",
}


def parquet_pieces(table: Table, about: About) -> Generator[bytes]:
    """Yield the file, once it is made.

    Raises ExportError where DuckDB is not installed.
    """
    with needs("parquet", "duckdb"):
        import duckdb  # noqa: PLC0415 - an optional package
    with TemporaryDirectory(prefix="regulars-") as name:
        rows_file, file = Path(name) / "rows.jsonl", Path(name) / "out.parquet"
        count = _write_rows(table, rows_file)
        with duckdb.connect(config=_config(name)) as connection:
            source = _rows_of(table, rows_file if count else None)
            _copy(connection, source, file, _told(about, count, table.remarks))
        rows_file.unlink()
        yield from _pieces(file)


def _config(folder: str) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "threads": 1,
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": folder,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def _write_rows(table: Table, target: Path) -> int:
    encode = msgspec.json.Encoder().encode_lines
    # Money as text: a JSON number would pass through a float.
    objects = object_maker(table, "UTC", money=usd_text)
    count = 0
    with target.open("wb") as out:
        for page in table.pages:
            out.write(encode(objects(page)))
            count += len(page[0])
    return count


def _rows_of(table: Table, rows_file: Path | None) -> str:
    if rows_file is None:
        empty = ", ".join(f"NULL::{_TYPES[c.kind]} AS {_name(c.name)}" for c in table.columns)
        return f"(SELECT {empty}) WHERE false"
    columns = ", ".join(f"{_name(c.name)}: {_text(_TYPES[c.kind])}" for c in table.columns)
    return (
        f"read_json({_text(str(rows_file))}, format = 'newline_delimited', "
        f"maximum_object_size = {LINE_BYTES_MAX}, columns = {{{columns}}})"
    )


def _told(about: About, count: int, remarks: Sequence[str]) -> str:
    told = {
        "title": about.title,
        "time_zone": about.zone,
        "rows": str(count),
        **dict(about.filters),
        **({"remarks": "; ".join(remarks)} if remarks else {}),
    }
    return ", ".join(f"{_text('regulars_' + name)}: {_text(value)}" for name, value in told.items())


def _copy(connection: "duckdb.DuckDBPyConnection", source: str, file: Path, metadata: str) -> None:
    connection.execute(
        f"COPY (SELECT * FROM {source}) TO {_text(str(file))} (FORMAT parquet, "  # noqa: S608 - quoted
        f"COMPRESSION zstd, ROW_GROUP_SIZE {GROUP_ROWS}, KV_METADATA {{{metadata}}})"
    )


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    # DuckDB's strings know no escape but the doubled quote, and no NUL.
    return "'" + value.replace("\0", "\N{REPLACEMENT CHARACTER}").replace("'", "''") + "'"


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece
