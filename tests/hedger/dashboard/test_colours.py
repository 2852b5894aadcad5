"""Nothing hangs on a colour: without any all is said, and those there are, every eye tells apart.

How colours look to eyes that lack one kind of cone: Machado, Oliveira and Fernandes, "A Physiologically-based
Model for Simulation of Color Vision Deficiency", IEEE TVCG 15 (2009), severity 1.0, on linear RGB. Contrast:
WCAG 2.1, 1.4.3.
"""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.color import Color
from rich.terminal_theme import DEFAULT_TERMINAL_THEME

from hedger.dashboard.grid import STYLES
from hedger.dashboard.sheet import Tone
from hedger.dashboard.style import CSS
from tests.story.test_dashboard_process import read_until, terminal

EYES = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(name: str) -> NDArray[np.float64]:
    """A colour as linear RGB."""
    rgb = np.array(Color.parse(name).get_truecolor(DEFAULT_TERMINAL_THEME)) / 255.0
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE 1976 L*a*b* of linear RGB."""
    t = np.clip(XYZ @ np.clip(light, 0.0, 1.0) / WHITE, 0.0, None)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one: str, other: str) -> float:
    high, low = sorted((float(XYZ[1] @ linear(name)) for name in (one, other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


COLOURS = sorted({str(s.color.name) for s in STYLES.values() if s.color is not None})
FRAMES = re.findall(r"border: \w+ (#[0-9a-f]{6})", CSS)


@pytest.mark.parametrize("eye", EYES)
def test_colours_that_mean_something_are_told_apart_by_every_eye(eye: str) -> None:
    assert len(COLOURS) >= 2 and len(FRAMES) == 2
    for group in (COLOURS, FRAMES):  # good and bad; paper and live
        seen = [lab(EYES[eye] @ linear(name)) for name in group]
        worst = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))
        assert worst > 30.0, (eye, group)  # 2.3 is a just noticeable difference


def test_coloured_words_can_be_read() -> None:
    for name in (*COLOURS, *FRAMES):
        assert contrast(name, "#121212") > 4.5 and contrast(name, "#000000") > 4.5, name
    assert STYLES[Tone.BAD].reverse and STYLES[Tone.BAD].bold  # bad is told by more than its colour


def test_no_color_means_no_colour(tmp_path: Path) -> None:
    """What the real program writes to a terminal whose user wants none."""
    from tests.hedger.dashboard.made import lived

    rig = lived(tmp_path / "j")
    rig.journal.close()
    with terminal(tmp_path / "j") as (_, file):
        written = read_until(file, "risk as of")
        os.write(file, b"7")
        written += read_until(file, "alerts since")
    codes = [part.split(";") for part in re.findall(r"\x1b\[([0-9;]*)m", written)]
    assert codes, "no styles at all: then this shows nothing"
    for code in codes:
        channels = [triple for triple in zip(code, code[1:], code[2:5], code[3:6], code[4:7], strict=False)]
        for kind, mode, red, green, blue in channels:
            if kind in ("38", "48") and mode == "2":
                assert red == green == blue, code
        assert not set(code[:1]) & {*map(str, range(31, 37)), *map(str, range(41, 47))}, code
