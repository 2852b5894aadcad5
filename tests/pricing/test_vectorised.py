"""The hot loops are vector instructions of the widest registers: read from the machine code made here."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import pytest
from numba import njit

from pricing import kernels, spot
from pricing.compiled import OPTIONS
from pricing.flat import FloatArray
from pricing.kernels import arrays


class Loop(NamedTuple):
    """How many packed instructions of the widest registers a loop holds, and whether it calls anything."""

    products: int  # multiplications, also fused with an addition
    divisions: int
    roots: int
    calls: int


def assembly(function: Callable[..., Any], signature: str) -> str:
    """The machine code of a function, compiled now: what comes out of a cache shows none."""
    dispatcher = njit(**OPTIONS)(function)
    dispatcher.compile(signature)
    (text,) = dispatcher.inspect_asm().values()
    return str(text)


def loops(text: str, register: str) -> list[Loop]:
    """Every innermost loop: a run of instructions without a label, whose last jump goes back to its start."""
    found = []
    for label, body in re.findall(
        r"^(\.LBB\w+):[^\n]*\n(.*?)(?=^\.L\w+:|\Z)", text, re.MULTILINE | re.DOTALL
    ):
        if not re.search(rf"^\s+j\w+\s+{re.escape(label)}\s*$", body, re.MULTILINE):
            continue
        packed = [line.split()[0] for line in body.splitlines() if f"%{register}" in line]
        found.append(
            Loop(
                sum(bool(re.fullmatch(r"vmulpd|vfn?m(add|sub)\d+pd", word)) for word in packed),
                packed.count("vdivpd"),
                packed.count("vsqrtpd"),
                len(re.findall(r"^\s+call", body, re.MULTILINE)),
            )
        )
    return found


def called(text: str) -> set[str]:
    """The functions of the C library that the code reaches for."""
    return set(re.findall(r"\$?\b(exp|log|log1p|expm1|pow|erf|erfc|sqrt)\b", text))


def multiply_and_add(a: FloatArray, b: FloatArray, c: FloatArray) -> None:
    for i in range(a.size):
        c[i] = a[i] * b[i] + c[i]


def with_a_call(a: FloatArray, b: FloatArray, c: FloatArray) -> None:
    for i in range(a.size):
        c[i] = math.exp(a[i]) / b[i]


@pytest.fixture(scope="module")
def register() -> str:
    """The widest registers the compiler takes on this CPU, for the plainest of loops."""
    features = llvm.get_host_cpu_features()
    if not (features.get("avx512f") or features.get("avx2")):
        pytest.skip("this CPU has neither AVX2 nor AVX-512: there are no vector registers to look for")
    text = assembly(multiply_and_add, arrays(3))
    for name in ("zmm", "ymm"):  # some CPUs have zmm and are better off without: the compiler knows
        if any(loop.products for loop in loops(text, name)):
            return name
    raise AssertionError("the compiler does not vectorise even a multiplication and an addition")


HOT: dict[str, tuple[Any, str, list[Loop]]] = {
    # of each function: the least its two loops hold, the approach first
    "sweep": (kernels.sweep, arrays(5, 5, 4), [Loop(20, 2, 1, 0), Loop(40, 1, 1, 0)]),
    "sweep_coin": (kernels.sweep_coin, arrays(5, 4, 4), [Loop(20, 2, 1, 0), Loop(40, 1, 1, 0)]),
    "sweep_higher": (kernels.sweep_higher, arrays(5, 6, 4), [Loop(20, 2, 1, 0), Loop(15, 1, 1, 0)]),
    "sweep_moved": (spot.sweep_moved, arrays(8, 5, 3), [Loop(20, 1, 0, 0), Loop(40, 1, 0, 0)]),
    "add_moved": (spot.add_moved, arrays(9, 5, 3), [Loop(20, 1, 0, 0), Loop(40, 1, 0, 0)]),
}


@pytest.mark.parametrize("name", HOT)
def test_both_loops_of_a_kernel_are_vector_instructions(name: str, register: str) -> None:
    function, signature, least = HOT[name]
    text = assembly(function.py_func, signature)
    left = [loop for loop in loops(text, register) if loop.products]
    for wanted in least:
        enough = [
            loop
            for loop in left
            if loop.products >= wanted.products
            and loop.divisions >= wanted.divisions
            and loop.roots >= wanted.roots
            and not loop.calls
        ]
        assert enough, f"no {register} loop with at least {wanted}; there are {left}"
        left.remove(min(enough))
    assert called(text) == set()


def test_a_loop_that_calls_is_seen_through(register: str) -> None:
    text = assembly(with_a_call, arrays(3))
    assert called(text) == {"exp"}
    assert all(loop.calls for loop in loops(text, register) if loop.divisions)
