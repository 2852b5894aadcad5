"""Whole stories: the engine as `hedger run` starts it live, in a process of its own, against a loopback
exchange over real sockets, under faults drawn by seed; the history checker judges what came of it.

    python -m tests.exchanges.story --exchange deribit --seeds 200
    python -m tests.exchanges.story --exchange hyperliquid+deribit --seeds 20      one of two venues fails

place.py     what is particular to an exchange: how it is made, what its calls and messages are named;
             place_*.py, an exchange each; places.py, all of them
schedule.py  what goes wrong when, by seed
minutes.py   what the engine's process tells: the wire as seen inside, and what the engine holds to be true
process.py   that process
lines.py     the exchange's own log in the words of the history checker
play.py      one story from the first order to the last word
keeper.py    whoever starts the engine, arms it, asks it and ends it
deeds.py     what goes wrong, done: to an exchange, to the wire, to the engine
stage.py     an exchange while it is being served
builds.py    a sender of another build of the program, and what must come of his letters
delta.py     the book's delta over all exchanges, and executions that took it too far
judge.py     what the checker, and some checks of this room alone, say of it
"""
