"""Every venue behind the library: its hosts are the library's; an address of ours replaces all of them."""

from __future__ import annotations

import asyncio

import pytest

from venues.cex_choice import CEX
from venues.cex_client import CexTerms, make_client
from venues.net import Hosts, guarded_session


@pytest.mark.parametrize("name", sorted(CEX))
@pytest.mark.parametrize("sandbox", [False, True])
def test_a_venues_own_hosts_are_those_of_the_library(name: str, sandbox: bool) -> None:
    async def work() -> None:
        hosts = Hosts(CEX[name].hosts)
        async with guarded_session(hosts) as session:
            client = make_client(
                CexTerms(name, hosts, {}, sandbox=sandbox), {}, session, CEX[name].dialect().options
            )
            await client.close()

    asyncio.run(work())


@pytest.mark.parametrize("name", sorted(CEX))
def test_with_an_address_of_ours_none_of_the_librarys_is_left(name: str) -> None:
    async def work() -> None:
        hosts = Hosts.of(["http://127.0.0.1:9"])
        async with guarded_session(hosts) as session:
            urls = CEX[name].addresses("http://127.0.0.1:9")
            client = make_client(CexTerms(name, hosts, urls), {}, session, CEX[name].dialect().options)
            await client.close()

    asyncio.run(work())
