"""Loopback exchanges: a matching core, an aiohttp shell, and a dialect for each venue."""
