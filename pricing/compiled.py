"""Machine code for the kernels of this package: compiled once by numba, kept on disk, loaded afterwards.

`compiled` is numba's `njit` with the options every kernel here needs, and with a cache that cannot hurt:

- what is kept is keyed by the text of a kernel, of everything it calls in this package and of every constant
  it uses; numba alone looks at the kernel's own file, so that a change next door would keep old numbers
- what is kept carries a digest of itself: a torn, changed or foreign cache file is compiled over, not run
  and not raised
- where nothing can be written (read-only disk, no home, disk full) the kernels are compiled in memory, at
  every start, and one `CacheWarning` says so

`warm_up` compiles or loads every kernel, so that no later call pays for it.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import CodeType
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.serialize import dumps
from numba.core.sigutils import normalize_signature

P = ParamSpec("P")
R = TypeVar("R")

#: Argument types in numba's notation, or one by one where a tuple with names is among them (`record`).
Signature = str | tuple[Any, ...]

#: "contract" makes a multiplication and an addition one instruction; nothing else is reordered or assumed.
#: error_model "numpy": a division by zero is an infinity or NaN, not a branch that raises.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}

_kernels: list[tuple[Any, Signature]] = []
_said: list[str] = []


class CacheWarning(RuntimeWarning):
    """Compiled kernels cannot be kept on disk."""


class WarmUp(NamedTuple):
    """What `warm_up` did: kernels made ready, how many of them were on disk, why none can be kept (or "")."""

    kernels: int
    loaded: int
    cache_problem: str


def compiled(signature: Signature) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function to machine code on its first call, or in `warm_up`, with a cache on disk.

    `signature` is numba's notation of the argument types that `warm_up` prepares, such as "(f8[::1], f8)", or
    a tuple of types; other types are compiled when they first come.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        dispatcher = njit(**OPTIONS)(function)
        try:
            dispatcher._cache = _KernelCache(function)
        except (RuntimeError, OSError) as problem:  # numba found no folder it may write to
            _say_once(str(problem))
        _kernels.append((dispatcher, signature))
        return cast(Callable[P, R], dispatcher)

    return decorate


def record(kind: type[tuple[Any, ...]], fields: Mapping[str, str]) -> Any:
    """The type of a NamedTuple of arrays as an argument of a kernel: kernels that work on the same dozen
    arrays pass them on as one. fields: numba's notation by name, in order.

    >>> class Line(NamedTuple):
    ...     x: np.ndarray
    ...     y: np.ndarray
    >>> record(Line, {"x": "f8[::1]", "y": "f8[::1]"}).fields
    ('x', 'y')
    """
    if tuple(fields) != getattr(kind, "_fields", None):
        raise ValueError(f"{kind.__name__} has other fields than {', '.join(fields)}")
    (found, _) = normalize_signature(f"({', '.join(fields.values())},)")
    return types.NamedTuple(found, kind)


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
        # types, not the text: a kernel that another one calls is kept under its types
        dispatcher.compile(normalize_signature(signature)[0])
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
    digest = hashlib.sha256(repr(function.__defaults__).encode())
    known: dict[str, Any] = {}
    for part in _with_nested(code):
        digest.update(part.co_code)
        digest.update(repr([c for c in part.co_consts if not isinstance(c, CodeType)]).encode())
        known |= {name: function.__globals__.get(name) for name in part.co_names}
    known |= {
        name: cell.cell_contents
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True)
    }
    for name, value in sorted(known.items()):
        if isinstance(value, int | float | str | tuple):
            digest.update(f"{name}={value!r}".encode())
        elif isinstance(value, np.ndarray):
            digest.update(f"{name}={value.dtype}{value.tolist()!r}".encode())
        else:  # a compiled function, an intrinsic, a plain one; a module or class says nothing
            inner = getattr(value, "py_func", None) or getattr(value, "_defn", None) or value
            digest.update(f"{name}:{fingerprint(cast(Callable[..., Any], inner))}".encode())
    return digest.hexdigest()


def _with_nested(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of every function written inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_nested(constant)


class _CheckedFile(IndexDataCacheFile):
    """numba's files of one function; each piece of code with a digest of its key and of itself.

    Machine code with one byte changed still loads, and then crashes or computes something else. And two
    processes that begin an empty cache at once may leave an index that names the other's file.
    """

    def save(self, key: Any, data: Any) -> None:
        code = dumps(data)
        super().save(key, (_digest(key, code), code))

    def load(self, key: Any) -> Any:
        kept = super().load(key)
        if kept is None:
            return None
        digest, code = kept
        if digest != _digest(key, code):
            raise ValueError("the file is not what was written for this function")
        return pickle.loads(code)


def _digest(key: Any, code: bytes) -> str:
    return hashlib.sha256(repr(key).encode() + code).hexdigest()


class _KernelCache(FunctionCache):
    """numba's cache of one function, keyed also by what the function calls, and never a reason to fail."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _CheckedFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=self._impl.locator.get_source_stamp(),
        )

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
        except Exception as problem:  # as above, and every way in which a disk can refuse: said once
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
