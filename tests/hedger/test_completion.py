"""Completion asked of a real shell, and its words held against the help of each verb."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

import pytest

from hedger.cli import main
from hedger.completion import SHELLS
from tests.hedger.desk import hedger

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="bash is not here")
#: Stands for pressing tab after these words.
ASK = """
{script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMPREPLY=()
_hedger
printf '%s\\n' "${{COMPREPLY[@]}}"
complete -p hedger
"""


@cache
def script(shell: str) -> str:
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["completion", shell]) == 0
    return out.getvalue()


def offered(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    assert BASH is not None
    typed = " ".join(f"'{word}'" for word in ("hedger", *words))
    asked = ASK.format(script=script("bash"), words=typed)
    done = subprocess.run([BASH, "--norc", "-c", asked], capture_output=True, text=True, check=True)
    *found, bound = done.stdout.splitlines()
    assert bound == "complete -o default -F _hedger hedger" and not done.stderr
    return [word for word in found if word]


@needs_bash
def test_bash_completes_verbs_flags_and_values() -> None:
    assert offered("das") == ["dashboard"]
    assert set(offered("tape", "")) >= {"import", "info", "verify", "simulate"}
    assert offered("tape", "imp") == ["import"]
    assert offered("whatif", "--metric", "") == ["pnl", "delta", "gamma", "vega"]
    assert offered("whatif", "--metric", "v") == ["vega"]
    assert offered("demo", "--head") == ["--headless"]
    assert offered("completion", "")[:3] == ["bash", "zsh", "fish"]
    assert offered("run", "--journal", "") == []  # a file's name: the shell's own completion
    assert offered("run", "--journal", "tape", "--min") == ["--minutes"]  # a value is no verb


@needs_bash
def test_every_verb_and_flag_of_the_help_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    verbs = [verb for verb in offered("") if not verb.startswith("-")]
    assert len(verbs) > 25
    for verb in verbs:
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        help = capsys.readouterr().out
        for word in offered(verb, "-"):
            assert word in help, (verb, word)
        written = {w.strip(",[]") for w in help.split() if w.strip(",[]").startswith("--")}
        known = {w for w in written if w.replace("-", "").isalnum()}
        for word in set(offered(verb, "--")):
            assert word in known, (verb, word)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_reads_its_script(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not here")
    read = ["-n"] if shell != "fish" else ["--no-execute"]
    done = subprocess.run([program, *read], input=script(shell), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_fish_quotes_what_helps_say() -> None:
    text = script("fish")
    assert text.count("complete -c hedger") > 150
    for line in text.splitlines():
        if line.startswith("complete"):
            assert line.replace("\\'", "").count("'") % 2 == 0, line


def test_another_shell_is_told_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    ran = hedger(capsys, "completion", "tcsh")
    assert ran.code == 2 and "bash" in ran.err and "Traceback" not in ran.err
