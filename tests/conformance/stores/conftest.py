"""One fixture a store: the suite runs for each."""

from collections.abc import Generator
from pathlib import Path

import pytest

from regulars.stores.sqlite import SqliteStore, open_store


@pytest.fixture(params=["sqlite"])
def store(tmp_path: Path) -> Generator[SqliteStore]:
    opened = open_store(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()
