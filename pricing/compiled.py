"""Machine code for the kernels of this package: compiled once by numba, kept on disk, loaded afterwards.

`compiled` is numba's `njit` with the options every kernel here needs, and with a cache that cannot hurt:

- what is kept is keyed by the text of a kernel, of everything it calls in this package and of every constant
  it uses; numba alone looks at the kernel's own file, so that a change next door would keep old numbers
- a torn or foreign cache file is compiled over, not raised
- where nothing can be written (read-only disk, no home, disk full) the kernels are compiled in memory, at
  every start, and one `CacheWarning` says so

`warm_up` compiles or loads every kernel, so that no later call pays for it.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

from numba import njit
from numba.core.caching import FunctionCache

P = ParamSpec("P")
R = TypeVar("R")

#: "contract" makes a multiplication and an addition one instruction; nothing else is reordered or assumed.
#: error_model "numpy": a division by zero is an infinity or NaN, not a branch that raises.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}

_kernels: list[tuple[Any, str]] = []
_said: list[str] = []


class CacheWarning(RuntimeWarning):
    """Compiled kernels cannot be kept on disk."""


class WarmUp(NamedTuple):
    """What `warm_up` did: kernels made ready, how many of them were on disk, why none can be kept (or "")."""

    kernels: int
    loaded: int
    cache_problem: str


def compiled(signature: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function to machine code on its first call, or in `warm_up`, with a cache on disk.

    `signature` is numba's notation of the argument types that `warm_up` prepares, such as "(f8[::1], f8)";
    other types are compiled when they first come.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        dispatcher = njit(**OPTIONS)(function)
        try:
            dispatcher._cache = _HouseCache(function)
        except (RuntimeError, OSError) as problem:  # numba found no folder it may write to
            _say_once(str(problem))
        _kernels.append((dispatcher, signature))
        return cast(Callable[P, R], dispatcher)

    return decorate


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function a part of every kernel that calls it, so that the kernel's loop can be vectorised.

    >>> @inlined
    ... def twice(a: float) -> float:
    ...     return 2.0 * a
    >>> twice(4.0)
    8.0
    """
    return cast(Callable[P, R], njit(inline="always", **OPTIONS)(function))


def warm_up() -> WarmUp:
    """Compile or load every kernel of the modules imported so far; a few seconds once, then milliseconds.

    >>> warm_up().kernels >= 0
    True
    """
    loaded = 0
    for dispatcher, signature in _kernels:
        dispatcher.compile(signature)
        loaded += sum(dispatcher.stats.cache_hits.values()) > 0
    return WarmUp(len(_kernels), loaded, _said[0] if _said else "")


def fingerprint(function: Callable[..., Any]) -> str:
    """Return a digest of a function's code, of its constants and of all it calls in turn.

    >>> fingerprint(len.__class__) == ""      # not a Python function: nothing of ours
    True
    """
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType):
        return ""
    digest = hashlib.sha256(code.co_code)
    digest.update(repr([c for c in code.co_consts if not isinstance(c, CodeType)]).encode())
    known = {name: function.__globals__.get(name) for name in code.co_names}
    known |= {
        name: cell.cell_contents
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)
    }
    for name, value in sorted(known.items()):
        if isinstance(value, int | float | str | tuple):
            digest.update(f"{name}={value!r}".encode())
        else:  # a compiled function, an intrinsic, a plain one; a module or class says nothing
            inner = getattr(value, "py_func", None) or getattr(value, "_defn", None) or value
            digest.update(f"{name}:{fingerprint(cast(Callable[..., Any], inner))}".encode())
    return digest.hexdigest()


class _HouseCache(FunctionCache):
    """numba's cache of one function, keyed also by what the function calls, and never a reason to fail."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), fingerprint(self._py_func))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # torn, foreign or unreadable: what pickle raises then has no common type
            self._forget()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as problem:  # as above; and every way in which a disk can refuse
            _say_once(str(problem))

    def _forget(self) -> None:
        """Empty the index of this function, so that it can be written anew."""
        try:
            self.flush()
        except OSError as problem:
            _say_once(str(problem))


def _say_once(problem: str) -> None:
    if not _said:
        warnings.warn(
            f"compiled kernels cannot be kept on disk ({problem}): they are compiled again at every start, "
            "which takes some seconds; results are the same; to keep them, make the package's folder or the "
            "home writable, or name a folder in NUMBA_CACHE_DIR",
            CacheWarning,
            stacklevel=2,
        )
    _said.append(problem)
