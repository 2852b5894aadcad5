"""The configuration of a story's engine: the product's, with short times.

Times are an eighth to a twentieth of the defaults, so that a story takes seconds; their order is kept: an
order is given up for lost later than the latest that one can come to the exchange here, an account is read
again later than a question is answered; executions are asked for again from longer ago than an exchange's
clock is ever set back (`schedule`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.exchanges.server import Host
from tests.exchanges.story.place import Place

#: Hard limits: of a position, USD. What quotes may be old, s.
POSITION_USD_MAX = 6_000_000
BOOK_AGE_S_MAX = 2.0
#: Where delta is to be hedged again, USD.
DELTA_USD = 15_000

_SETTINGS = """
limits_file = "limits.toml"

[run]
mode = "live"
start_s_max = 10.0
tick_ms = 20.0
heartbeat_s = 0.05
close_s_max = 3.0
underlyings = ["{coin}"]

[bands."*"]
{bands}

[universe]
deny_buy = {{ kinds = [{denied}] }}
deny_sell = {{ kinds = [{denied}] }}

[solver]
time_limit_s = 0.2
gap = 2e-2
columns = 8

[execution]
participation = 0.5
slice_interval_s = 0.1
passive_seconds = 0.25
repeg_interval_s = 0.1
book_age_s_max = {age}
replans_max = 50
replans_all_max = 200
rejects_max = 50
dry_slices_max = 20

[execution.watch]
answer_s_max = 0.3
ask_again_s = 0.05
ask_again_s_max = 0.3
alert_s = 2.0
not_found_min = 3
not_found_s_min = 1.6
order_age_s_max = 3.0
cancel_again_s = 0.3
fills_s_max = 0.2

[execution.reconcile]
every_s = 0.6
soon_s = 0.15
overlap_s = 330.0
cash_difference_usd_max = 3000.0
kill_again_s = 0.2

[policy]
when = {{ breach = {{}} }}
attempts_max = 200
attempts_window_s = 60.0
hysteresis = 0.0
"""

_DELTA = f"delta_usd = {{ target = 0, trigger = [-{DELTA_USD}, {DELTA_USD}], landing = [-7000, 7000] }}"
_GREEKS = (
    _DELTA + "\n"
    "gamma_usd_per_1pct = { target = 0, trigger = [-20000, 20000], landing = [-12000, 12000] }\n"
    "vega_usd_per_point = { target = 0, trigger = [-600, 600], landing = [-350, 350] }"
)
_LIMITS = """
[position]
instrument_usd_max = {position}.0

[order]
notional_usd_max = 1000000.0
duplicate_window_s = 0.05

[repeat]
fruitless_max = 100

[rate."*"]
orders_per_s = 50.0
burst = 100
messages_max = 3000
"""


def write(
    folder: Path,
    places: Sequence[tuple[Place, Host]],
    *,
    options: bool,
    mark_age_s: float | None = None,
) -> None:
    """config.toml and limits.toml, in a folder that nobody else can read. mark_age_s: of every venue."""
    ages = "" if mark_age_s is None else f"mark_age_s_max = {mark_age_s}\n"
    folder.chmod(0o700)
    allowed = {"spot": any(place.spot for place, _ in places), "option": options}
    text = _SETTINGS.format(
        bands=_GREEKS if options else _DELTA,
        denied=", ".join(f'"{kind}"' for kind, is_allowed in allowed.items() if not is_allowed),
        age=BOOK_AGE_S_MAX,
        coin=places[0][0].coin,
    )
    for place in (place for place, _ in places if place.spot):  # what is not there cannot be sold
        least = ", ".join(f"{currency} = 0.0" for currency in place.currencies)
        text += f"\n[limits.balance_min]\n{place.venue} = {{ {least} }}\n"
    for place, host in places:
        keys = "".join(f'{name} = "env:{place.named(name)}"\n' for name in place.secrets)
        text += f"\n[venues.{place.venue}]\nanswer_s_max = 0.5\n{ages}{place.config(host)}{keys}"
    (folder / "config.toml").write_text(text)
    (folder / "limits.toml").write_text(_LIMITS.format(position=POSITION_USD_MAX))
