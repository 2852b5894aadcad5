"""`hedger` in a process of its own without the second of its imports: a fork of a process that has them.

Some hundred commands that tests start would each import numba, polars and the engine. `command()` names a
small program that passes its words, folder, environment and open files to a process that has imported all of
it; that one forks, and its child runs `hedger.cli.main` with them as a fresh process would: a process id, an
exit code and standard files of its own. Signals that ask for an end are passed on, and a program that is gone
takes its child with it.

Who stops the program (SIGSTOP) does not stop the child: a test that does so, and one whose subject is the
start or the memory of a process, starts `python -m hedger` itself.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, cast

#: What most verbs import when they run.
_IMPORTS = (
    "hedger.runs.launch",
    "hedger.runs.run",
    "hedger.runs.replay",
    "hedger.runs.venue_run",
    "hedger.engine.metrics",
    "hedger.desk.views",
    "hedger.journal.export",
    "polars",
)
_READY = "ready"

#: The program that stands for `hedger`. It imports little: it is started each time.
_PROGRAM = """#!{python} -IS
import os, signal, socket, sys
words = sys.argv[1:]
import json
ask = {{"words": words, "folder": os.getcwd(), "env": dict(os.environ), "umask": os.umask(0o077)}}
with socket.socket(socket.AF_UNIX) as line:
    line.connect({place!r})
    text = json.dumps(ask).encode()
    socket.send_fds(line, [len(text).to_bytes(4, "big")], [0, 1, 2])
    line.sendall(text)
    pid = int.from_bytes(line.recv(4), "big")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: os.kill(pid, number))
    code = line.recv(4)
sys.exit(int.from_bytes(code, "big") if code else 255)
"""


@cache
def folder() -> Path:
    """Where the program `hedger` lies; the process behind it is started, and ends with this one."""
    made = Path(tempfile.mkdtemp(prefix="warm-"))
    place = str(made / "s")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.warm", place],
        cwd=Path(__file__).parent.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    said = process.stdout.readline().strip()
    process.stdout.close()
    if said != _READY:
        process.stdin.close()
        raise RuntimeError(f"what most verbs import cannot be imported: exit {process.wait()}")
    program = made / "hedger"
    program.write_text(_PROGRAM.format(python=sys.executable, place=place))
    program.chmod(0o700)

    def end() -> None:
        cast(Any, process.stdin).close()
        process.wait()
        shutil.rmtree(made, ignore_errors=True)

    atexit.register(end)
    return made


def command() -> str:
    """The program to start instead of `python -m hedger`."""
    return str(folder() / "hedger")


def _serve(place: str) -> list[str]:
    """Answer until the one who started this is gone; returns in a child, with the words that it is to run."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(place)
    listening.listen(64)
    watched = selectors.DefaultSelector()
    watched.register(sys.stdin, selectors.EVENT_READ, None)
    watched.register(listening, selectors.EVENT_READ, None)
    running: dict[int, tuple[int, int, socket.socket]] = {}  # by pidfd
    print(_READY, flush=True)
    while True:
        for key, _ in watched.select():
            if key.fileobj is sys.stdin:
                for pid, *_ in running.values():
                    _kill(pid)
                os._exit(0)
            elif key.fileobj is listening:
                line, _ = listening.accept()
                size, files, _, _ = socket.recv_fds(line, 4, 3)
                text = line.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
                pid = os.fork()
                if pid == 0:
                    for other in (*running, watched.fileno(), listening.fileno(), line.fileno()):
                        os.close(other)
                    for _, _, other_line in running.values():
                        os.close(other_line.fileno())
                    listening.detach(), line.detach()
                    return _become(json.loads(text), files)
                for file in files:
                    os.close(file)
                ended = os.pidfd_open(pid)
                running[ended] = (pid, ended, line)
                watched.register(ended, selectors.EVENT_READ, "ended")
                watched.register(line, selectors.EVENT_READ, pid)
                with suppress(OSError):  # whoever asked may be gone by now
                    line.sendall(pid.to_bytes(4, "big"))
            elif key.data == "ended":
                pid, ended, line = running.pop(cast(int, key.fileobj))
                _, status = os.waitpid(pid, 0)
                code = os.waitstatus_to_exitcode(status)
                with suppress(OSError):
                    line.sendall((code if code >= 0 else 128 - code).to_bytes(4, "big"))
                watched.unregister(ended)
                with suppress(KeyError):
                    watched.unregister(line)
                line.close()
                os.close(ended)
            elif any(pid == key.data for pid, *_ in running.values()):  # whoever asked is gone
                watched.unregister(key.fileobj)
                _kill(key.data)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _become(ask: dict[str, Any], files: list[int]) -> list[str]:
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    cast(io.TextIOWrapper, sys.stdout).reconfigure(line_buffering=os.isatty(1))
    os.chdir(ask["folder"])
    os.umask(ask["umask"])
    os.environ.clear()
    os.environ.update(ask["env"])
    return cast("list[str]", ask["words"])


def _main(place: str) -> NoReturn:
    from importlib import import_module

    for name in _IMPORTS:
        import_module(name)
    from hedger.cli import main
    from pricing.compiled import warm_up

    warm_up()
    gc.collect()
    gc.freeze()  # a child's collector leaves the pages alone that it shares with this process
    words = _serve(place)
    sys.argv = ["hedger", *words]
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the modules need no taking apart


if __name__ == "__main__":
    _main(sys.argv[1])
