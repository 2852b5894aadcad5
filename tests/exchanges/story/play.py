"""One story: an exchange, an engine in a process of its own, a schedule, and who keeps the engine.

When the time of faults is over the exchange is well again, and within `STEADY_S_MAX` the engine must be at
peace; then it tells what it holds, is ended in order, and the checker reads everything.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

from hedger.core.events import Verb
from tests.certificates import Authority, Kind
from tests.exchanges.clock import NS, Clock
from tests.exchanges.server import serve
from tests.exchanges.story import config
from tests.exchanges.story.deeds import Deeds
from tests.exchanges.story.delta import Watch
from tests.exchanges.story.judge import judge
from tests.exchanges.story.keeper import Keeper, until
from tests.exchanges.story.lines import Stamped
from tests.exchanges.story.place import Place
from tests.exchanges.story.process import ready
from tests.exchanges.story.schedule import Schedule
from tests.exchanges.story.stage import Stage, Told, apart, balances, marks
from tests.exchanges.stranger import strange

#: Seconds until a started engine is armed, and until it is at peace after the last fault.
ARMED_S_MAX = 60.0
STEADY_S_MAX = 30.0
#: Until delta of two venues lies in its band again: some dozen orders on a busy machine.
HEDGED_S_MAX = 60.0
#: And a story goes on for so much longer until its first execution.
FIRST_S_MAX = 4.0
#: And until word of an execution is swallowed, where one is to be.
SWALLOWED_S_MAX = 15.0
#: And until its next execution, where it was not talked to for who answered: its tries to reach somebody who
#: was long gone lie half a minute apart.
GOES_ON_S_MAX = 60.0
#: At peace for so long, and every account was asked for after that and compared: money that was moved a
#: moment ago is known. Then nothing moves any more.
CALM_S, STILL_S = 0.4, 0.3
#: Coins that are too few to be worth an order.
SPENT = Decimal("0.01")
#: So many lives are asked for what they hold in the end.
LIVES_MAX = 3
#: The market moves so often, s; and jumps, by a share of this spread, so often.
STEP_S, JUMP_S, JUMP_SHARE = 0.1, 0.35, 0.004


class Story:
    """See the module."""

    def __init__(
        self, schedule: Schedule, stages: Sequence[Stage], folder: Path, authority: Authority | None
    ) -> None:
        self.schedule, self.stages = schedule, tuple(stages)
        self.told = Told(schedule)
        self.keeper = Keeper(self.told, self.stages, folder, authority)
        failing = self.stages[schedule.fails]
        self._deeds = Deeds(failing, self.keeper, authority)
        self._dice = random.Random(f"deeds {schedule.seed}")
        self._still = True  # until the first engine is armed
        self._moving = True  # until the market has moved enough
        self._watch = Watch(self.stages, failing) if schedule.pair else None

    async def play(self) -> None:
        """From the first start to the end."""
        loop, keeper = asyncio.get_running_loop(), self.keeper
        people = [loop.create_task(x) for x in (self._market(), keeper.supervise(), keeper.operate())]
        try:
            if not await until(lambda: keeper.mode() == "armed", ARMED_S_MAX):
                keeper.own.append("it was never armed")
                return
            self._still = False
            await self._faults(loop.time())
            await asyncio.gather(*self._deeds.tasks)
            if self._watch is not None:
                self.told.elsewhere = self._watch.elsewhere
            self.keeper.mended()
            self._deeds.mend()
            if self.schedule.tls:
                await self._goes_on()
            self._moving = False
            if self._watch is not None:
                await self._hedged(self._watch)
            await self._peace()
        finally:
            keeper.ending = True
            tasks = [*people, *self._deeds.tasks]
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            keeper.end_now()
        keeper.own += [f"the teller broke: {x!r}" for x in ended if isinstance(x, Exception)]

    async def _faults(self, begun_s: float) -> None:
        loop = asyncio.get_running_loop()
        for deed in self.schedule.deeds:
            await asyncio.sleep(max(begun_s + deed.at_s - loop.time(), 0.0))
            self._deeds.do(deed)
        await asyncio.sleep(max(begun_s + self.schedule.until_s - loop.time(), 0.0))
        if not self.keeper.killed:  # on a busy machine the first execution may take longer than all faults
            await until(lambda: self._fills() > 0, FIRST_S_MAX)
        if not self.keeper.killed:  # of two venues the first execution may be on the other one
            await until(lambda: self.keeper.killed or not self._deeds.owed("F7"), SWALLOWED_S_MAX)

    def _fills(self) -> int:
        """How many executions orders of the engine have had."""
        rows = (row for stage in self.stages for row in stage.truth.rows[stage.first :])
        return sum(row["event"] == "fill" and bool(row.get("client_id")) for row in rows)

    async def _goes_on(self) -> None:
        """What was refused for who it was is used again when it is the venue again."""
        fills = self._fills()
        if not await until(lambda: self._fills() > fills or self._spent(), GOES_ON_S_MAX):
            self.keeper.own.append("it did not go on when the venue could prove itself again")

    def _spent(self) -> bool:
        """Whether there is nothing left to sell: spot is sold from what is there."""
        place, exchange = self.stages[0].place, self.stages[0].host.exchange
        return place.spot and exchange.summary(place.account, place.coin).margin_balance < SPENT

    async def _hedged(self, watch: Watch) -> None:
        """Delta comes to lie in its band, and no execution on the way there went too far."""

        def hedged() -> bool:
            return self.keeper.killed or abs(watch.delta_usd()) <= watch.most_usd

        if not await until(hedged, HEDGED_S_MAX):
            self.keeper.own.append(f"delta was never hedged: {watch.delta_usd():.0f} USD")
        self.keeper.own += watch.found

    async def _peace(self) -> None:
        keeper = self.keeper
        if not await until(lambda: keeper.mode() == "armed" and not keeper.killed, STEADY_S_MAX):
            keeper.own.append("it was not armed after the faults")
        lives = LIVES_MAX
        while True:  # a crash that was drawn for this life may come as late as this
            last = await self._steady()
            self._still = True
            await asyncio.sleep(
                STILL_S
            )  # the last quotes reach the engine: both sides reckon by the same marks
            final = await keeper.ask("final", marks(self.stages))
            lives -= 1
            if final is not None or lives == 0:
                break
        keeper.note(**last)
        for claim in final or ():
            ended = claim["what"] == "final"
            more: dict[str, Any] = {"venue_balances": balances(self.stages)} if ended else {}
            keeper.note(**claim, **more)
        if final is None:
            keeper.own.append("it never told what it holds in the end")
        await keeper.end_in_order()

    async def _steady(self) -> dict[str, Any]:
        """What it claims once it has been at peace for long enough, with its troubles where it never was."""
        loop, keeper = asyncio.get_running_loop(), self.keeper
        limit_s = loop.time() + STEADY_S_MAX
        calm_ns = sys.maxsize  # monotonic, which all processes of a machine have in common
        while True:
            if keeper.due("pause", 0.5):  # one that came while no process was there is not obeyed
                keeper.command(Verb.PAUSE, "the day ends")
            claims = await keeper.ask("steady", marks(self.stages))
            troubles = (
                ["there is no engine"]
                if claims is None
                else [*claims[0]["troubles"], *apart(self.stages, claims[0])]
            )
            calm_ns = sys.maxsize if troubles else min(calm_ns, time.monotonic_ns())
            read_ns = min(claims[0].pop("read_ns").values()) if claims else 0
            if read_ns > calm_ns + CALM_S * NS or loop.time() > limit_s:
                break
            await asyncio.sleep(0.1)
        last = claims[0] if claims else {"what": "steady", "time_ns": time.time_ns(), "mode": ""}
        return last | {"troubles": troubles}

    async def _market(self) -> None:
        loop = asyncio.get_running_loop()
        jumped_s = last_s = loop.time()
        while True:
            await asyncio.sleep(STEP_S)
            now_s = loop.time()
            if self._still:
                continue
            first = self.stages[0].world
            first.step(now_s - last_s, trades=1)
            for stage in self.stages[1:]:  # one market: an index is the same everywhere
                stage.world.spots.update((k, first.spots[k]) for k in stage.world.spots)
                stage.world.step(0.0, trades=1)
            if self._watch is not None:
                self._watch.stepped()
            if self._moving and now_s - jumped_s >= JUMP_S:
                jumped_s = now_s
                share = self._dice.gauss(0.0, JUMP_SHARE)
                for stage in self.stages:
                    for index in stage.world.spots:
                        stage.world.move(index, share)
            last_s = now_s


async def told(schedule: Schedule, places: Sequence[Place], folder: Path) -> Told:
    """Tell one story in a folder of its own, and judge it."""
    ready()
    begun_s = time.monotonic()
    async with AsyncExitStack() as stack:
        stages: list[Stage] = []
        authority = Authority.made(folder) if schedule.tls else None
        elsewhere = await stack.enter_async_context(strange())
        for place in places:
            truth = Stamped(place)
            dialect, world = place.make(Clock(), truth, schedule.seed)
            place.open_book(dialect.exchange, random.Random(f"book {schedule.seed}"))
            shown = authority.server(Kind.GOOD) if authority is not None else None
            host = await stack.enter_async_context(serve(dialect, tls=shown))
            host.faults.elsewhere = elsewhere.url
            truth.journal = folder / "j"
            stages.append(Stage(place, host, world, truth, len(truth.rows)))
        config.write(
            folder,
            [(stage.place, stage.host) for stage in stages],
            options=schedule.options,
            mark_age_s=schedule.mark_age_s,
        )
        story = Story(schedule, stages, folder, authority)
        await story.play()
        story.keeper.own += [f"a redirect was followed: {bytes(said[:200])!r}" for said in elsewhere.heard]
        story.told.violations = judge(story.told, stages, story.keeper, folder)
    story.told.seconds = time.monotonic() - begun_s
    return story.told
