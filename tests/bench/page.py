"""docs/performance.md: how its parts are put together."""
import datetime
import os
import platform
import re
import subprocess
import sys

import aims
import plot

INTRODUCTION = """\
What hsmart costs: beside a *bare* program, which calls the token (or libcurl) and does nothing else and so is the limit, and beside
what people use today. `tests/bench/run` measures and writes this whole page: no figure or verdict in it is written by hand. Times are those of
this machine; ratios say more about another one. What follows for network HSMs and many hosts is in [scaling.md](scaling.md)."""

METHOD = """\
- All that is compared takes turns within one run, on one SoftHSM2 token whose directory is in memory (on disk for the one-shots). A ratio
  is taken within a round. Shown are the median of the rounds and, in brackets, the least and the greatest; an aim is judged by the median.
  In a plot the bar is the median, the thin line leads from the least to the greatest, and the dashed line is the bare program, or the ideal.
- hsmart verifies each signature before it releases the assertion. *Unverified* is a build for this benchmark only: no option of
  hsmart leaves the verification out. A token that signs in software and the verification share the same cores; a real HSM signs elsewhere.
- Instructions are counted by callgrind and are repeatable to about half a percent, on a busy machine too. Nothing here is a test: machines are noisy."""


def say(words):
    print(words, file=sys.stderr, flush=True)


def table_of(rows):
    header, *rest = rows
    return ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header), *("| " + " | ".join(row) + " |" for row in rest), ""]


class Report:
    """The page in the making, with one plot per question."""

    def __init__(self, directory):
        self.directory, self.parts, self.failures = directory, [], []
        self.figures, self.glances = {}, []
        os.makedirs(directory, exist_ok=True)

    def figure(self, key, case, value):
        """What was measured of an aim; `case` tells several of one aim apart."""
        self.figures.setdefault(key, []).append((case, value))

    def glance(self, words, value):
        """A line for those who only want to know what it costs them."""
        self.glances.append((words, value))

    def section(self, slug, title, question, table, notes, bars=None, unit="", limit=None):
        lines = [f"## {title}", "", question, ""]
        if bars:
            name = f"performance-{slug}.svg"
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as out:
                out.write(plot.bars(title, bars, unit, limit))
            lines += [f"![{title}]({name})", ""]
        if table:
            lines += table_of(table)
        lines += [f"- {note}" for note in notes]
        self.parts.append("\n".join(lines).rstrip() + "\n")
        say("\n".join(lines[2:]) + "\n")

    def failed(self, question, reason):
        self.failures.append((question, reason))
        say(f"  {question}: {reason}")

    def verdicts(self):
        """The table of aims; in a run of some questions, of those that were asked about."""
        known = {aim.key for aim in aims.AIMS}
        assert known.issuperset(self.figures), f"no such aim: {set(self.figures) - known}"
        return [aims.row(aim, self.figures.get(aim.key)) for aim in aims.AIMS]

    def write(self, quick, seconds):
        lines = ["# Performance", "", INTRODUCTION, ""]
        lines += [f"**{question} was not measured, or not to its end: {reason}**\n" for question, reason in self.failures]
        lines += ["## Aims", "", *table_of([("What", "Aim", "Measured", "Result"), *self.verdicts()])]
        if self.glances:
            lines += ["## At a glance", "", *table_of([("What", "Here"), *self.glances])]
        lines += ["## How it was measured", "", *table_of([("What", "Which"), *circumstances(quick, seconds)]), METHOD, ""]
        path = os.path.join(self.directory, "performance.md")
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join([*lines, *self.parts]))
        return path


# ---- Where and with what ----


def version_of(command, pattern=r"(\d[\w.+:~-]*)"):
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=False)
        return re.search(pattern, out.stdout + out.stderr).group(1)
    except (OSError, AttributeError):
        return "not there"


def package(name):
    return version_of(["dpkg-query", "-W", "-f", "${Version}", name])


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        match = re.search(r"model name\s*:\s*(.*)", cpuinfo.read())
    return match.group(1) if match else platform.machine()


def commit():
    return version_of(["git", "-C", os.path.dirname(os.path.abspath(__file__)), "rev-parse", "--short=12", "HEAD"], r"(\w+)")


def circumstances(quick, seconds):
    openssl = version_of(["openssl", "version"], r"OpenSSL (\S+)")
    node = version_of(["node", "--version"], r"v(\S+)")
    python = version_of(["/usr/bin/python3", "--version"], r"Python (\S+)")
    java = version_of(["java", "-version"], r'"([^"]+)"')
    return [
        ("Date", f"{datetime.date.today().isoformat()}, commit {commit()}, {seconds / 60:.1f} minutes"
                 + (", **a quick run: few rounds, wide brackets**" if quick else "")),
        ("Machine", f"{os.cpu_count()} cores of {cpu_model()}, Linux {platform.release().split('-')[0]}"),
        ("Under hsmart", f"OpenSSL {openssl}, libcurl {package('libcurl4')}, json-c {package('libjson-c5')}"),
        ("Token", f"SoftHSM2 {package('softhsm2')}"),
        ("Compared with", f"libp11 {package('libp11-3')}, OpenSC {package('opensc')}, Node.js {node}, Python {python}, Java {java}"),
    ]
