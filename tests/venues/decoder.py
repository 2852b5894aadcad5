"""What `venues.source_files` starts a process for, without the fifth of a second of its imports.

`run` stands for `subprocess.run` there: the same program runs in a process of its own, with a fate and an
exit code of its own, forked from one that has imported polars and has not used it yet.
"""

from __future__ import annotations

import atexit
import json
import subprocess
import sys
import tempfile
from functools import cache
from typing import Any, cast

_SERVER = """
import json, os, sys, traceback
import polars
for line in sys.stdin:
    program, words, errors = json.loads(line)
    pid = os.fork()
    if pid == 0:
        code = 0
        os.dup2(os.open(errors, os.O_WRONLY), 2)
        try:
            sys.argv = ["-c", *words]
            exec(program, {"__name__": "__main__"})
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def run(command: list[str], *, capture_output: bool, check: bool, timeout: float) -> Any:
    """Run `python -c` with its words."""
    python, flag, program, *words = command
    assert (python, flag, capture_output, check) == (sys.executable, "-c", True, False) and timeout > 0
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    with tempfile.NamedTemporaryFile() as errors:
        server.stdin.write(json.dumps([program, words, errors.name]) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return subprocess.CompletedProcess(command, code, b"", errors.read())


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def end() -> None:
        cast(Any, server.stdin).close()
        server.wait()

    atexit.register(end)
    return server
