"""What the tests of the venues share: a decoder that is ready."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.venues import decoder
from venues import source_files


@pytest.fixture(scope="module", autouse=True)
def _made_once() -> Iterator[None]:
    """Decoders start from a process that has their imports."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_files, "subprocess", SimpleNamespace(run=decoder.run))
        yield
