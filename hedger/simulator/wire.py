"""The wire of a simulated run: what left the engine and what came back, written down by somebody else."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from decimal import Decimal

from hedger.core.events import Answer, Failed, Happening
from hedger.engine.router import PaperLine
from pricing.contracts import Side
from pricing.daycount import NS_PER_SECOND
from pricing.market import Marks
from venues.base import Capabilities
from venues.orders import AccountReport, ComboOrder, Order, OrderUpdate

Say = Callable[[Happening], None]


class Sight:
    """What the quotes that reached us really were: when each was made, and what it showed.

    fed: when each batch was the venue's book, by its number.
    """

    def __init__(self, listings: int, fed: Mapping[int, int]) -> None:
        self.made_ns: dict[int, int] = {}
        self._shown: list[deque[Marks]] = [deque(maxlen=2) for _ in range(listings)]
        self._fed = fed

    def told(self, marks: Marks) -> None:
        """A batch reached us."""
        for row in marks.rows.tolist():
            self.made_ns[row] = self._fed.get(marks.seq, 0)
            self._shown[row].append(marks)

    def age_s(self, row: int, now_ns: int) -> float | None:
        """Of the listing's newest quote, by when it was made; None: there was none."""
        made = self.made_ns.get(row)
        return None if not made else (now_ns - made) / NS_PER_SECOND

    def displayed(self, row: int, side: Side, price: Decimal) -> Decimal:
        """How much the last quotes showed up to a price, on the other side: the most of the last two."""
        return max((_up_to(marks, row, side, price) for marks in self._shown[row]), default=Decimal(0))


def _up_to(marks: Marks, row: int, side: Side, price: Decimal) -> Decimal:
    at = marks.rows.tolist().index(row)
    if row in marks.depth:
        bids, asks = marks.depth[row]
        far = asks if side is Side.BUY else bids
        levels = list(zip(far.price.tolist(), far.size.tolist(), strict=True))
    elif side is Side.BUY:
        levels = [(float(marks.ask[at]), float(marks.ask_size[at]))]
    else:
        levels = [(float(marks.bid[at]), float(marks.bid_size[at]))]
    reached = [s for p, s in levels if p == p and s > 0 and (Decimal(repr(p)) - price) * side.sign <= 0]
    return sum((Decimal(repr(size)) for size in reached), Decimal(0))


class WireLine:
    """A line to a paper venue with a witness on it.

    step: told before and after every send, where it may be the end of the engine. heads: the numbers of the
    journal's last record, and of its last durable one. lines: what the witness wrote down so far.
    """

    def __init__(
        self,
        line: PaperLine,
        now: Callable[[], int],
        step: Callable[[], None],
        heads: Callable[[], tuple[int, int]],
        sight: Sight,
        lines: list[str],
    ) -> None:
        self._line, self._now, self._step, self._heads = line, now, step, heads
        self.sight, self.lines = sight, lines

    @property
    def name(self) -> str:
        """The venue's name."""
        return self._line.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._line.capabilities

    def submit(self, order: Order | ComboOrder) -> None:
        """Send an order; a combo is a line for each of its legs, under the one id that the venue is told."""
        self._step()
        for leg in order.legs if isinstance(order, ComboOrder) else (order,):
            row = self._line.exchange.core.universe.positions[leg.listing.key]
            self._write(
                "submit",
                client_id=order.client_id,
                symbol=leg.listing.symbol,
                side=str(leg.side),
                quantity=f"{leg.quantity:f}",
                price=f"{leg.price:f}",
                takes=not leg.post_only,
                durable=self._heads()[1],
                quote_age_s=self.sight.age_s(row, self._now()),
                displayed=f"{self.sight.displayed(row, leg.side, leg.price):f}",
            )
        self._line.submit(order)
        self._step()

    def cancel(self, client_id: str) -> None:
        """Ask for a cancel."""
        self._write("cancel", client_id=client_id)
        self._line.cancel(client_id)

    def cancel_all(self) -> None:
        """Ask for the mass cancel."""
        self._write("cancel_all")
        self._line.cancel_all()

    def ask_order(self, client_id: str) -> None:
        """Ask for one order."""
        self._write("ask_order", client_id=client_id)
        self._line.ask_order(client_id)

    def ask_account(self, since_ns: int) -> None:
        """Ask for the account."""
        self._write("ask_account")
        self._line.ask_account(since_ns)

    def refresh(self) -> None:
        """Restart the dead man's timer."""
        self._line.refresh()

    def poll(self) -> None:
        """Let the venue come up to the clock."""
        self._line.poll()

    def heard(self, what: Happening) -> None:
        """Something came back: write down what the checker needs of it."""
        match what:
            case Marks():
                self.sight.told(what)
            case Answer(client_id=client_id, report=report):
                outcome = "never_had" if report is None else "report"
                self._write("reply", of="order", client_id=client_id, outcome=outcome)
            case AccountReport():
                self._write("reply", of="account", outcome="report")
            case OrderUpdate(client_id=client_id, state=state):
                self._write("told", client_id=client_id, state=str(state))
            case Failed(what=of, client_id=client_id):
                self._write("reply", of=of, client_id=client_id, outcome="failed")

    def _write(self, what: str, **more: object) -> None:
        line = {"ordinal": len(self.lines), "time_ns": self._now(), "what": what, "venue": self.name}
        line |= {"number": self._heads()[0]} | more
        self.lines.append(json.dumps(line, separators=(",", ":")))
