"""What lasts is set aside once, and given back."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import gc
from hedger.runs.lasting import set_aside
with set_aside():
    outer = gc.get_freeze_count()
    more = [[] for _ in range(1000)]
    with set_aside():
        assert gc.get_freeze_count() == outer > 0
    assert gc.get_freeze_count() == outer
assert gc.get_freeze_count() == 0
"""


def test_the_outermost_sets_aside_and_gives_back() -> None:
    subprocess.run([sys.executable, "-c", _PROGRAM], check=True)
