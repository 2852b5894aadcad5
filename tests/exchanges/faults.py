"""The fault port: what goes wrong between an exchange and its clients, rule by rule, at a chosen message.

A rule names where it bites ("call": a request by HTTP or WebSocket; "frame": a message pushed to a session),
which ones (a glob on the operation or channel name), how many to let pass first and how many to bite. What a
call suffers is decided before it is performed, so that "done, but nobody hears of it" can be told from "never
done".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class Act(StrEnum):
    """What happens to the message that a rule bites."""

    # ---- calls
    CUT_BEFORE = "cut_before"  # the socket closes; nothing was done
    CUT_AFTER = "cut_after"  # done; the socket closes without a reply
    MUTE_BEFORE = "mute_before"  # nothing done, no reply, the socket stays; by HTTP for `seconds`, if any
    MUTE_AFTER = "mute_after"  # the same; it was done
    WAIT_BEFORE = "wait_before"  # done `seconds` later
    WAIT_AFTER = "wait_after"  # done at once, told `seconds` later
    RATE = "rate"  # refused: too many requests
    RATE_KILL = "rate_kill"  # the same, and the session ends; by HTTP: the address is banned for a while
    ERROR_BEFORE = "error_before"  # a proxy's page, HTTP `status` (WebSocket: as `fail`); nothing was done
    ERROR_AFTER = "error_after"  # the same answer; it was done
    FAIL_BEFORE = "fail_before"  # the venue's own words for an internal error, `status`; nothing was done
    FAIL_AFTER = "fail_after"  # the same answer; it was done
    HTML = "html"  # done; the body is a web page with `status`
    CUT_JSON = "cut_json"  # done; the reply breaks off in the middle
    STALE = "stale"  # the reply of the time the rule was set, or of the first call after
    EMPTY = "empty"  # the reply with every list in it emptied
    UNKNOWN_ORDER = "unknown_order"  # "not found", whatever is the case
    UNAUTHORIZED = "unauthorized"  # nothing was done
    REDIRECT = "redirect"  # 302 to `Faults.elsewhere`; of "connect", too
    TWICE = "twice"  # performed twice, as a proxy that resends does; the second reply is told
    # ---- frames
    DROP = "drop"  # never sent
    DUPLICATE = "duplicate"  # sent twice
    REORDER = "reorder"  # sent after the one that follows it
    DELAY = "delay"  # it and all behind it wait `seconds`
    CUT = "cut"  # the socket closes instead
    CUT_BEHIND = "cut_behind"  # the socket closes after it
    BREAK = "break"  # half of it is sent, as if it were whole


@dataclass(slots=True)
class Rule:
    """One fault. skip: how many matching messages pass first; times: how many it bites, then it is spent."""

    act: Act
    match: str = "*"
    where: str = "call"
    skip: int = 0
    times: int = 1
    seconds: float = 0.0
    status: int = 500
    bitten: int = 0


@dataclass(slots=True)
class Faults:
    """The rules in force, and what they did.

    black_hole: sockets stay open, nothing is read or written. latency_s: each way, for all alike. elsewhere:
    where redirects point. channels: of the frames that were pushed.
    """

    rules: list[Rule] = field(default_factory=list)
    done: list[tuple[str, str]] = field(default_factory=list)
    black_hole: bool = False
    latency_s: float = 0.0
    elsewhere: str = "http://127.0.0.1:9/elsewhere"
    channels: set[str] = field(default_factory=set)

    def add(self, act: Act | str, match: str = "*", **terms: Any) -> Rule:
        """Put a rule in force. terms: skip, times, seconds, status; `where` follows from the act."""
        act = Act(act)
        where = "frame" if act in _FRAME_ACTS else "call"
        rule = Rule(act, match, where, **terms)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """All is well again."""
        self.rules.clear()
        self.black_hole = False
        self.latency_s = 0.0

    def take(self, where: str, name: str) -> Rule | None:
        """The rule that bites a message, if one does; counts it."""
        if where == "frame":
            self.channels.add(name)
        for rule in self.rules:
            if rule.where != where or rule.times <= 0 or not fnmatchcase(name, rule.match):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            rule.times -= 1
            rule.bitten += 1
            self.done.append((rule.act.value, name))
            return rule
        return None


_FRAME_ACTS = frozenset({Act.DROP, Act.DUPLICATE, Act.REORDER, Act.DELAY, Act.CUT, Act.CUT_BEHIND, Act.BREAK})


def emptied(payload: Any) -> Any:
    """A reply with nothing in its lists: what a lagging read replica answers."""
    if isinstance(payload, list):
        return []
    if isinstance(payload, dict):
        return {k: emptied(v) if isinstance(v, list | dict) else v for k, v in payload.items()}
    return payload
