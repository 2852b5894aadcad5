"""`hedger tape import | info | verify | simulate`: recorded market data. Heavy imports stand inside the verb
that needs them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from hedger.verbs.flags import Commands, coin, count, not_negative, positive
from hedger.verbs.printing import show_json
from pricing.errors import Exit


def declare(commands: Commands) -> None:
    """The words of `tape`."""
    tapes = commands.group("tape", "recorded market data")
    _declare_import(tapes)
    for name, verb, text in (
        ("info", tape_info, "what a tape holds"),
        ("verify", tape_verify, "check a tape's hashes, order and numbers"),
    ):
        tapes.add(name, verb, text).add_argument("tape", type=Path, metavar="TAPE")
    words = tapes.add("simulate", tape_simulate, "make a tape from the simulated market")
    words.add_argument("--out", required=True, type=Path, metavar="TAPE", help="folder to create")
    words.add_argument(
        "--minutes", type=positive, default=30.0, metavar="N", help="market minutes (default 30)"
    )
    words.add_argument("--seed", type=count, default=7, metavar="N")


def _declare_import(tapes: Commands) -> None:
    words = tapes.add("import", tape_import, "make a tape from recorded market data")
    words.add_argument("source", nargs="+", type=Path, metavar="SOURCE", help="source file(s)")
    words.add_argument(
        "--format",
        required=True,
        choices=(
            "deribit-chain",
            "deribit-tickers",
            "venue-messages",
            "greeks-table",
            "binance-ws",
            "tardis",
        ),
    )
    words.add_argument("--out", required=True, type=Path, metavar="TAPE", help="folder to create")
    words.add_argument(
        "--size-at-touch",
        metavar="BTC=10,ETH=100",
        help="option size per side, coins, where the source has none",
    )
    words.add_argument("--perp-spread-bps", type=not_negative, default=1.0, metavar="BPS")
    words.add_argument("--perp-size-usd", type=positive, default=5_000_000.0, metavar="USD")
    words.add_argument("--future-spread-bps", type=not_negative, default=3.0, metavar="BPS")
    words.add_argument("--future-size-usd", type=positive, default=1_000_000.0, metavar="USD")
    words.add_argument("--spot-spread-bps", type=not_negative, default=2.0, metavar="BPS")
    words.add_argument("--perp", type=Path, metavar="FILE", help="perpetual mids at the snapshots (parquet)")
    words.add_argument(
        "--every-ms", type=int, default=100, metavar="MS", help="local time of a batch of recorded streams"
    )
    words.add_argument(
        "--levels", type=int, default=20, metavar="N", help="levels of each side of a recorded order book"
    )
    text = "tardis: only this one of what the files hold; may be repeated"
    words.add_argument("--underlying", action="append", default=[], type=coin, metavar="COIN", help=text)
    words.add_argument(
        "--index-from-spot",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="binance-ws: the spot market's middle stands in for an index that was not recorded",
    )


def tape_import(arguments: argparse.Namespace) -> Exit:
    """Make a tape from recorded market data."""
    from venues.import_options import ImportOptions, parse_size_at_touch
    from venues.tape_import import import_tape

    sizes = parse_size_at_touch(arguments.size_at_touch) if arguments.size_at_touch is not None else {}
    options = ImportOptions(
        size_at_touch=sizes,
        perp_spread_bps=arguments.perp_spread_bps,
        perp_size_usd=arguments.perp_size_usd,
        future_spread_bps=arguments.future_spread_bps,
        future_size_usd=arguments.future_size_usd,
        spot_spread_bps=arguments.spot_spread_bps,
        perp_file=arguments.perp,
        every_ms=arguments.every_ms,
        levels=arguments.levels,
        underlyings=tuple(arguments.underlying),
        index_from_spot=arguments.index_from_spot,
    )
    import_tape(arguments.source, arguments.format, arguments.out, options)
    return _show_tape(arguments, arguments.out)


def tape_info(arguments: argparse.Namespace) -> Exit:
    """What a tape holds."""
    return _show_tape(arguments, arguments.tape)


def _show_tape(arguments: argparse.Namespace, path: Path) -> Exit:
    from venues.tape import info

    document = info(path)
    if arguments.json:
        show_json(document)
    else:
        for key, value in document.items():
            print(f"{key}: {value if isinstance(value, str | int | float) else json.dumps(value)}")
    return Exit.DONE


def tape_verify(arguments: argparse.Namespace) -> Exit:
    """Check a tape."""
    from venues.tape import verify

    problems = verify(arguments.tape)
    if arguments.json:
        show_json({"tape": str(arguments.tape), "sound": not problems, "problems": problems})
    else:
        print("\n".join(problems) if problems else f"{arguments.tape}: sound")
    return Exit.NEGATIVE if problems else Exit.DONE


def tape_simulate(arguments: argparse.Namespace) -> Exit:
    """Make a tape from the simulated market."""
    from venues.simulated import SimulatedMarket
    from venues.simulated_tape import tape_frames
    from venues.tape_files import refuse_existing, write

    refuse_existing(arguments.out)
    seconds = 60.0
    market = SimulatedMarket(arguments.seed)
    listings, quotes, depth = tape_frames(market, max(round(arguments.minutes), 1), seconds)
    meta = {
        "source": [{"name": "simulated", "seed": arguments.seed}],
        "options": {"minutes": arguments.minutes, "seed": arguments.seed, "step_s": seconds},
        "notes": ["simulated market: no venue, no recording"],
    }
    write(arguments.out, listings, quotes, depth, None, meta)
    return _show_tape(arguments, arguments.out)
