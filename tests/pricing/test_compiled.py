"""The cache of compiled kernels: found again, told apart, never wrong, never a reason to fail."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
import pytest

from pricing import black76, elementary, implied, implied_kernels, inverse, kernels, limits, spot
from pricing import compiled as house
from pricing.compiled import CacheWarning, compiled, fingerprint, inlined, warm_up

ROOT = Path(__file__).parents[2]

# Imports every kernel of the package, makes them ready, and prints what they compute to the last bit.
EVERYTHING = """
import numpy as np
import pricing.implied
from pricing import black76, compiled, inverse, spot
print(*compiled.warm_up()[:2])
rng = np.random.default_rng(3)
years, vol, sign = rng.uniform(0.0, 2.0, 999), rng.uniform(0.0, 2.0, 999), rng.choice([-1.0, 1.0], 999)
strike = rng.uniform(1e4, 2e5, 999)
case = (6e4, strike, years, vol, sign)
base = spot.spot_base(*case)
fields = [*black76.greeks(*case), *black76.higher_greeks(*case), *inverse.coin_greeks(*case)]
fields += [*spot.spot_greeks(base, 6.01e4)[0], *spot.book_totals(base, 6.01e4, sign)[0]]
fields += pricing.implied.implied_vol(fields[0], *case[:3], sign)
import hashlib
print(hashlib.sha256(b"".join(np.asarray(field).tobytes() for field in fields)).hexdigest())
"""

# The same for those that one call needs: how many were made or loaded for it, how many of them loaded.
CALLED = """
import hashlib
import numpy as np
from pricing import compiled, inverse
rng = np.random.default_rng(3)
years, vol, sign = rng.uniform(0.0, 2.0, 999), rng.uniform(0.0, 2.0, 999), rng.choice([-1.0, 1.0], 999)
fields = inverse.coin_greeks(6e4, rng.uniform(1e4, 2e5, 999), years, vol, sign)
used = [kernel for kernel, _ in compiled._kernels if kernel.overloads]
print(len(used), sum(bool(sum(kernel.stats.cache_hits.values())) for kernel in used))
print(hashlib.sha256(b"".join(np.asarray(field).tobytes() for field in fields)).hexdigest())
"""

# Two kernels, one calling the other, and what is inlined into them.
SMALL = """
from pricing.compiled import compiled, warm_up
from pricing.elementary import mills

FACTOR = 3.0

@compiled("(f8,)")
def inner(x):
    return FACTOR * mills(x)

@compiled("(f8, f8)")
def outer(x, y):
    return inner(x) + y

if __name__ == "__main__":
    print(*warm_up()[:2], outer(0.5, 1.0).hex())
"""
RESULT = (3.0 * elementary.mills(0.5) + 1.0).hex()


def started(program: Path | str, **environment: str) -> subprocess.Popen[str]:
    """A new Python with the package on its path, running a file or a text."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    command = [str(program)] if isinstance(program, Path) else ["-c", program]
    return subprocess.Popen(
        [sys.executable, *command],
        env={**given, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """The words it printed and its standard error; it must have ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split(), err


def test_a_second_process_loads_everything_and_computes_the_same() -> None:
    """In the cache that everything uses: whatever it lacks the first one compiles."""
    kept = {name: value for name, value in os.environ.items() if name == "NUMBA_CACHE_DIR"}
    (count, _, first_result), err = finished(started(EVERYTHING, **kept))
    assert err == ""
    (again, loaded, result), err = finished(started(EVERYTHING, **kept))
    assert err == ""
    assert again == loaded == count
    assert int(count) > 15
    assert result == first_result


def test_kernels_compute_the_same_compiled_and_loaded(tmp_path: Path) -> None:
    """In an empty cache, and as they are called: a kernel of the hot loops with all that it calls."""
    (made, first_loaded, first_result), err = finished(started(CALLED, NUMBA_CACHE_DIR=str(tmp_path)))
    assert err == ""
    assert (int(made) >= 3, first_loaded) == (True, "0")
    (again, loaded, result), err = finished(started(CALLED, NUMBA_CACHE_DIR=str(tmp_path)))
    assert err == ""
    assert again == loaded
    assert result == first_result


@pytest.fixture
def small(tmp_path: Path) -> Path:
    program = tmp_path / "program" / "small.py"
    program.parent.mkdir()
    program.write_text(SMALL)
    return program


def test_two_processes_may_begin_one_cache_at_once(small: Path, tmp_path: Path) -> None:
    cache = str(tmp_path / "cache")
    both = [started(small, NUMBA_CACHE_DIR=cache) for _ in range(2)]
    for process in both:
        words, err = finished(process)
        assert (words[0], words[2], err) == ("2", RESULT, "")
    assert finished(started(small, NUMBA_CACHE_DIR=cache)) == (["2", "2", RESULT], "")


def test_without_any_writable_folder_it_works_and_says_so_once(small: Path, tmp_path: Path) -> None:
    """Regular files stand where folders are needed: that stops even root."""
    (small.parent / "__pycache__").write_text("in the way")
    (tmp_path / "file").write_text("in the way")
    nowhere = str(tmp_path / "file" / "below")
    for _ in range(2):
        words, err = finished(started(small, HOME=nowhere, XDG_CACHE_HOME=nowhere, NUMBA_CACHE_DIR=nowhere))
        assert words == ["2", "0", RESULT]
        assert err.count("CacheWarning") == 1
        assert "cannot be kept on disk" in err
        assert "NUMBA_CACHE_DIR" in err


def test_a_constant_changed_on_disk_is_computed_with(small: Path, tmp_path: Path) -> None:
    """As an upgrade does it: same length, same time stamp, in a file beside the kernel's own."""
    own = small.parent
    (own / "constants.py").write_text("FACTOR = 3.0\n")
    small.write_text(SMALL.replace("FACTOR = 3.0", "from constants import FACTOR"))
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    assert finished(started(small, **environment))[0][2] == RESULT
    stamp = (own / "constants.py").stat().st_mtime_ns
    (own / "constants.py").write_text("FACTOR = 5.0\n")
    os.utime(own / "constants.py", ns=(stamp, stamp))
    words, _ = finished(started(small, **environment))
    assert words == ["2", "0", (5.0 * elementary.mills(0.5) + 1.0).hex()]


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and a register of kernels that forgets them afterwards."""
    folder = tmp_path / "own"
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder))
    monkeypatch.setattr(house, "_kernels", [])
    monkeypatch.setattr(house, "_said", [])
    return folder


def area(x: float) -> float:
    return 3.0 * x * x


def ready() -> tuple[Any, int]:
    """`area` compiled or loaded as in a new process, and whether it was loaded."""
    house._kernels.clear()
    function = compiled("(f8,)")(area)
    return function, warm_up().loaded


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_byte_changed(content: bytes) -> bytes:
    middle = 2 * len(content) // 3
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def zeros_inside(content: bytes) -> bytes:
    a, b = len(content) // 3, 2 * len(content) // 3
    return content[:a] + bytes(b - a) + content[b:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": halved,
    "empty": lambda _: b"",
    "random": lambda content: np.random.default_rng(1).bytes(len(content)),
    "another pickle": lambda _: b"\x80\x04N.",  # None
    "one byte": one_byte_changed,
    "zeros": zeros_inside,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_a_damaged_file_is_compiled_over(own_cache: Path, ending: str, damage: str) -> None:
    function, loaded = ready()
    assert (function(2.0), loaded) == (12.0, 0)
    assert ready()[1] == 1
    (file,) = own_cache.rglob(f"*.{ending}")
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    function, loaded = ready()
    assert function(2.0) == 12.0
    if ending == "nbc":
        assert loaded == 0
    function, loaded = ready()
    assert (function(2.0), loaded) == (12.0, 1)


def test_the_file_of_another_function_is_not_run(own_cache: Path) -> None:
    """As two processes leave it that both took the next free number in the index."""
    ready()
    (file,) = own_cache.rglob("*.nbc")
    mine = file.read_bytes()
    house._kernels.clear()

    @compiled("(f8,)")
    def other(x: float) -> float:
        return -x

    warm_up()
    (theirs,) = (f for f in own_cache.rglob("*.nbc") if f != file)
    file.write_bytes(theirs.read_bytes())
    theirs.write_bytes(mine)
    function, loaded = ready()
    assert (function(2.0), loaded) == (12.0, 0)


def test_a_folder_that_goes_away_is_said_once(own_cache: Path) -> None:
    first, second = compiled("(f8,)")(area), compiled("(f8, f8)")(math_of_two)
    for folder in own_cache.iterdir():
        folder.rmdir()
        folder.write_text("in the way")
    with pytest.warns(CacheWarning, match="cannot be kept on disk") as said:
        assert warm_up().cache_problem
    assert len(said) == 1
    assert (first(2.0), second(1.0, 2.0)) == (12.0, 3.0)


def math_of_two(x: float, y: float) -> float:
    return x + y


def made(text: str, **known: Any) -> FunctionType:
    """A function out of its text, with these names around it."""
    space: dict[str, Any] = {"math": math, **known}
    exec(text, space)
    function = space["f"]
    assert isinstance(function, FunctionType)
    return function


def test_a_fingerprint_knows_code_constants_and_names() -> None:
    text = "def f(x):\n    return 2.0 * x + A"
    same = fingerprint(made(text, A=1.0))
    assert same == fingerprint(made(text, A=1.0, B=2.0))
    changed = [
        made(text, A=1.0 + 2**-52),
        made(text, A=1),
        made(text.replace("2.0", "2.5"), A=1.0),
        made(text.replace("+", "-"), A=1.0),
        made("def f(x, y=1.0):\n    return 2.0 * x + A", A=1.0),
    ]
    assert same not in {fingerprint(function) for function in changed}
    by_default = "def f(x, y={}):\n    return x + y"
    assert fingerprint(made(by_default.format(1.0))) != fingerprint(made(by_default.format(2.0)))
    table = "def f(x):\n    return A[0] * x"
    for one, other in ((np.array([1.0]), np.array([2.0])), ((1.0, 2.0), (1.0, 3.0))):
        assert fingerprint(made(table, A=one)) != fingerprint(made(table, A=other))
        assert fingerprint(made(table, A=one)) == fingerprint(made(table, A=one))


def test_a_fingerprint_knows_what_is_written_inside() -> None:
    nested = "def f(x):\n    def g(y):\n        return {} * y\n    return g(x)"
    assert fingerprint(made(nested.format("2.0"))) != fingerprint(made(nested.format("3.0")))
    assert fingerprint(made(nested.format("A"), A=1.0)) != fingerprint(made(nested.format("A"), A=2.0))


def test_a_fingerprint_knows_what_is_called_in_turn() -> None:
    """Through plain, compiled and inlined functions alike, and through closures."""
    inner = [made("def f(x):\n    return A * x", A=a) for a in (1.0, 2.0)]
    for wrap in (lambda g: g, inlined, numba.njit):
        middle = [wrap(made("def f(x):\n    return g(x)", g=wrap(g))) for g in inner]
        one, other = (fingerprint(made("def f(x):\n    return h(x)", h=h)) for h in middle)
        assert one != other

    def closing(a: float) -> Callable[[float], float]:
        return lambda x: a * x

    assert fingerprint(closing(1.0)) != fingerprint(closing(2.0))
    assert fingerprint(closing(1.0)) == fingerprint(closing(1.0))


EXP_USERS = [
    kernels.sweep, kernels.sweep_coin, kernels.sweep_higher, kernels.fill, kernels.fill_coin,
    kernels.fill_higher, spot.sweep_moved, spot.sweep_moved_apart, spot.add_moved, spot.sweep_totals,
]  # fmt: skip
MILLS_USERS = [
    *(kernels.sweep, kernels.sweep_coin, kernels.fill, kernels.fill_higher, spot.sweep_moved, spot.add_moved),
    *(limits.limits, limits.careful, limits.careful_coin, limits.careful_higher),
    implied_kernels.careful_halley,
]


@pytest.mark.parametrize(
    ("module", "constant", "users"),
    [
        (elementary, "E7", EXP_USERS),
        (elementary, "LN2_REST", EXP_USERS),
        (elementary, "P3", MILLS_USERS),
        (elementary, "Q11", MILLS_USERS),
        (elementary, "A5", [kernels.sweep, kernels.fill, spot.fill_base]),
        (kernels, "DENSITY_AT_ZERO", EXP_USERS),
        (limits, "DENSITY_AT_ZERO", [limits.limits, limits.careful, kernels.fill, spot.sweep_totals]),
        (kernels, "TOTAL_VOL_MAX", [kernels.sweep, kernels.fill, spot.sweep_totals]),
        (spot, "REBASE_DEVIATIONS", [spot.sweep_moved, spot.add_moved, spot.sweep_totals]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_constant_anywhere_below_changes_the_key_of_a_kernel(
    module: Any, constant: str, users: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [fingerprint(kernel.py_func) for kernel in users]
    assert all(before)
    monkeypatch.setattr(module, constant, getattr(module, constant) * 1.0000001)
    for kernel, was in zip(users, before, strict=True):
        assert fingerprint(kernel.py_func) != was, kernel.__name__


def test_warm_up_leaves_nothing_to_compile() -> None:
    """Everything called here with arrays was prepared: no kernel has a second version afterwards."""
    assert warm_up().kernels >= 20
    case = (6e4, [5e4, 6e4, 7e4], [0.1, 0.0, 1.0], 0.5, 1)
    before = [len(dispatcher.overloads) for dispatcher, _ in house._kernels]
    base = spot.spot_base(*case)
    spot.spot_greeks(base, 6.01e4)
    spot.book_totals(base, 6.01e4, 1.0)
    black76.greeks(*case)
    black76.higher_greeks(*case)
    inverse.coin_greeks(*case)
    implied.implied_vol(1.0, *case[:3], 1)
    assert [len(dispatcher.overloads) for dispatcher, _ in house._kernels] == before
    assert min(before) >= 1
