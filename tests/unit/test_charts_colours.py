"""The stylesheet's chart colours stay apart for every kind of colour vision."""

import re
from itertools import combinations
from math import dist
from pathlib import Path

import pytest

import regulars.web
from regulars.web.palette import COLOURS

STYLES = (Path(regulars.web.__file__).parent / "static" / "site.css").read_text()
DISTANCE_MIN = 0.09
"""In OKLab, where black and white are 1 apart."""

# Source: Machado, Oliveira, Fernandes 2009, table 1, severity 1.0; applied to linear RGB.
VISIONS = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(colour: str) -> list[float]:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def oklab(rgb: list[float]) -> tuple[float, float, float]:
    # Source: Ottosson, "A perceptual color space for image processing", 2020.
    red, green, blue = (min(1.0, max(0.0, part)) for part in rgb)
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    middle = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def palette(theme: int) -> dict[str, str]:
    names = [*(f"c{number}" for number in range(COLOURS)), "other"]
    found = {name: re.search(rf"--{name}: light-dark\((#\w+), (#\w+)\)", STYLES) for name in names}
    return {name: match.group(theme) for name, match in found.items() if match}


@pytest.mark.parametrize("theme", [1, 2], ids=["light", "dark"])
@pytest.mark.parametrize("vision", VISIONS)
def test_colours_of_a_chart_stay_apart(theme: int, vision: str) -> None:
    seen = {
        name: oklab(
            [
                sum(a * b for a, b in zip(row, linear(colour), strict=True))
                for row in VISIONS[vision]
            ]
        )
        for name, colour in palette(theme).items()
    }

    close = [(a, b) for a, b in combinations(seen, 2) if dist(seen[a], seen[b]) < DISTANCE_MIN]

    assert len(seen) == COLOURS + 1
    assert close == []
