"""What `hedger venues` says of a running engine's exchange: credits, the dead man's switch, the account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.hedger.verbs.loopback import document, said, started
from tests.hedger.verbs.places import PLACES
from tests.hedger.verbs.test_venue_verbs import wait_for

#: Messages at once and a second, as the venues publish them; what is kept for cancels is a quarter.
RATES = {"deribit": (20.0, 5.0, 5.0), "bybit": (10.0, 10.0, 2.5)}


def told(capsys: pytest.CaptureFixture[str], folder: Path) -> dict[str, Any]:
    ran = said(capsys, folder, "venues", "--journal", "j", "--json")
    if ran.returncode:
        return {}
    return next((venue for venue in document(ran)["venues"] if venue["venue"] in RATES), {})


@pytest.mark.parametrize("name", RATES)
def test_a_live_engine_tells_its_credits_and_its_switch(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    place, words = PLACES[name], ("run", "--journal", "j", "--arm-live", "--no-watchdog")
    (tmp_path / "limits.toml").write_text(f'[margin]\nunproven_venues = ["{name}"]\n')
    with place.opened() as exchange:
        url = place.address(exchange.host)
        run = 'mode = "live"\nstart_s_max = 20.0\nunderlyings = ["BTC"]'
        place.settings(tmp_path, url, run=run, top='limits_file = "limits.toml"')
        with started(tmp_path, *words, warm=True) as process:
            wait_for(
                lambda: (
                    process.poll() is not None
                    or (
                        (tmp_path / "j.heartbeat").exists()
                        and told(capsys, tmp_path).get("account", {}).get("result") == "agrees"
                        and told(capsys, tmp_path)["dead_man"]["left_s"] is not None
                    )
                )
            )
            assert process.poll() is None, (tmp_path / "err").read_text()
            found = told(capsys, tmp_path)
            text = said(capsys, tmp_path, "venues", "--journal", "j").stdout
            process.terminate()
            process.wait(60)
        ended = told(capsys, tmp_path)
    of, per_s, kept = RATES[name]
    credits, dead = found["credits"], found["dead_man"]
    assert (credits["of"], credits["per_s"], credits["kept_for_cancels"]) == (of, per_s, kept)
    assert -of <= credits["left"] <= of and credits["unknown"] == ""
    paced = [] if name == "deribit" else ["account questions", "market questions"]
    assert [pace["kind"] for pace in credits["paces"]] == paced
    assert (dead["armed"], dead["timer_s"], dead["unknown"]) == (True, 45.0, "")
    assert 0.0 <= dead["left_s"] <= 45.0
    assert dead["left_s"] + dead["refreshed_s"] == pytest.approx(45.0, abs=1e-6)
    assert "armed, " in text and f" of {of:.0f} messages, {per_s:g} more a second" in text
    assert ended["credits"]["left"] is None and ended["credits"]["unknown"] == "no engine runs"
    assert ended["dead_man"]["left_s"] is None and ended["dead_man"]["fires_at"] is not None
