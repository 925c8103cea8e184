"""Series are told apart without red, green or blue cones, and without any colour by their shapes."""

from itertools import combinations

import numpy as np
import pytest

from greenbench.report.figures.theme import DARK, LIGHT, SHAPES

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
LEAST_DIFFERENCE = 10.0
"""CIE 1976 Lab; about 2.3 is just noticed."""


def linear(colour):
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def seen(colour, eyes):
    xyz = XYZ @ np.clip(np.array(EYES[eyes]) @ linear(colour), 0, 1) / WHITE
    bent = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * bent[1] - 16, 500 * (bent[0] - bent[1]), 200 * (bent[1] - bent[2])])


def contrast(one, two):
    low, high = sorted(float(XYZ[1] @ linear(colour)) for colour in (one, two))
    return (high + 0.05) / (low + 0.05)


def difference(one, two, eyes):
    return float(np.linalg.norm(seen(one, eyes) - seen(two, eyes)))


@pytest.mark.parametrize("tone", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("group", ["series", "phase"])
@pytest.mark.parametrize("eyes", EYES)
def test_any_two_of_a_group_are_told_apart(tone, group, eyes):
    colours = [colour for name, colour in tone.items() if name.startswith(group)]
    assert len(colours) == (6 if group == "series" else 3)
    assert min(difference(*pair, eyes) for pair in combinations(colours, 2)) > LEAST_DIFFERENCE


@pytest.mark.parametrize("tone", [LIGHT, DARK], ids=["light", "dark"])
def test_every_series_stands_out_from_its_background(tone):
    series = [colour for name, colour in tone.items() if name.startswith("series")]
    assert min(contrast(colour, tone["paper"]) for colour in series) >= 3.0


def test_without_colour_shapes_tell_series_apart():
    assert len(set(SHAPES)) == len(SHAPES) == 6


def test_red_and_green_of_one_lightness_would_be_found_too_close():
    assert difference("#c04f00", "#8a6a00", "protanopia") < LEAST_DIFFERENCE
