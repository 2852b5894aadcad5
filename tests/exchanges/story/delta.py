"""The delta of a book over all exchanges of a story, from what they hold and how their market stands.

It is reckoned without a word of the engine's: positions and cash of the exchanges, Greeks of `world`. Where
delta can be hedged on two venues and one fails, an order without an answer may have been done, and another
one may have been sent elsewhere for the same breach: `Watch` finds an execution by which delta went further
than it was, or than its band, wherever the market stood since the order can have been decided on, and
whatever of others' doings on the failing account could be known by then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tests.exchanges.story.config import DELTA_USD
from tests.exchanges.story.stage import Stage
from tests.exchanges.words import FillNews, Instrument, Kind, News, Side

#: Marks are rounded.
SLACK_USD = 5_000.0
#: An order was decided on so long before its execution at most, in steps of the market: as long as one may
#: rest, about. The expiring options' delta moves by a landing band in one step.
STEPS_MAX = 30
#: What others do on an account whose venue fails can be unseen for so long: the longest that one is silent,
#: and time to connect again and ask.
UNSEEN_S = 5.0
#: Why an account trades that did not order it.
_OTHERS = frozenset(("manual", "adl", "liquidation", "bust"))


def unit_delta(stage: Stage, instrument: Instrument) -> float:
    """Of one order unit, in coins, as the house counts it: coin-settled options without premium."""
    world = stage.world
    spot, forward = world.spots[instrument.index], world.forward(instrument)
    size = float(instrument.multiplier)
    if instrument.kind is Kind.OPTION:
        return size * world.greeks(instrument).delta * (1.0 if instrument.inverse else forward / spot)
    return size / forward if instrument.inverse else size * forward / spot


def delta_usd(stages: Sequence[Stage]) -> float:
    """Of everything that is held, cash in coins included."""
    total = 0.0
    for stage in stages:
        place, exchange = stage.place, stage.host.exchange
        spot = stage.world.spots[place.coin]
        coins = float(exchange.summary(place.account, place.coin).margin_balance)
        for position in exchange.positions(place.account):
            coins += float(position.quantity) * unit_delta(stage, position.instrument)
        total += coins * spot
    return total


@contextmanager
def at_price(stages: Sequence[Stage], coin: str, price: float) -> Iterator[None]:
    """As if the index stood there, in every exchange's market."""
    now = [stage.world.spots[coin] for stage in stages]
    for stage in stages:
        stage.world.spots[coin] = price
    try:
        yield
    finally:
        for stage, was in zip(stages, now, strict=True):
            stage.world.spots[coin] = was


class Watch:
    """What our executions did to delta. elsewhere: how many were on another exchange than the failing one.

    An execution goes too far where it does so at every price that the market has had lately, with and
    without what a person, or the exchange, did last on the account that cannot be seen.
    """

    def __init__(self, stages: Sequence[Stage], failing: Stage) -> None:
        self._stages, self._failing = tuple(stages), failing
        self.most_usd = DELTA_USD + SLACK_USD
        self.elsewhere = 0
        self.found: list[str] = []
        self._prices: deque[float] = deque(maxlen=STEPS_MAX)
        self._begin = len(failing.truth.rows)
        self.stepped()
        for stage in self._stages:
            stage.host.exchange.listeners.append(self._listener(stage))

    def delta_usd(self) -> float:
        """Now."""
        return delta_usd(self._stages)

    def stepped(self) -> None:
        """The market has moved."""
        first = self._stages[0]
        self._prices.append(first.world.spots[first.place.coin])

    def _listener(self, stage: Stage) -> Callable[[News], None]:
        def heard(news: News) -> None:
            if isinstance(news, FillNews) and news.fill.account == stage.place.account and news.order:
                self._filled(stage, news)

        return heard

    def _filled(self, stage: Stage, news: FillNews) -> None:
        fill = news.fill
        if stage is not self._failing:
            self.elsewhere += 1
        signed = float(fill.quantity) * fill.side.sign
        coin = stage.place.coin
        seen = []
        for price in (*self._prices, stage.world.spots[coin]):
            with at_price(self._stages, coin, price):
                moved = signed * unit_delta(stage, fill.instrument) * price
                for unseen in self._unseen_usd(price):
                    after = self.delta_usd() - unseen
                    before = after - moved
                    seen.append((abs(after) - max(abs(before), self.most_usd), before, after))
        least, before, after = min(seen)
        if least > 0:
            self.found.append(
                f"{fill.client_id} at {stage.place.venue} took delta from {before:.0f} to {after:.0f} USD"
            )

    def _unseen_usd(self, price: float) -> Iterator[float]:
        """Delta of what others did lately on the failing account: of nothing, of the last of it, of the last
        two, and so on to all of it."""
        exchange, place = self._failing.host.exchange, self._failing.place
        since_ns, total = exchange.now_ns - int(UNSEEN_S * 1e9), 0.0
        yield total
        for row in reversed(self._failing.truth.rows[self._begin :]):
            if row["ns"] < since_ns:
                return
            if row.get("account") != place.account:
                continue
            if row["event"] == "transfer" and row["currency"] == place.coin:
                total += float(row["amount"]) * price
            elif row["event"] == "fill" and row["why"] in _OTHERS:
                sign = Side(row["side"]).sign
                unit = unit_delta(self._failing, exchange.instruments[row["symbol"]])
                total += sign * float(row["quantity"]) * unit * price
            else:
                continue
            yield total
