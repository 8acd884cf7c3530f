"""Money as text."""

import pytest

from regulars.model.money import usd_text


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [
        (0, "0"),
        (1, "0.000000001"),
        (1500, "0.0000015"),
        (1_000_000_000, "1"),
        (-1_230_000_000, "-1.23"),
        (10**27 + 1, "1000000000000000000.000000001"),
    ],
)
def test_nanousd_is_written_exactly(nanousd: int, text: str) -> None:
    assert usd_text(nanousd) == text
