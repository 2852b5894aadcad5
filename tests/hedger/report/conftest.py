"""One replay and its report for all tests of the report."""

from __future__ import annotations

import pytest

from tests.hedger.report.made import Made, make


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("report"))
