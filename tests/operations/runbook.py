"""Reads the commands out of a runbook, and says of each how it is tested.

A fence of `bash` is one or more commands, one a line; a comment line belongs to the command below it. A fence of
`promql` is one query a line. Commands in backticks within the text count as well, and so do steps that begin with
"**By hand:**". What a command needs decides how it can be tested where there is no kubelet:

- *executed*: just as it is printed, against a real API server with the chart installed and the provider running.
- *by parts*: it needs a kubelet (`logs`, `exec`, `top`, `port-forward`). What it names is looked up (Deployment, labels,
  container, port), and what runs inside the container or is searched in its log is checked elsewhere.
- *needs a human*: it is done in a browser.
- *not to be typed*: the table of what older runbooks say has it, with what to type instead.

A command that fits no rule is an error: nobody may add one that is not accounted for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class How(StrEnum):
    """How a command is tested."""

    EXECUTED = "executed"
    QUERIED = "executed in a real Prometheus"
    BY_PARTS = "checked by parts"
    HUMAN = "needs a human"
    TOLD = "not to be typed: the table above says what instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line that an operator types."""

    section: str
    text: str
    how: How
    note: str = ""
    """What was looked at, for one that is not executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Commands that are typed one after the other."""

    section: str
    commands: tuple[Command, ...]

    @property
    def how(self) -> frozenset[How]:
        """Every way in which its commands are tested."""
        return frozenset(command.how for command in self.commands)


_FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{2,3} (.+)$", re.MULTILINE)
_INLINE = re.compile(
    r"`((?:kubectl|helm|docker|curl) [^\s`]+ [^`\n]+|docker \S+|provider-discord [a-z][^`\n]*"
    r"|histogram_quantile[^`\n]+|/(?:livez|readyz|healthz)[^`\n]*)`"
)
_BY_HAND = re.compile(r"\*\*By hand:\*\* ((?:[^.]|\.\S)+)\.", re.DOTALL)
_OLDER = "Where older runbooks fail"
_APPENDIX = "\n## Appendix"

_RULES: tuple[tuple[str, How, str], ...] = (
    (r"kubectl logs .*--follow", How.BY_PARTS, "the Deployment and its container"),
    (r"kubectl logs .*--previous", How.BY_PARTS, "the Deployment and its container"),
    (
        r"kubectl logs .*\| grep",
        How.BY_PARTS,
        "the Deployment and its container; the process's log has such lines",
    ),
    (r"kubectl exec ", How.BY_PARTS, "the Deployment and its container; the image has the program"),
    (r"kubectl top ", How.BY_PARTS, "the label finds the pods of the Deployment"),
    (r"kubectl port-forward ", How.BY_PARTS, "the Deployment's port; the process answers on it"),
    (r"kubectl get pods -n kube-system ", How.EXECUTED, ""),
    (r"kubectl (get|describe|annotate|patch|set|auth|apply|create|delete|wait|rollout) ", How.EXECUTED, ""),
    (r"printf .* \| kubectl create secret .* \| kubectl apply ", How.EXECUTED, ""),
    (r"(read -rs|unset) NEW_BOT_TOKEN$", How.EXECUTED, ""),
    (r'ASKED="\$\(date \+%s\)"$', How.EXECUTED, ""),
    (r"helm (get|install|upgrade|rollback|uninstall) ", How.EXECUTED, ""),
    (r"provider-discord backup\b", How.EXECUTED, ""),
    (r"curl -s http://localhost:8080/", How.EXECUTED, ""),
    (r"/(livez|readyz|healthz)", How.EXECUTED, ""),
    (r"histogram_quantile", How.QUERIED, ""),
)


def fences(document: Path) -> Iterator[Fence]:
    """Yield the fences of a runbook in their order.

    Raises:
        ValueError: There is a command that no rule accounts for, or a fence in another language.
    """
    text = document.read_text(encoding="utf-8")
    headings = [(found.start(), found[1]) for found in _HEADING.finditer(text)]
    for fence in _FENCE.finditer(text):
        section = [title for start, title in headings if start < fence.start()][-1]
        lines = [line for line in fence["body"].splitlines() if line and not line.startswith("#")]
        match fence["language"]:
            case "promql":
                made = [Command(section=section, text=line, how=How.QUERIED) for line in lines]
            case "bash":
                made = [_command(section, line) for line in lines]
            case other:
                msg = f"{document.name}, {section}: a fence in {other!r}; commands are `bash` or `promql`"
                raise ValueError(msg)
        yield Fence(section=section, commands=tuple(made))


def inline(document: Path) -> Iterator[Command]:
    """Yield what stands within the text: commands in backticks, and steps to be done by hand.

    Raises:
        ValueError: There is a command that no rule accounts for.
    """
    text = document.read_text(encoding="utf-8").partition(_APPENDIX)[0]
    told = older(document)
    headings = [(found.start(), found[1]) for found in _HEADING.finditer(text)]
    masked = _FENCE.sub(lambda fence: " " * len(fence[0]), text)
    spans = [(found.start(), found[1], False) for found in _INLINE.finditer(masked)]
    spans += [(found.start(), " ".join(found[1].split()), True) for found in _BY_HAND.finditer(masked)]
    for start, raw, by_hand in sorted(spans):
        section = [title for at, title in headings if at < start][-1:] or [""]
        line = raw.replace("\\|", "|")
        if by_hand:
            yield Command(section=section[0], text=line, how=How.HUMAN)
        elif any(one.fullmatch(line) for one in told):
            yield Command(section=section[0], text=line, how=How.TOLD)
        else:
            yield _command(section[0], line)


def older(document: Path) -> list[re.Pattern[str]]:
    """Return what the table of older runbooks is about: what its first column says, `...` standing for anything."""
    table_ = document.read_text(encoding="utf-8").partition(f"## {_OLDER}\n")[2].partition(_APPENDIX)[0]
    rows = [line for line in table_.splitlines() if line.startswith("| ")][2:]
    patterns = []
    for row in rows:
        for said in re.findall(r"`([^`]+)`", re.split(r"(?<!\\)\|", row)[1]):
            parts = said.replace("\\|", "|").split("...")
            patterns.append(re.compile(r".*".join(re.escape(part) for part in parts)))
    return patterns


def _command(section: str, line: str) -> Command:
    for pattern, how, note in _RULES:
        if re.match(pattern, line):
            return Command(section=section, text=line, how=how, note=note)
    msg = f"section {section!r} has a command that nothing accounts for; add a rule and a test: {line}"
    raise ValueError(msg)


def every(document: Path) -> Iterator[Command]:
    """Yield every command of the document: those of its fences, then those within its text."""
    for fence in fences(document):
        yield from fence.commands
    yield from inline(document)


def table(commands: Iterable[Command]) -> str:
    """Return the appendix: every command once, with how it is tested."""
    seen: dict[str, tuple[str, How, str]] = {}
    for command in commands:
        seen.setdefault(command.text, (command.text, command.how, command.note))
    rows = list(seen.values())
    counts = {how: sum(one == how for _, one, _ in rows) for how in How}
    said = ", ".join(f"{count} {how.value}" for how, count in counts.items() if count)
    lines = [f"{len(rows)} commands: {said}.", "", "| command | tested |", "| --- | --- |"]
    for text, how, note in rows:
        shown = text.replace("|", "\\|")
        quoted = shown if how is How.HUMAN else f"`{shown}`"
        lines.append(f"| {quoted} | {how.value}{': ' + note if note else ''} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the appendix of the project's runbooks anew."""
    document = Path(__file__).parents[2] / "docs" / "operations" / "runbooks.md"
    title = "## Appendix: what was done with each command\n\n"
    made = table(every(document))
    before = document.read_text(encoding="utf-8").partition(title)[0]
    document.write_text(before + title + made, encoding="utf-8")


if __name__ == "__main__":
    main()
