#!/usr/bin/env python3
"""What goes wrong in one question is told in the page with its name and last words, and costs the others nothing."""
import os
import subprocess
import sys
import tempfile
import types

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import aims  # noqa: E402
import measure  # noqa: E402
import plot  # noqa: E402
from page import Report  # noqa: E402

TOKEN = types.SimpleNamespace(environment=dict(os.environ))


def resident(script):
    def question(token, _report, _arguments):
        with measure.start_all([("bare loop", ["sh", "-c", script], {})], token.environment) as (served, missing):
            if missing:
                raise measure.Skip(f"{missing[0][0]}: {missing[0][1]}")
            measure.take_turns(served, measure.Ratios("bare loop"), 3, 1, 10)
    return question


def tool_fails(_token, _report, _arguments):
    subprocess.run(["sh", "-c", "echo 'hsmart: no such key' >&2; echo '  hint: list them' >&2; exit 4"], check=True, capture_output=True)


def is_broken(_token, _report, _arguments):
    return {}["x"]


def works(_token, report, _arguments):
    report.figure("request-cold", "", 1.25)
    report.figure("request-kept", "", 1.149)
    report.section("works", "A good question", "It works.", [("a", "b"), ("1", "2")], [], [("A group", None), ("hsmart", [1.0, 1.2, 99.0])])


FAILURES = {
    "ends at once": (resident("echo out of luck >&2; exit 3"), "left out: bare loop: does not start: out of luck"),
    "ends on a question": (resident("echo ready; read x; echo the server is full >&2; exit 3"),
                           "bare loop ended with status 3: the server is full"),
    "ends after an answer": (resident("echo ready; read x; echo 5 1000; exit 0"), "bare loop ended with status 0: no word why"),
    "a tool fails": (tool_fails, "sh ended with status 4: hsmart: no such key"),
    "a mistake of ours": (is_broken, "KeyError: 'x'"),
}

VERDICTS = {
    "met": (aims.Aim("a", "a", 1.05, "why"), [("", 1.05)], "met"),
    "met as it is printed": (aims.Aim("a", "a", 1.05, "why"), [("", 1.054)], "met"),
    "missed": (aims.Aim("a", "a", 1.05, "why"), [("", 1.06)], "**not met**: why"),
    "missed for one": (aims.Aim("a", "a", 1.05, "why"), [("RSA", 1), ("P-384", 2)], "**not met** (P-384): why"),
    "a rate met": (aims.Aim("a", "a", 0.95, "why", least=True), [("", 0.97)], "met"),
    "a rate missed": (aims.Aim("a", "a", 0.95, "why", least=True), [("", 0.9)], "**not met**: why"),
    "no failure allowed": (aims.Aim("a", "a", 0, "why", digits=0), [("", 1)], "**not met**: why"),
    "not asked": (aims.Aim("a", "a", 1.05, "why"), None, "not measured"),
}


def check_failures(directory, check):
    report = Report(directory)
    measure.QUESTIONS = {**{name: question for name, (question, _) in FAILURES.items()}, "works": works}
    for name in measure.QUESTIONS:
        measure.ask(name, TOKEN, report, None)
    with open(report.write(True, 1), encoding="utf-8") as file:
        page = file.read()
    for name, (_, words) in FAILURES.items():
        check(name, f"**{name} was not measured, or not to its end: {words}**" in page)
    check("the good question is there", "| 1 | 2 |" in page and len(report.failures) == len(FAILURES))
    check("an aim that is missed says why", "| 1.25 | **not met**: the tool loads" in page)
    check("an aim that is met", "| 1.15 | met |" in page)
    check("its plot is there", os.path.exists(f"{directory}/performance-works.svg"))


def main():
    bad = []

    def check(name, good):
        print(f"{'ok' if good else 'NOT OK'}: {name}")
        if not good:
            bad.append(name)

    with tempfile.TemporaryDirectory() as directory:
        check_failures(directory, check)
    for name, (aim, figures, words) in VERDICTS.items():
        check(f"verdict: {name}", aims.row(aim, figures)[3] == words)
    check("one key for each aim", len({aim.key for aim in aims.AIMS}) == len(aims.AIMS))
    check("a plot is well-formed", "</svg>" in plot.bars("a & b", [("g", None), ("hsmart", [1.0])], "x", 1.0))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
