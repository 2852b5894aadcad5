"""Imported by the server from which engines are forked, and by nobody else: compiles what they need, once."""

from tests.exchanges.story.process import warmed

warmed()
