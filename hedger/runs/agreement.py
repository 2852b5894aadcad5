"""Whether the settings and the hard limits can both hold: looked at before a start and before a reload.

Settings say what the engine tries, hard limits what it may. Where a setting makes orders that a limit always
refuses, nothing is sent and every row stays where it is, quietly: such a pair is refused at the start, with
both keys. What is refused only now and then (a market that is too thin today, a day's budget used up) is the
limits at work and passes.

What each pair is about:

- the price of a taker reaches `touch_limit_bps` through the best price, and at most so far from mid, from the
  index and from its own last fill (C3);
- two slices of a leg are often the same order: the second may come after `duplicate_window_s` only (C12), and
  a leg's slices alone may not use up the orders of a window (C13);
- an order may rest as long as the settings let it, and its venue still take others (C18);
- quotes come, marks are made and accounts are read more often than they count as stale (C10);
- a band's landing interval lies at least in part within the hard limit of its row (C7);
- what is never permitted is not planned either (C2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from hedger.limits_file import LoadedLimits
from hedger.runs.paper_setup import one_numeraire
from hedger.sections.limits import UniverseConfig
from hedger.settings import EVERY, Settings
from hedger.solver.budget import longest_s
from pricing.errors import InputError
from pricing.market import Market
from pricing.valuation import value
from risk.costs import coins_per_unit
from risk.limit_terms import KIND_NAMES, Limits, RateLimits, allows

DAY_S = 86_400.0
#: Bands in USD, and the hard limit of the same row.
_ROWS: Mapping[str, str] = MappingProxyType(
    {
        "delta_usd": "delta_usd_max",
        "gamma_usd_per_1pct": "gamma_usd_per_1pct_max",
        "gamma_expiring_usd_per_1pct": "gamma_expiring_usd_per_1pct_max",
        "vega_usd_per_point": "vega_usd_per_point_max",
    }
)
NO_ORIGIN: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Clash:
    """A setting and a hard limit that make orders which are always refused. key: of the settings, "" where
    the limit alone refuses every order. allowed: of the setting, with the limit as it stands."""

    key: str
    observed: str
    limit: str
    stands: str
    allowed: str


def agreed(
    settings: Settings,
    limits: LoadedLimits,
    origin: Mapping[str, str] = NO_ORIGIN,
    *,
    tape: bool = False,
) -> Settings:
    """The settings, if the limits let out what they ask for, and the watchdog bears what a plan takes.

    Args:
        origin: where each key of the settings came from, by dotted key.
        tape: quotes are as old as they were recorded, and ages are not those of the limits; nobody watches.

    Raises:
        InputError: LIMITS_CLASH, with both keys of the first clash and how many there are; SOLVER_TOO_LONG.
    """
    found = list(clashes(settings, limits.limits, tape=tape))
    if found:
        raise _error(found, limits.source, origin)
    if not tape:
        _check_longest(settings, origin)
    return settings


def _check_longest(settings: Settings, origin: Mapping[str, str]) -> None:
    """While a plan is made the loop gives no sign of life: the watchdog must not take that for a stall."""
    key, stall_s = "solver.time_limit_s", settings.run.watchdog.stall_s_max
    limit_s = settings.solver.time_limit_s
    if stall_s and longest_s(limit_s) > stall_s:
        raise InputError(
            "SOLVER_TOO_LONG",
            "the solver may take longer over a plan than the watchdog bears a loop without a sign of life",
            where=f"{origin.get(key, 'the settings')}, key {key}, against run.watchdog.stall_s_max",
            observed=f"{limit_s:g} s for one search, {longest_s(limit_s):g} s for a whole plan",
            allowed=f"run.watchdog.stall_s_max = {stall_s:g} s for a whole plan",
            not_done="nothing was started",
            fix="lower the one or raise the other (0 switches that check of the watchdog off)",
        )


def taken(limits: LoadedLimits, settings: Settings) -> Settings:
    """What a start or a reload makes of settings that it was given.

    Raises:
        InputError: as `agreed`.
    """
    return agreed(one_numeraire(settings), limits)


def clashes(settings: Settings, limits: Limits, *, tape: bool = False) -> Iterator[Clash]:
    """Every clash, in the order of the module's list."""
    yield from _never(limits)
    yield from _prices(settings, limits)
    yield from _times(settings, limits)
    if not tape:
        yield from _ages(settings, limits)
    yield from _bands(settings, limits)
    yield from _permissions(settings, limits)


def check_market(market: Market, settings: Settings, limits: LoadedLimits) -> None:
    """Refuse limits of size or depth that no instrument of a market can meet: what it shows at a start, each
    instrument's best side, and the smallest order that its venue takes.

    Raises:
        InputError: LIMITS_CLASH. A market that shows no sizes at all is not judged.
    """
    valuation, universe = value(market, settings.age_s_max), market.universe
    coins = coins_per_unit(valuation)
    usd = coins * valuation.spot_of_listing()
    smallest = np.array([float(max(x.minimum, x.lot)) for x in universe.listings])
    shown = np.fmax(market.bid_size, market.ask_size) * usd
    order, depth = limits.limits.order, limits.limits.book.depth_usd_min
    found = []
    for limit, most, sizes, unit in (
        ("order.coin_max", order.coin_max, smallest * coins, "coins"),
        ("order.notional_usd_max", order.notional_usd_max, smallest * usd, "USD"),
    ):
        if np.isfinite(sizes).any() and most < np.nanmin(sizes):
            least = float(np.nanmin(sizes))
            found.append(
                Clash("", "", limit, f"{most:g} {unit}", f"at least {least:g} {unit}, the smallest order")
            )
    if np.isfinite(shown).any() and depth > np.nanmax(shown):
        most_shown = float(np.nanmax(shown))
        text = f"at most {most_shown:.6g} USD, the most that any instrument shows at its best price"
        found.append(Clash("", "", "book.depth_usd_min", f"{depth:g} USD", text))
    if found:
        raise _error(found, limits.source, NO_ORIGIN)


def _error(found: list[Clash], source: str, origin: Mapping[str, str]) -> InputError:
    first = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    if not first.key:
        return InputError(
            "LIMITS_CLASH",
            f"a hard limit that no order can meet{more}",
            where=f"{source}, key {first.limit}",
            observed=first.stands,
            allowed=first.allowed,
            not_done="nothing was started",
            fix="correct the limit; an engine that shall only look on need not be armed",
        )
    at = origin.get(first.key, "the settings")
    return InputError(
        "LIMITS_CLASH",
        f"orders that this setting makes are always refused by the hard limits{more}",
        where=f"{at}, key {first.key}, against {source}, key {first.limit}",
        observed=f"{first.observed}, the limit {first.stands}",
        allowed=f"{first.key} {first.allowed}",
        not_done="nothing was started",
        fix="change the one or the other; `hedger limits show` prints every limit",
    )


def _never(limits: Limits) -> Iterator[Clash]:
    """Limits that refuse every order, whatever the settings are."""
    order = limits.order
    for limit, stands, least in (
        ("order.notional_usd_max", order.notional_usd_max, "more than 0 USD"),
        ("order.coin_max", order.coin_max, "more than 0 coins"),
        ("order.open_venue_max", order.open_venue_max, "at least 1"),
        ("order.open_max", order.open_max, "at least 1"),
        ("repeat.fruitless_max", limits.repeat.fruitless_max, "at least 1"),
    ):
        if stands <= 0:
            yield Clash("", "", limit, f"{stands:g}", least)
    for name, rate in limits.rate.items():
        if rate.messages_max < 1:
            yield Clash("", "", f"rate.{name}.messages_max", f"{rate.messages_max}", "at least 1")
        if rate.burst <= rate.cancel_reserve:
            least = f"at least {rate.cancel_reserve + 1}: cancel_reserve of them are kept for cancels"
            yield Clash("", "", f"rate.{name}.burst", f"{rate.burst}", least)
    if limits.calendar.settlement_block_s >= DAY_S / 2:
        block = f"{limits.calendar.settlement_block_s:g} s"
        yield Clash("", "", "calendar.settlement_block_s", block, f"less than {DAY_S / 2:g} s")


def _at_most(key: str, x: float, limit: str, most: float, unit: str) -> Iterator[Clash]:
    if x > most:
        yield Clash(key, f"{x:g} {unit}", limit, f"{most:g} {unit}", f"at most {most:g} {unit}")


def _prices(settings: Settings, limits: Limits) -> Iterator[Clash]:
    reach, price = settings.execution.touch_limit_bps, limits.price
    for limit, most in (
        ("through_touch_bps_max", price.through_touch_bps_max),
        ("mid_bps_max", price.mid_bps_max),
        ("index_bps_max", price.index_bps_max),
        ("last_fill_bps_max", price.last_fill_bps_max),
    ):
        yield from _at_most("execution.touch_limit_bps", reach, f"price.{limit}", most, "bps")


def _times(settings: Settings, limits: Limits) -> Iterator[Clash]:
    execution, order = settings.execution, limits.order
    passive_s = execution.passive_seconds * (1.0 - execution.urgency)
    gaps = {"execution.slice_interval_s": execution.slice_interval_s}
    if passive_s > 0:
        gaps["execution.repeg_interval_s"] = execution.repeg_interval_s
    for key, gap_s in gaps.items():
        least = order.duplicate_window_s
        if gap_s < least:
            yield Clash(
                key, f"{gap_s:g} s", "order.duplicate_window_s", f"{least:g} s", f"at least {least:g} s"
            )
        for name, rate in limits.rate.items():
            yield from _window(key, gap_s, execution.execution_s_max, f"rate.{name}.messages_max", rate)
    resting = (("execution.passive_seconds", passive_s),) if passive_s > 0 else ()
    for key, alive_s in (*resting, ("execution.watch.order_age_s_max", execution.watch.order_age_s_max)):
        yield from _at_most(key, alive_s, "order.age_s_max", order.age_s_max, "s")


def _window(key: str, gap_s: float, execution_s: float, limit: str, rate: RateLimits) -> Iterator[Clash]:
    """One leg sends an order every so often, for as long as an execution lasts."""
    window_s = min(rate.window_s, execution_s)
    if rate.messages_max >= 1 and gap_s * rate.messages_max < window_s:
        stands = f"{rate.messages_max} in {rate.window_s:g} s"
        yield Clash(key, f"{gap_s:g} s", limit, stands, f"at least {window_s / rate.messages_max:.6g} s")


def _ages(settings: Settings, limits: Limits) -> Iterator[Clash]:
    age, run = limits.age, settings.run
    read_s = settings.execution.reconcile.every_s
    yield from _at_most(
        "execution.reconcile.every_s", read_s, "age.positions_s_max", age.positions_s_max, "s"
    )
    if run.mode == "live":
        return
    if not settings.paper.latency_file:
        feed_ms = settings.paper.feed_ms
        yield from _at_most("paper.feed_ms", feed_ms, "age.book_s_max", 1e3 * age.book_s_max, "ms")
    if not run.feed:  # the simulated market, which moves as often as this says
        for limit, most in (("book_s_max", age.book_s_max), ("index_s_max", age.index_s_max)):
            yield from _at_most("run.mark_every_s", run.mark_every_s, f"age.{limit}", most, "s")


def _bands(settings: Settings, limits: Limits) -> Iterator[Clash]:
    """A row is brought into its landing interval: that must not lie beyond the row's hard limit."""
    for coin in sorted({*settings.bands, *limits.greeks}):
        bands, most = settings.bands_of(coin), limits.greeks_of(coin)
        for band, limit in _ROWS.items():
            spec, bound = getattr(bands, band), getattr(most, limit)
            if spec is None:
                continue
            low, high = (spec.target + side for side in spec.landing)
            if low > bound or high < -bound:
                table = coin if coin in limits.greeks else EVERY
                yield Clash(
                    f"bands.{coin if coin in settings.bands else EVERY}.{band}",
                    f"landing from {low:g} to {high:g}",
                    f"greeks.{table}.{limit}",
                    f"{bound:g}",
                    f"with a landing interval that reaches into -{bound:g} to {bound:g}",
                )


def _permissions(settings: Settings, limits: Limits) -> Iterator[Clash]:
    permission, chosen = limits.permission, settings.universe
    for kind in KIND_NAMES:
        if kind not in permission.kinds and _planned(chosen, kind):
            named = ", ".join(sorted(permission.kinds)) or "none"
            yield Clash("universe", f"{kind} may be planned", "permission.kinds", named, _deny("kinds", kind))
    for symbol in sorted(permission.denied_symbols):
        denied = all(symbol in side.symbols for side in (chosen.deny_buy, chosen.deny_sell))
        if not denied and not _only_others(chosen, symbol):
            yield Clash(
                "universe",
                f"{symbol} may be planned",
                "permission.denied_symbols",
                f"names {symbol}",
                _deny("symbols", symbol),
            )
    traded = settings.venues if settings.run.mode == "live" else settings.run.feed
    for venue in sorted(map(str, traded)):
        denied = venue in chosen.deny_buy.venues and venue in chosen.deny_sell.venues
        if not allows(permission.venues, venue) and not denied:
            named = ", ".join(sorted(permission.venues)) or "none"
            yield Clash(
                "universe", f"{venue} may be planned", "permission.venues", named, _deny("venues", venue)
            )


def _deny(lists: str, name: str) -> str:
    return f'with "{name}" in deny_buy.{lists} and deny_sell.{lists}'


def _planned(chosen: UniverseConfig, kind: str) -> bool:
    """Whether a plan may buy or sell this kind."""
    for deny, allow in ((chosen.deny_buy, chosen.allow_buy), (chosen.deny_sell, chosen.allow_sell)):
        narrowed = bool(allow.kinds or allow.symbols)  # the kinds of its symbols are not known here
        if kind not in deny.kinds and not (narrowed and kind not in allow.kinds):
            return True
    return False


def _only_others(chosen: UniverseConfig, symbol: str) -> bool:
    """Whether both sides allow certain symbols alone, and this is none of them."""
    sides = (chosen.allow_buy, chosen.allow_sell)
    return all(x.symbols and not x.kinds and symbol not in x.symbols for x in sides)
