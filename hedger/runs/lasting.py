"""What lasts as long as the program is not looked over by the collector again and again.

Modules, compiled kernels and tables are some 150,000 objects. A full collection goes through all of them: 150
ms, once in a few hundred hedges, and a fifth of a replay. Set aside, they cost nothing; what is made later is
collected as ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def set_aside() -> Iterator[None]:
    """Within it, nothing that is alive at the start is looked over. Within another it changes nothing: what
    lasts is set aside already.

    >>> with set_aside():
    ...     gc.get_freeze_count() > 0
    True
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
