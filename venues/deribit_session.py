"""A logged-in session on Deribit that mends itself: connects, signs in, subscribes, and does so again.

What is particular to Deribit:

- The secret never crosses the wire: signing in is by HMAC over a stamp and a nonce (`client_signature`).
- Heartbeats: the venue sends `test_request` and closes the connection where no answer comes. The answer is
  how it knows that we live.
- Cancel on disconnect is per connection, by TCP close or failed heartbeat. Once `refresh` has been called,
  test requests are answered only while the engine goes on calling it: an engine that hangs, with its event
  loop alive, then loses the connection, and the venue cancels its orders.
- A signature whose time is wrong is refused in the words of a wrong key: a key is given up only where it is
  refused twice, with the clocks agreeing after each time.
- A subscription that is refused, or gets no answer, is owed (`owed`, `settle`): nothing comes by it.
- Nothing is signed into a GET: orders go by this socket alone, once, and a question that got no answer is
  `NoAnswer`, never asked again here.
- A clean `private/logout` leaves orders as they are; a broken connection does not.

Source: docs.deribit.com, "authentication", "session management".
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from pricing.daycount import NS_PER_SECOND
from venues.errors import Locked, NotTheVenue, Unreachable, VenueError
from venues.json_rpc import NotSent, Quick, RpcError, RpcLink, takes_nothing
from venues.secrets import Secret
from venues.wire.fields import NS_PER_MS
from venues.wire.rejects import key_refused, too_fast

#: Of the venue's words for what a key may do; longer ones are cut, and are told as such.
SCOPE_CHARACTERS_MAX = 2000
#: Channels in one request: the venue takes more, but one bad name refuses them all.
CHANNELS_AT_ONCE = 200
#: "Invalid params", "bad request", "raw not available": of a request with several channels, one may be meant.
WRONG_NAMES = frozenset({"-32602", "11050", "13778"})
#: Sign in again at this share of the token's life.
RENEW_SHARE = 0.7
#: The venue takes no signature whose time is more than a minute from its own: where the clocks are that far
#: apart, a refusal says nothing about the key.
SKEW_S_MAX = 20.0
#: Clocks are set right at any moment: signing in is tried so often at least, seconds.
SKEWED_PAUSE_S_MOST = 2.0
#: Nothing was heard for so many heartbeats: the connection is dead, whatever TCP says.
SILENT_BEATS = 2.5
#: A test request that is not answered ends the connection within so many heartbeats of the last answer.
NOTICED_BEATS = 2.0


@dataclass(frozen=True, slots=True)
class Login:
    """Who we are."""

    key: Secret
    secret: Secret


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """Times of a session, seconds. heartbeat_s: at least 10 on the real venue. dead_man_s: how long test
    requests are answered after the last refresh, at most, and the time until the venue notices."""

    answer_s_max: float = 5.0
    connect_s_max: float = 10.0
    heartbeat_s: float = 10.0
    dead_man_s: float = 45.0
    pause_s_first: float = 0.5
    pause_s_most: float = 30.0


Hear = Callable[[str, Any], None]
#: Told each time: True, the session is up, signed in and subscribed; False with the reason: not any more.
Tell = Callable[[bool, str], None]


class DeribitSession:
    """One connection after another. hear: gets (channel, data) of every notification, and must not wait;
    quick: as of `RpcLink`. brief: to say a few words at once and end: signed in, with no heartbeat, and
    nothing that hangs on the connection."""

    def __init__(
        self,
        url: str,
        session: aiohttp.ClientSession,
        hear: Hear,
        tell: Tell,
        *,
        login: Login | None = None,
        terms: SessionTerms | None = None,
        quick: Quick = takes_nothing,
        brief: bool = False,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._url, self._http = url, session
        self._hear, self._tell, self._quick = hear, tell, quick
        self._login, self._brief = login, brief
        self._terms = terms or SessionTerms()
        self.now_ns = now_ns
        self._channels: dict[str, None] = {}
        self._joined: set[str] = set()  # what is sent on the present connection, as far as is known
        self._link: RpcLink | None = None
        self._up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._refreshed_s: float | None = None
        self._renew_s = float("inf")
        self._tried = 0
        self.locked: Locked | None = None
        self.failure: BaseException | None = None
        self.connections = 0
        self.scope = ""
        self.missing: set[str] = set()  # channels that the venue does not send, such as of what has expired
        self.cancels_on_disconnect = False

    @property
    def up(self) -> bool:
        """Whether it is connected, signed in and subscribed."""
        return self._up.is_set()

    def start(self) -> None:
        """Connect, and keep connected until `close`."""
        self._keeper = asyncio.get_running_loop().create_task(self._keep())
        self._keeper.add_done_callback(self._ended)

    async def wait_up(self, timeout_s: float) -> None:
        """Return once it is up.

        Raises:
            Unreachable: not within the time. Locked: the key is refused. NotTheVenue: wrong certificate.
        """
        assert self._keeper is not None, "start first"
        waiting = asyncio.get_running_loop().create_task(self._up.wait())
        try:
            await asyncio.wait(
                {waiting, self._keeper}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waiting.cancel()
        if self._up.is_set():
            return
        if self.failure is not None:
            raise self.failure
        raise self.locked or Unreachable("NOT_CONNECTED", "no session", observed=f"none in {timeout_s:g} s")

    async def call(self, method: str, params: Mapping[str, Any], timeout_s: float | None = None) -> Any:
        """Ask once on the present connection.

        Raises:
            NotSent, NoAnswer, RpcError: as `RpcLink.call`. Locked: the key is refused.
        """
        if self.locked is not None:
            raise self.locked
        link = self._link
        if link is None or not self._up.is_set():
            raise NotSent("NOT_CONNECTED", "no session with the venue", where=method)
        return await self._ask(link, method, params, timeout_s)

    async def subscribe(self, channels: Iterable[str]) -> None:
        """Hear these channels too, now and after every reconnect.

        Raises:
            VenueError: as `settle`.
        """
        self.follow(channels)
        await self.settle()

    def follow(self, new: Iterable[str], gone: Iterable[str] = ()) -> None:
        """What is to be heard from now on, and what no more; `settle` tells the venue."""
        for channel in gone:
            self._channels.pop(channel, None)
        self._channels.update(dict.fromkeys(new))

    @property
    def owed(self) -> list[str]:
        """Channels that are wanted, and that the venue has not taken on this connection."""
        return [c for c in self._channels if c not in self._joined]

    @property
    def settled(self) -> bool:
        """Whether the venue sends what is wanted, and nothing else."""
        return self._joined == self._channels.keys()

    async def settle(self) -> None:
        """Have the venue send what is wanted, and nothing else; without a session the next one begins so.

        Raises:
            VenueError: the venue refuses a part of it, or does not answer; what it has taken is not owed.
        """
        link = self._link
        if link is None or not self._up.is_set():
            return
        failure: VenueError | None = None
        if strays := [c for c in self._joined if c not in self._channels]:
            try:
                await self._leave(link, strays)
            except VenueError as error:  # what nobody wants costs bandwidth; what is wanted comes first
                failure = error
        await self._subscribe(link, self.owed)
        if failure is not None:
            raise failure

    async def resubscribe(self, channels: list[str]) -> None:
        """Leave and join these, for a fresh snapshot of each."""
        if self._link is not None and self._up.is_set():
            await self._leave(self._link, channels)
            await self._subscribe(self._link, channels)

    def refresh(self) -> None:
        """The engine is well; from the first time on, it has to go on saying so."""
        self._refreshed_s = asyncio.get_running_loop().time()

    async def close(self) -> None:
        """Log out, which leaves orders as they are, and end."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        link, self._link = self._link, None
        self._up.clear()
        if link is None:
            return
        if self._login is not None and link.alive:
            link.post("private/logout", {})
            with_patience = asyncio.get_running_loop().create_task(link.ended.wait())
            await asyncio.wait({with_patience}, timeout=min(self._terms.answer_s_max, 1.0))
            with_patience.cancel()
        await link.close()

    # ---------------------------------------------------------------------------------------------- keeping

    async def _keep(self) -> None:
        while self.locked is None and self.failure is None:
            try:
                link = await self._connect()
            except Locked as error:
                self.locked = error
                self._tell(False, error.text())
                return
            except VenueError as error:
                if isinstance(error, NotTheVenue) and not self.connections:
                    self.failure = error  # a wrong address or certificate is no outage: nobody waits for it
                self._tell(False, error.text())
                if self.failure is None:
                    pause_s = self._pause_s()
                    await asyncio.sleep(
                        min(pause_s, SKEWED_PAUSE_S_MOST) if error.code == "CLOCK_SKEWED" else pause_s
                    )
                continue
            self._tried = 0
            await self._watch(link)
            self._up.clear()
            self._link = None
            self.failure = link.failure
            await link.close()
            self._tell(False, link.reason)
            if self.failure is None:
                await asyncio.sleep(self._pause_s())

    async def _connect(self) -> RpcLink:
        link = await RpcLink.open(self._http, self._url, self._heard, self._terms.connect_s_max, self._quick)
        self._link = link
        self._joined.clear()
        try:
            if self._login is not None:
                await self._sign_in(link)
            if not self._brief:
                await self._ask(link, "public/set_heartbeat", {"interval": round(self._terms.heartbeat_s)})
            if self._login is not None and not self._brief:
                await self._arm(link)
            await self._begin(link)
        except BaseException:  # cancelled, too: half a session would answer to nobody
            await link.close("not set up")
            self._link = None
            raise
        self.connections += 1
        self._up.set()
        self._tell(True, "")
        return link

    async def _watch(self, link: RpcLink) -> None:
        """Return when the connection is over, or as good as."""
        loop = asyncio.get_running_loop()
        silent_s = SILENT_BEATS * self._terms.heartbeat_s
        while not link.ended.is_set():
            now_s = loop.time()
            if now_s - link.heard_s > silent_s:
                await link.close(f"nothing heard for {silent_s:g} s")
                return
            if now_s >= self._renew_s:
                try:
                    await self._sign_in(link)
                except VenueError as error:
                    await link.close(f"could not sign in again: {error.code}")
                    return
            wake_s = min(link.heard_s + silent_s, self._renew_s) - now_s
            try:
                async with asyncio.timeout(max(wake_s, 0.05)):
                    await link.ended.wait()
            except TimeoutError:
                pass

    def _pause_s(self) -> float:
        """Longer each time, and never the same: many clients come back from one outage."""
        self._tried += 1
        most = min(self._terms.pause_s_first * 2.0 ** min(self._tried - 1, 10), self._terms.pause_s_most)
        return most * random.uniform(0.5, 1.0)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A bug of ours ended it: whoever listens must hear of it, as it is no outage."""
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.failure = failure
            self._tell(False, "a bug of ours")

    # -------------------------------------------------------------------------------------------- setting up

    async def _sign_in(self, link: RpcLink) -> None:
        """Raises VenueError; Locked where the key is refused, and time is not the reason."""
        try:
            await self._present(link)
        except RpcError as error:
            if not key_refused("deribit", error.number):
                raise
            await self._same_time(link)
            await self._sign_in_again(link)

    async def _sign_in_again(self, link: RpcLink) -> None:
        """The clock may have been set right since the refusal: who is refused now, is."""
        try:
            await self._present(link)
        except RpcError as error:
            if not key_refused("deribit", error.number):
                raise
            await self._same_time(link)
            raise Locked(
                "KEY_REFUSED",
                "the venue does not let this key in",
                where="public/auth",
                observed=f"{error.number} {error.message}",
                not_done="no order can be sent or cancelled with it",
                fix="check the key at the venue; nothing tries it again by itself",
            ) from None

    async def _present(self, link: RpcLink) -> None:
        assert self._login is not None
        stamp = str(self.now_ns() // NS_PER_MS)
        nonce = os.urandom(8).hex()
        text = f"{stamp}\n{nonce}\n".encode()
        signature = hmac.new(self._login.secret.reveal().encode(), text, hashlib.sha256).hexdigest()
        answer = await self._ask(
            link,
            "public/auth",
            {
                "grant_type": "client_signature",
                "client_id": self._login.key.reveal(),
                "timestamp": int(stamp),
                "nonce": nonce,
                "data": "",
                "signature": signature,
            },
        )
        lives_s = answer.get("expires_in") if isinstance(answer, dict) else None
        if not isinstance(lives_s, int | float) or not 0 < lives_s < 1e9:
            lives_s = 600.0
        self._renew_s = asyncio.get_running_loop().time() + RENEW_SHARE * lives_s
        self.scope = str(answer.get("scope", ""))[:SCOPE_CHARACTERS_MAX] if isinstance(answer, dict) else ""

    async def _arm(self, link: RpcLink) -> None:
        """Have orders cancelled when this connection breaks. A key that may not say so may still trade: the
        owner sets it for the account, and whoever reads `cancels_on_disconnect` decides."""
        try:
            await self._ask(link, "private/enable_cancel_on_disconnect", {"scope": "connection"})
            self.cancels_on_disconnect = True
        except RpcError:
            try:
                answer = await self._ask(link, "private/get_cancel_on_disconnect", {"scope": "account"})
                self.cancels_on_disconnect = isinstance(answer, dict) and answer.get("enabled") is True
            except RpcError:
                self.cancels_on_disconnect = False

    async def _begin(self, link: RpcLink) -> None:
        """Join everything. A market may owe some for a while; an account is not up without its news."""
        try:
            await self._subscribe(link, list(self._channels))
        except RpcError:
            if self._login is not None:
                raise

    async def _subscribe(
        self, link: RpcLink, channels: Sequence[str], at_once: int = CHANNELS_AT_ONCE
    ) -> None:
        """Raises VenueError: of those that it refuses, when all the others have been asked for."""
        failure: RpcError | None = None
        for start in range(0, len(channels), at_once):
            part = channels[start : start + at_once]
            try:
                await self._join(link, part)
            except RpcError as error:
                if too_fast("deribit", error.number):
                    raise
                failure = error
                if error.number in WRONG_NAMES and len(part) > 1:
                    try:
                        await self._subscribe(link, part, (len(part) + 1) // 2)
                        failure = None
                    except RpcError as narrower:
                        failure = narrower
        if failure is not None:
            raise failure

    async def _join(self, link: RpcLink, part: Sequence[str]) -> None:
        taken = await self._ask(link, f"{self._domain}/subscribe", {"channels": list(part)})
        missing = set(part).difference(taken if isinstance(taken, list) else ())
        self.missing = (self.missing | missing) - set(part).difference(missing)
        if private := [c for c in missing if c.startswith("user.")]:
            raise Unreachable(
                "NOT_SUBSCRIBED",
                "the venue does not send what happens on the account",
                observed=", ".join(private)[:200],
                not_done="the session is not used",
            )
        if link is self._link:
            self._joined.update(part)  # of what is missing it has said that nothing will come

    async def _leave(self, link: RpcLink, channels: Sequence[str]) -> None:
        await self._ask(link, f"{self._domain}/unsubscribe", {"channels": list(channels)})
        if link is self._link:
            self._joined.difference_update(channels)

    @property
    def _domain(self) -> str:
        return "public" if self._login is None else "private"

    async def _ask(
        self, link: RpcLink, method: str, params: Mapping[str, Any], timeout_s: float | None = None
    ) -> Any:
        return await link.call(method, params, timeout_s or self._terms.answer_s_max)

    async def _same_time(self, link: RpcLink) -> None:
        """Return where the venue's clock and ours agree well enough for a signature.

        Raises:
            Unreachable: they do not; signing in is tried again, since clocks are set right again.
        """
        told_ms = await self._ask(link, "public/get_time", {})
        skew_s = (told_ms * NS_PER_MS - self.now_ns()) / NS_PER_SECOND if isinstance(told_ms, int) else 0.0
        if abs(skew_s) > SKEW_S_MAX:
            raise Unreachable(
                "CLOCK_SKEWED",
                "the venue refuses a signature, and its clock and ours are apart",
                observed=f"{skew_s:+z.1f} s",
                allowed=f"within {SKEW_S_MAX:g} s",
                not_done="no session; it is tried again",
                fix="see which of the clocks is wrong",
            )

    # ---------------------------------------------------------------------------------------------- hearing

    def _heard(self, method: str, params: Mapping[str, Any]) -> None:
        if method == "subscription":
            channel = params.get("channel")
            if isinstance(channel, str):
                self._hear(channel, params.get("data"))
        elif method == "heartbeat" and params.get("type") == "test_request" and self._well():
            assert self._link is not None
            self._link.post("public/test", {})

    def _well(self) -> bool:
        """Whether to tell the venue that we live: always until the first refresh, then while they come."""
        if self._refreshed_s is None or self._login is None:
            return True
        passed_s = asyncio.get_running_loop().time() - self._refreshed_s
        return passed_s <= self._terms.dead_man_s - NOTICED_BEATS * self._terms.heartbeat_s
