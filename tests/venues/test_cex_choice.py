"""Every venue's hosts, live and of its test network; an address of ours replaces all of the library's."""

from __future__ import annotations

import asyncio

import pytest

from venues.cex_choice import CEX
from venues.cex_client import CexTerms, make_client
from venues.deribit import LIVE_URL, SANDBOX_URL
from venues.errors import NotTheVenue
from venues.host_table import NETWORKS
from venues.net import Hosts, guarded_session


@pytest.mark.parametrize("name", sorted(CEX))
@pytest.mark.parametrize("sandbox", [False, True])
def test_a_networks_hosts_are_those_of_the_library_for_it(name: str, sandbox: bool) -> None:
    async def work() -> None:
        hosts = Hosts(NETWORKS[name].of(sandbox))
        async with guarded_session(hosts) as session:
            client = make_client(
                CexTerms(name, hosts, {}, sandbox=sandbox), {}, session, CEX[name].dialect().options
            )
            assert ("x-simulated-trading" in client.headers) is (name == "okx" and sandbox)
            await client.close()
            with pytest.raises(NotTheVenue, match="HOST_REFUSED"):
                other = Hosts(NETWORKS[name].of(not sandbox))
                make_client(CexTerms(name, other, {}, sandbox=sandbox), {}, session, {})

    asyncio.run(work())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_networks_share_no_host_but_the_one_that_a_header_tells_apart(name: str) -> None:
    networks = NETWORKS[name]
    shared = {"www.okx.com"} if name == "okx" else set()
    assert networks.live & networks.test == shared and networks.live and networks.test
    assert all("test" in h or "pap" in h or "future" in h for h in networks.test - shared)
    assert not any("test" in host for host in networks.live)


def test_deribits_networks_are_where_its_adapter_goes() -> None:
    for url, sandbox in ((LIVE_URL, False), (SANDBOX_URL, True)):
        assert Hosts.of([url]).names == NETWORKS["deribit"].of(sandbox)


@pytest.mark.parametrize("name", sorted(CEX))
def test_with_an_address_of_ours_none_of_the_librarys_is_left(name: str) -> None:
    async def work() -> None:
        hosts = Hosts.of(["http://127.0.0.1:9"])
        async with guarded_session(hosts) as session:
            urls = CEX[name].addresses("http://127.0.0.1:9")
            client = make_client(CexTerms(name, hosts, urls), {}, session, CEX[name].dialect().options)
            await client.close()

    asyncio.run(work())
