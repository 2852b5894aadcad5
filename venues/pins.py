"""Libraries that are used at one release alone, since another reads a venue's answers otherwise.

Importing it costs nothing; a test compares it with the project's own list of dependencies.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PINNED: Mapping[str, str] = MappingProxyType({"ccxt": "4.5.90"})
