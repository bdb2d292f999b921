"""Hazards of commands: Katib rewrites the primary container's command into one line of `sh -c`.

That line is `<words joined by blanks> 1>metrics.log 2>&1 && echo completed > $$$$.pid`
(pkg/webhook/v1beta1/pod/inject_webhook.go), so much that runs well as a container does not as a trial.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from ropewalk.tuning.containers import Container
from ropewalk.tuning.placeholders import PLACEHOLDER
from ropewalk.tuning.problems import Problem
from ropewalk.tuning.spec import Value

Quoting = Literal["none", "single", "double"]

_ADVICE = 'write command: ["sh", "-c"], args: ["<one line>"]'
_SAFE_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")
_SHELL_PATH = re.compile(r"(.*/)?(sh|bash|dash|ash|zsh)")
_UNSAFE: dict[Quoting, re.Pattern[str]] = {
    "none": re.compile(r"[^A-Za-z0-9_@%+=:,./-]"),
    "single": re.compile(r"'"),
    "double": re.compile(r"[$`\"\\]"),
}
_EVERYWHERE = re.compile(r"[\"\\\x00-\x1f\x7f]|\$\{|\$\(")
"""Katib puts values into JSON text unescaped, and the kubelet expands $(NAME)."""


def wrapping_problems(container: Container, path: str, *, stops_early: bool) -> Iterator[Problem]:
    """Yield why the command of a container would not survive being wrapped."""
    argv = container.argv
    if not container.spec.get("command"):
        text = f"there is none: Katib would ask the registry for the image's, which fails without a network; {_ADVICE}."
        yield Problem(f"{path}.command", text)
        return
    if not argv or not all(isinstance(word, str) for word in argv):
        yield Problem(f"{path}.command", "command and args must be lists of texts.")
        return
    if container.is_script:
        yield from _script_problems(argv[2:], path, stops_early=stops_early)
    else:
        yield from _word_problems(argv, path)


def value_problem(value: Value, places: Sequence[Quoting]) -> str:
    """Return what is wrong with a value that lands at `places` of a line of shell, "" if nothing."""
    text = str(value)
    if found := _EVERYWHERE.search(text):
        return f"{text!r} has {found[0]!r}, which breaks the trial's resource when Katib puts the value in."
    for quoting in places:
        if found := _UNSAFE[quoting].search(text):
            where = "outside quotes" if quoting == "none" else f"inside {quoting} quotes"
            advice = "" if quoting == "single" else f"; {_ADVICE}, with the placeholder in single quotes"
            return (
                f"{text!r} has {found[0]!r}, which the shell interprets {where}, where its placeholder stands{advice}."
            )
        if quoting == "none" and not text:
            return "'' vanishes outside quotes, where its placeholder stands."
    return ""


def placeholder_quoting(line: str) -> Iterator[tuple[str, Quoting]]:
    """Yield the name of each placeholder of a line of shell and how it is quoted."""
    for match in PLACEHOLDER.finditer(line):
        yield match[1], _quoting_at(line, match.start())


def _word_problems(argv: Sequence[str], path: str) -> Iterator[Problem]:
    first = argv[0]
    if len(argv) == 1 and first in ("sh", "bash"):
        yield Problem(f"{path}.command", f"[{first!r}] alone makes Katib's webhook panic; {_ADVICE}.")
        return
    if _SHELL_PATH.fullmatch(first) and any(re.fullmatch(r"-\w*c", word) for word in argv[1:]):
        text = (
            f"Katib knows only sh -c and bash -c, not {' '.join(argv[:2])!r}: the script would lose its arguments and "
            f"the trial end well without metrics; {_ADVICE}."
        )
        yield Problem(f"{path}.command", text)
        return
    if first == "exec":
        yield Problem(f"{path}.command", _EXEC)
    for word in argv:
        bare = PLACEHOLDER.sub("", word)
        if not word or not _SAFE_WORD.fullmatch(bare):
            text = f"Katib joins the words by blanks for a shell, which would split or interpret {word!r}; {_ADVICE}."
            yield Problem(f"{path}.command", text)


_EXEC = "a leading exec replaces the shell that tells Katib of the end: leave it out."


def _script_problems(scripts: Sequence[str], path: str, *, stops_early: bool) -> Iterator[Problem]:
    where = f"{path}.args"
    if len(scripts) != 1:
        text = (
            f"Katib joins what follows -c by blanks, so {len(scripts)} texts are no script with arguments; {_ADVICE}."
        )
        yield Problem(where, text)
        return
    script = scripts[0]
    if script.endswith("\n"):
        yield Problem(where, "the script ends with a line break, after which Katib's redirection captures nothing.")
    elif "\n" in script:
        yield Problem(where, "of a script of several lines only the last is captured: write one line, with && or ;.")
    if not script.strip():
        yield Problem(where, "the script is empty.")
    if script.split()[:1] == ["exec"]:
        yield Problem(where, _EXEC)
    if _quoting_at(script, len(script)) != "none":
        yield Problem(where, "a quote is not closed.")
        return
    bare = blank_quoted(script)
    if re.search(r"(^|[\s;&|(])#", bare):
        yield Problem(where, "a comment hides what Katib appends to the line: leave it out.")
    if bare.rstrip().endswith(("&", ";", "|")):
        yield Problem(where, f"the line ends with {bare.rstrip()[-1]!r}, so what Katib appends is no command.")
    if stops_early and re.search(r"(?<!\|)\|(?!\|)|(?<![&>])&(?![&>])", bare):
        text = "early stopping ends the shell's only child; with a pipe or a background job there are several."
        yield Problem(where, text)


def _quoting_at(line: str, end: int) -> Quoting:
    state: Quoting = "none"
    place = 0
    while place < end:
        sign = line[place]
        if sign == "\\" and state != "single":
            place += 1
        elif sign == "'" and state != "double":
            state = "none" if state == "single" else "single"
        elif sign == '"' and state != "single":
            state = "none" if state == "double" else "double"
        place += 1
    return state


def blank_quoted(line: str) -> str:
    """Return a line of shell, at its length, with quoted text blanked out by letters."""
    return re.sub(r"'[^']*'|\"(\\.|[^\"\\])*\"|\\.", lambda match: "q" * len(match[0]), line)
