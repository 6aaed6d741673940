"""Measures and writes docs/performance.md. Started by tests/bench/run, which says what there is to ask.

Everything that is compared is interleaved: within a round each candidate has its turn, the order rotating, and a
ratio is taken inside the round. The table shows the median of the rounds and, in brackets, the least and the greatest.
aims.py has what was aimed at, page.py puts the page together, plot.py draws.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

from page import Report, say

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TOKEN = "bench"
PYTHON = "/usr/bin/python3"


class Skip(Exception):
    """A candidate that cannot run here, with the reason."""


class Ended(Exception):
    """A candidate that ran and ended before its time, with its name and last words."""


def last_line(words):
    if isinstance(words, bytes):
        words = words.decode(errors="replace")
    lines = [line for line in (words or "").strip().splitlines() if not line.lstrip().startswith("hint:")]
    return (lines or ["no word why"])[-1][:160]


# ---- The token: in memory, so that the disk does not count ----


class Token:
    """A SoftHSM2 token of our own, with its PIN in a file and the keys that the questions ask for."""

    def __init__(self, directory, build):
        self.directory, self.build = directory, build
        out = subprocess.run([f"{ROOT}/softhsm-config/make-token", directory, TOKEN], check=True, capture_output=True,
                             text=True)
        self.environment = dict(os.environ)
        for name, value in re.findall(r"^export (\w+)='?([^'\n]*)'?$", out.stdout, re.M):
            self.environment[name] = value
        self.pin_file = f"{directory}/pin"
        config = open(f"{directory}/hsmart.conf", encoding="utf-8").read()
        self.module = re.search(r'module\s*=\s*"([^"]*)"', config).group(1)
        self.state = f"{directory}/state"
        os.mkdir(self.state, 0o700)
        self.environment["XDG_STATE_HOME"] = self.environment["XDG_RUNTIME_DIR"] = self.state
        self.run("hsmart-key", "token", "init", "--label", TOKEN, "--so-pin-source", f"file:{directory}/so-pin")

    def run(self, tool, *arguments):
        subprocess.run([f"{self.build}/bin/{tool}", *arguments], env=self.environment, check=True, capture_output=True)

    def generate(self, label, alg, bits=None):
        # The id is the label in hexadecimal: pkcs11-tool signs with the first key of the token unless it is given an id.
        self.run("hsmart-key", "generate", "--alg", alg, "--label", label, "--id", label.encode().hex(),
                 *(["--bits", str(bits)] if bits else []))

    def peer(self, program, label, alg, mode, module=None):
        return [f"{self.build}/bench/{program}", module or self.module, TOKEN, self.pin_file, label, alg, mode]

    def certify(self, label):
        """Puts a certificate beside a key: the JDK's key store shows no other keys."""
        with tempfile.TemporaryDirectory(dir=self.directory) as work:
            conf = f"{work}/openssl.cnf"
            with open(conf, "w", encoding="utf-8") as out:
                out.write("openssl_conf = o\n[o]\nengines = e\n[e]\npkcs11 = p\n[p]\nengine_id = pkcs11\n"
                          f"MODULE_PATH = {self.module}\nPIN = {open(self.pin_file, encoding='utf-8').read().strip()}\n"
                          "init = 0\n[req]\ndistinguished_name = d\n[d]\n")
            subprocess.run(["openssl", "req", "-config", conf, "-engine", "pkcs11", "-keyform", "engine", "-key",
                            f"pkcs11:token={TOKEN};object={label}", "-new", "-x509", "-subj", f"/CN={label}", "-outform",
                            "DER", "-out", f"{work}/c.der"], env=dict(self.environment, OPENSSL_CONF=conf), check=True,
                           capture_output=True)
            subprocess.run(["pkcs11-tool", "--module", self.module, "--token-label", TOKEN, "--login", "--pin",
                            open(self.pin_file, encoding="utf-8").read().strip(), "--write-object", f"{work}/c.der",
                            "--type", "cert", "--id", label.encode().hex(), "--label", label], env=self.environment, check=True,
                           capture_output=True)


# ---- Measuring ----


class Ratios:
    """What was measured of each candidate in each round, beside the anchor's."""

    def __init__(self, anchor):
        self.anchor, self.values = anchor, {}

    def add(self, name, value):
        self.values.setdefault(name, []).append(value)

    def ratios(self, name, invert=False):
        pairs = zip(self.values[name], self.values[self.anchor])
        return [b / a if invert else a / b for a, b in pairs]

    def median(self, name):
        return statistics.median(self.values[name])


def three(values, digits=3):
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}..{max(values):.{digits}f}]"


class Served:
    """A resident signer that signs when it is its turn."""

    def __init__(self, name, command, environment):
        self.name, self.words = name, tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.words, text=True)
        if self.process.stdout.readline().strip() != "ready":
            raise Skip(f"does not start: {self.last_words()}")

    def last_words(self):
        self.words.seek(0)
        return last_line(self.words.read())

    def rate(self, threads, milliseconds):
        try:
            self.process.stdin.write(f"{threads} {milliseconds}\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline().split()
        except BrokenPipeError:
            answer = []
        if len(answer) != 2:
            status = self.process.wait(timeout=30)
            raise Ended(f"{self.name} ended with status {status}: {self.last_words()}")
        count, nanoseconds = map(int, answer)
        return count / (nanoseconds / 1e9)

    def close(self):
        """Ends it; one that has ended, or does not want to, is none of our concern any more."""
        try:
            self.process.stdin.close()
            self.process.wait(timeout=30)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.words.close()


@contextlib.contextmanager
def start_all(candidates, environment):
    """Starts each candidate; the Served of those that run, and the (name, reason) of those that do not."""
    served, missing = [], []
    try:
        for name, command, extra in candidates:
            try:
                served.append(Served(name, command, dict(environment, **extra)))
            except (Skip, OSError) as reason:
                missing.append((name, str(reason)))
                say(f"    {name}: left out: {reason}")
        yield served, missing
    finally:
        for process in served:
            process.close()


def take_turns(served, ratios, rounds, threads, milliseconds):
    for turn in range(rounds):
        order = served[turn % len(served):] + served[:turn % len(served)]
        for process in order:
            ratios.add(process.name, process.rate(threads, milliseconds))


def cold(command, environment, build):
    """One run of a command from nothing: wall milliseconds, peak memory in MB, exit status."""
    out = subprocess.run([f"{build}/bench/bench_cold", *command], env=environment, capture_output=True, text=True, check=True)
    wall, memory, status = map(int, out.stdout.split())
    return wall / 1e6, memory / 1024, status


def instructions(command, environment):
    """Instructions of a whole process, counted by callgrind: repeatable where time is not."""
    if shutil.which("valgrind") is None:
        raise Skip("valgrind is not there")
    with tempfile.NamedTemporaryFile() as out:
        result = subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}", *command],
                                env=environment, capture_output=True, text=True, check=False)
    match = re.search(r"Collected : (\d+)", result.stderr)
    if result.returncode != 0 or match is None:
        raise Skip("callgrind: " + (result.stderr.strip().splitlines() or ["no count"])[-1])
    return int(match.group(1))


def cold_turns(candidates, token, rounds, anchor):
    """Runs each command from nothing, in turns. A candidate whose first run fails is left out."""
    walls, memory, missing = Ratios(anchor), Ratios(anchor), []
    usable = []
    for name, command, extra in candidates:
        status = cold(command, dict(token.environment, **extra), token.build)[2] if shutil.which(command[0]) else None
        if status == 0:
            usable.append((name, command, extra))
        else:
            missing.append((name, "not installed" if status is None else f"exit status {status}"))
            say(f"    {name}: left out: {missing[-1][1]}")
    for turn in range(rounds):
        order = usable[turn % len(usable):] + usable[:turn % len(usable)]
        for name, command, extra in order:
            wall, rss, status = cold(command, dict(token.environment, **extra), token.build)
            if status != 0:
                say(f"    {name}: exit status {status} in round {turn}")
            walls.add(name, wall)
            memory.add(name, rss)
    return walls, memory, [name for name, _, _ in usable], missing


# ---- The questions ----

KEYS = [("rsa-2048", "RS384", 2048), ("rsa-3072", "RS384", 3072), ("p-384", "ES384", None)]


def name_of(label):
    return label.upper()


def peers_of(token, label, alg, mode):
    peer = f"{HERE}/peers"
    common = [token.module, TOKEN, token.pin_file, label, alg, mode]
    return [
        ("Node.js, pkcs11js", ["node", f"{peer}/peer.mjs", "pkcs11js", *common], {}),
        ("Node.js, graphene-pk11 and jose", ["node", f"{peer}/peer.mjs", "graphene", *common], {}),
        ("Python, PyKCS11 and PyJWT", [PYTHON, f"{peer}/peer.py", *common], {}),
        ("Java, SunPKCS11", ["java", "-cp", f"{token.directory}/java", "Peer", *common], {}),
    ]


def compile_java(token):
    if shutil.which("javac"):
        subprocess.run(["javac", "-d", f"{token.directory}/java", f"{HERE}/peers/Peer.java"], check=True)
        for label, _, _ in KEYS:
            try:
                token.certify(label)
            except (subprocess.CalledProcessError, AttributeError) as reason:
                say(f"    no certificate for {label}, Java will not see it: {reason}")


def ask_signing(token, report, arguments):
    rounds, milliseconds = (3, 200) if arguments.quick else (9, 300)
    table = [("key", "candidate", "signatures/s", "time / bare loop")]
    bars, notes, rates = [], [], []
    for label, alg, _ in KEYS:
        say(f"  {label}, one thread")
        candidates = [("bare loop", token.peer("bench_raw", label, alg, "serve"), {}),
                      ("hsmart", token.peer("bench_hsmart", label, alg, "serve"), {}),
                      ("hsmart, unverified", token.peer("bench_hsmart", label, alg, "serve"),
                       {"HSMART_BENCH_UNVERIFIED": "1"}),
                      ("libp11", token.peer("bench_libp11", label, alg, "serve"), {}),
                      ("OpenSSL, key in memory", token.peer("bench_software", label, alg, "serve"), {}),
                      *peers_of(token, label, alg, "serve")]
        ratios = Ratios("bare loop")
        with start_all(candidates, token.environment) as (served, missing):
            take_turns(served, ratios, rounds, 1, milliseconds)
        bars.append((name_of(label), None))
        for name in ratios.values:
            values = ratios.ratios(name, invert=True)
            table.append((name_of(label), name, f"{ratios.median(name):.0f}", three(values)))
            bars.append((name, values))
        rates.append(f"{name_of(label)} {ratios.median('hsmart'):.0f}")
        notes += [f"{name_of(label)}: {name} was left out: {reason}" for name, reason in missing]
        count_warm(token, label, alg, report, notes)
    report.glance("Assertions a second, one thread, verified", ", ".join(rates))
    report.section("signing", "Assertions per second, warm",
                   "A resident process on one thread. hsmart makes whole assertions, verified before release; the bare loop signs and does "
                   "nothing else.", table, notes, bars, "time per signature / bare loop (less is better)", 1.0)
    ask_threads(token, report, arguments)


def count_warm(token, label, alg, report, notes):
    """Instructions per assertion beside the bare loop's, from runs of 10 and of 40 signatures."""
    def per_signature(program, extra):
        counts = [instructions(token.peer(program, label, alg, "count") + [str(n)], dict(token.environment, **extra))
                  for n in (10, 40)]
        return (counts[1] - counts[0]) / 30
    try:
        raw = per_signature("bench_raw", {})
        plain = per_signature("bench_hsmart", {"HSMART_BENCH_UNVERIFIED": "1"})
        verified = per_signature("bench_hsmart", {})
    except Skip as reason:
        notes.append(f"{name_of(label)}: instructions were not counted: {reason}")
        return
    report.figure("warm", name_of(label), plain / raw)
    if alg == "RS384":
        report.figure("warm-verified", name_of(label), verified / raw)
    notes.append(f"{name_of(label)}: a signature of the bare loop takes {raw / 1e6:.2f} M instructions; hsmart without the verification "
                 f"{plain / raw:.3f} times that, with it {verified / raw:.3f} times")


def ask_threads(token, report, arguments):
    rounds, milliseconds = (3, 200) if arguments.quick else (7, 300)
    table = [("key", "candidate", *("1 thread" if n == 1 else f"{n} threads" for n in (1, 2, 4, 8)))]
    bars = []
    for label, alg, _ in KEYS:
        say(f"  {label}, threads")
        candidates = [("bare loop", token.peer("bench_raw", label, alg, "serve"), {}),
                      ("hsmart, unverified", token.peer("bench_hsmart", label, alg, "serve"),
                       {"HSMART_BENCH_UNVERIFIED": "1"}),
                      ("hsmart", token.peer("bench_hsmart", label, alg, "serve"), {}),
                      ("libp11", token.peer("bench_libp11", label, alg, "serve"), {})]
        cells = {}
        bars.append((name_of(label), None))
        with start_all(candidates, token.environment) as (served, _):
            for threads in (1, 2, 4, 8):
                ratios = Ratios("bare loop")
                take_turns(served, ratios, rounds, threads, milliseconds)
                for name in ratios.values:
                    values = ratios.ratios(name)
                    cells.setdefault(name, []).append(f"{ratios.median(name):.0f}/s" if name == "bare loop" else three(values, 2))
                    if name != "bare loop" and threads == 4:
                        bars.append((name, values))
                    if name == "hsmart, unverified" and threads > 1:
                        report.figure(f"threads-{threads}", name_of(label), statistics.median(values))
        table += [(name_of(label), name, *values) for name, values in cells.items()]
    report.section("threads", "Several threads",
                   "The rate beside the bare loop's with as many threads; each thread has a session of its own. The plot shows 4 threads.", table,
                   [f"This machine has {os.cpu_count()} cores: more threads than that only add scheduling. The verification is work for the same "
                    "cores here; with a real HSM it runs while the device works."], bars, "rate / bare loop (more is better)", 1.0)


def ask_cold(token, report, arguments):
    rounds = 5 if arguments.quick else 15
    table = [("key", "candidate", "wall ms", "wall / bare program", "memory MB")]
    bars, notes, costs = [], [], []
    for label, alg, _ in (KEYS[1], KEYS[2]):
        say(f"  {label}, cold")
        own = [f"{token.build}/bin/hsmart", "assertion", "--client-id", "8d5f6a1e-0000-4000-8000-0123456789ab", "--aud",
               "https://ehr.example/oauth2/token", "--key-uri", f"pkcs11:object={label}"]
        shell = [f"{HERE}/peers/shell-assertion", token.module, TOKEN, token.pin_file, label, alg]
        walls, memory, usable, missing = cold_turns(
            [("bare program in C", token.peer("bench_raw", label, alg, "once"), {}),
             ("hsmart assertion", own, {}),
             ("libp11 in C", token.peer("bench_libp11", label, alg, "once"), {}),
             ("shell and pkcs11-tool", [*shell, "pkcs11-tool"], {}),
             ("shell and openssl with the pkcs11 engine", [*shell, "engine"], {}),
             *peers_of(token, label, alg, "once")], token, rounds, "bare program in C")
        bars.append((name_of(label), None))
        for name in usable:
            values = walls.ratios(name)
            table.append((name_of(label), name, f"{walls.median(name):.1f}", three(values, 2), f"{memory.median(name):.1f}"))
            bars.append((name, values))
        report.figure("cold-time", name_of(label), statistics.median(walls.ratios("hsmart assertion")))
        report.figure("cold-memory", name_of(label), memory.median("hsmart assertion") - memory.median("bare program in C"))
        costs.append(f"{name_of(label)} {walls.median('hsmart assertion'):.0f} ms")
        notes += [f"{name_of(label)}: {name} was left out: {reason}" for name, reason in missing]
        try:
            raw = instructions(token.peer("bench_raw", label, alg, "once"), token.environment)
            ours = instructions(own, token.environment)
            report.figure("cold-instructions", name_of(label), ours / raw)
            notes.append(f"{name_of(label)}: {ours / 1e6:.1f} M instructions beside {raw / 1e6:.1f} M of the bare program: {ours / raw:.3f}; "
                         "the verification before release and the look at the key's attributes are among them")
        except Skip as reason:
            notes.append(f"{name_of(label)}: instructions were not counted: {reason}")
    report.glance("One assertion from a cold process (`hsmart assertion`)", ", ".join(costs))
    notes.append("Of hsmart's own instructions (looked at once, SoftHSM2 and OpenSSL 3.0): the verification 9.2 M for P-384, 0.9 M for RSA; finding "
                 "the pair and reading its attributes 1.1 M; loading the tool, libconfuse and json-c 0.4 M; the configuration 0.2 M; the PIN guard "
                 "0.1 M. OpenSSL's tables are not given back at the end, which costs the bare program 1.1 M")
    notes.append("The P-384 verification is ECDSA_do_verify alone: 9.02 M instructions on OpenSSL's curve as it is, 10.34 M by its other method "
                 "(EC_GFp_nist_method), 8.83 M with the generator's multiples, which cost as much as two verifications. With it, 1.05 is out of "
                 "reach for ES384 until OpenSSL has quicker P-384")
    notes.append("Memory above the bare program: 0.6 MB are the pages of the tool itself, 0.1 MB libconfuse and json-c, the rest further pages "
                 "of the C and C++ libraries, most of which any process shares")
    report.section("cold", "One assertion from a cold process",
                   "A process starts, logs in, signs one assertion and ends. The bare program does C_Initialize, C_Login, one search, "
                   "C_SignInit, C_Sign and C_Finalize.", table, notes, bars, "wall time / bare program (less is better)", 1.0)


def constant_answers(token):
    """The environment and module of a token that answers C_SignInit and C_Sign at once with a constant."""
    rules = f"{token.directory}/constant-rules"
    with open(rules, "w", encoding="utf-8") as out:
        out.write("C_SignInit * rv=0\nC_Sign * rv=0 length=96\n")
    return fault_module(token), dict(token.environment, HSMART_FAULT_MODULE=token.module, HSMART_FAULT_RULES=rules,
                                     HSMART_BENCH_UNVERIFIED="1")


def fault_module(token):
    return f"{token.build}/tests/libhsmart_fault.so"


def ask_floor(token, report, arguments):
    values = [float(subprocess.run([f"{token.build}/bench/bench_floor", "20000"], capture_output=True, text=True,
                                   check=True).stdout) for _ in range(5 if arguments.quick else 15)]
    notes = []
    report.figure("own-time", "", statistics.median(values) / 1000)
    try:
        counts = [instructions([f"{token.build}/bench/bench_floor", str(n)], token.environment) for n in (100, 1100)]
        notes.append(f"{(counts[1] - counts[0]) / 1000:,.0f} instructions for that")
        module, environment = constant_answers(token)
        whole = [[instructions(token.peer(program, "p-384", "ES384", "count", module) + [str(n)], environment)
                  for n in (100, 1100)] for program in ("bench_raw", "bench_hsmart")]
        bare, ours = ((many - few) / 1000 for few, many in whole)
        report.figure("own-instructions", "", ours - bare)
        notes.append(f"{ours - bare:,.0f} instructions of hsmart's own in a whole assertion, the digest and the session pool included, beyond "
                     "C_SignInit and C_Sign: on a token that answers with a constant, since the work of a signature itself scatters")
    except Skip as reason:
        notes.append(f"instructions were not counted: {reason}")
    report.section("floor", "Everything but the token's work",
                   "Claims, jti, JSON and base64url, with a signer that answers at once.",
                   [("what", "ns"), ("one assertion", three(values, 0))], notes)


def ask_keys(token, report, arguments):
    rounds = 3 if arguments.quick else 5
    table = [("key pairs", "candidate", "load and login ms", "find ms", "all / bare", "memory MB")]
    bars, notes, made = [], [], 0
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        many = Token(directory, token.build)
        many.generate("p-384", "ES384")
        for count in (10, 100, 1000) if arguments.quick else (10, 100, 1000, 5000):
            say(f"  {count} key pairs")
            subprocess.run([f"{token.build}/bench/bench_make_keys", many.module, TOKEN, many.pin_file, str(made + 1),
                            str(count - 1)], env=many.environment, check=True)
            made = count - 1
            names = [("bare", "bench_raw"), ("hsmart", "bench_hsmart"), ("libp11", "bench_libp11")]
            whole, memory, steps = Ratios("bare"), {}, {}
            for turn in range(rounds):
                for name, program in names[turn % 3:] + names[:turn % 3]:
                    command = many.peer(program, "p-384", "ES384", "look")
                    wall, rss, _ = cold(command, many.environment, many.build)
                    whole.add(name, wall)
                    memory.setdefault(name, []).append(rss)
                    out = subprocess.run(command, env=many.environment, check=True, capture_output=True, text=True).stdout
                    for step, value in re.findall(r"^(\S+) ([\d.]+)$", out, re.M):
                        place = "find" if step == "find" else "load"
                        steps.setdefault((name, place, turn), []).append(float(value))
            bars.append((f"{count:,} pairs", None))
            for name, _ in names:
                load = statistics.median(sum(steps[(name, "load", turn)]) for turn in range(rounds))
                find = statistics.median(sum(steps[(name, "find", turn)]) for turn in range(rounds))
                values = whole.ratios(name)
                table.append((f"{count:,}", name, f"{load:.1f}", f"{find:.1f}", three(values, 2),
                              f"{statistics.median(memory[name]):.1f}"))
                if name != "bare":
                    bars.append((name, values))
            if count == 5000:
                report.figure("keys", "", statistics.median(whole.ratios("hsmart")))
    report.section("keys", "Many keys on the token",
                   "A fresh process loads the module, logs in and finds one P-384 key by its label; no signature.", table, notes, bars,
                   "whole process / bare program (less is better)", 1.0)


def ask_slow_token(token, report, arguments):
    rounds, milliseconds = (2, 300) if arguments.quick else (5, 500)
    rules = f"{token.directory}/fault-rules"
    with open(rules, "w", encoding="utf-8") as out:
        out.write("C_SignInit * rv=0\nC_Sign * rv=0 length=96 sleep=5\n")
    environment = dict(token.environment, HSMART_FAULT_MODULE=token.module, HSMART_FAULT_RULES=rules,
                       HSMART_BENCH_UNVERIFIED="1")
    module = fault_module(token)
    table, bars = [("sessions", "bare loop/s", "hsmart/s", "hsmart / (sessions / 5 ms)", "hsmart / bare loop")], []
    candidates = [("bare loop", token.peer("bench_raw", "p-384", "ES384", "serve", module), {}),
                  ("hsmart", token.peer("bench_hsmart", "p-384", "ES384", "serve", module), {})]
    with start_all(candidates, environment) as (served, missing):
        if missing:
            raise Skip(missing[0][1])
        for sessions in (1, 2, 4, 8, 16, 32, 64):
            ratios = Ratios("bare loop")
            take_turns(served, ratios, rounds, sessions, milliseconds)
            ideal = [rate / (sessions / 0.005) for rate in ratios.values["hsmart"]]
            if sessions == 64:
                report.figure("slow-token", "", statistics.median(ideal))
            bars.append((f"{sessions} sessions" if sessions > 1 else "1 session", ideal))
            table.append((str(sessions), f"{ratios.median('bare loop'):.0f}", f"{ratios.median('hsmart'):.0f}", three(ideal, 2),
                          three(ratios.ratios("hsmart"), 2)))
    report.section("slow-token", "A slow token",
                   "Each C_Sign waits for 5 ms and does nothing, as a network HSM looks from its client; as many threads as sessions. The ideal is "
                   "sessions / 5 ms.", table, ["Nothing is verified here: the answers are constants."], bars,
                   "rate / ideal (more is better)", 1.0)


def ask_one_shots(token, report, arguments):
    # On a disk, as real tokens of this kind are: in memory the files change too fast for the processes to collide.
    with tempfile.TemporaryDirectory() as directory:
        on_disk = Token(directory, token.build)
        on_disk.generate("p-384", "ES384")
        measure_one_shots(on_disk, report, arguments)


def measure_one_shots(token, report, arguments):
    rounds = 5 if arguments.quick else 25
    own = [f"{token.build}/bin/hsmart", "assertion", "--client-id", "c", "--aud", "https://ehr.example/oauth2/token",
           "--key-uri", "pkcs11:object=p-384"]
    table = [("candidate", "runs", "failures", "wall ms for eight")]
    bars = []
    walls, failures = Ratios("bare program"), {}
    commands = [("bare program", token.peer("bench_raw", "p-384", "ES384", "once")), ("hsmart assertion", own)]
    for turn in range(rounds):
        for name, command in commands[turn % 2:] + commands[:turn % 2]:
            began = time.perf_counter()
            running = [subprocess.Popen(command, env=token.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                       for _ in range(8)]
            failures[name] = failures.get(name, 0) + sum(process.wait() != 0 for process in running)
            walls.add(name, (time.perf_counter() - began) * 1000)
    report.figure("one-shots", "", failures["hsmart assertion"])
    report.glance("Eight `hsmart assertion` at once, token on disk",
                  f"{walls.median('hsmart assertion'):.0f} ms for all, {failures['hsmart assertion']} of {rounds * 8} failed")
    for name, _ in commands:
        table.append((name, str(rounds * 8), f"{failures[name]} ({failures[name] / (rounds * 8):.0%})", three(walls.values[name], 0)))
        bars.append((name, walls.ratios(name)))
    report.section("one-shots", "Eight one-shot signers at once",
                   "Eight processes start together on one SoftHSM2 token on disk, whose C_Login rewrites a file that the others read.", table,
                   ["hsmart tries again where the token says that it was disturbed; the bare program does not."],
                   bars, "wall time / bare program (less is better)", 1.0)


class Nginx:
    """A token endpoint that answers with a constant: a server that resumes TLS sessions, which the sandbox does not."""

    def __init__(self, token):
        if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
            raise Skip("nginx is not installed")
        self.directory = tempfile.mkdtemp(dir=token.directory)
        self.ca_directory = f"{self.directory}/ca"
        os.mkdir(self.ca_directory)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-subj", "/CN=bench",
                        "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{self.directory}/key.pem", "-out",
                        f"{self.ca_directory}/ca.pem"], check=True, capture_output=True)
        subprocess.run(["openssl", "rehash", self.ca_directory], check=True, capture_output=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.endpoint = f"https://localhost:{port}/token"
        answer = '{"access_token":"' + "a" * 43 + '","token_type":"bearer","expires_in":300,"scope":"system/Patient.rs"}'
        with open(f"{self.directory}/nginx.conf", "w", encoding="utf-8") as out:
            out.write(f"""daemon off; master_process off; pid {self.directory}/pid; error_log {self.directory}/log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {self.directory}; proxy_temp_path {self.directory}; fastcgi_temp_path {self.directory};
  uwsgi_temp_path {self.directory}; scgi_temp_path {self.directory};
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {self.ca_directory}/ca.pem; ssl_certificate_key {self.directory}/key.pem; ssl_protocols TLSv1.3;
    location = /token {{ default_type application/json; return 200 '{answer}'; }}
  }}
}}
""")
        self.process = subprocess.Popen(["nginx", "-c", f"{self.directory}/nginx.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=dict(os.environ, PATH=f"{os.environ['PATH']}:/usr/sbin"))
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        self.close()
        raise Skip("nginx does not start")

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)


class Sandbox:
    """hsmart-sandbox over TLS, with one client that has a secret and one that has the token's P-384 key."""

    def __init__(self, token, token_life_s=300):
        self.token, self.directory = token, f"{token.directory}/sandbox-{token_life_s}"
        os.mkdir(self.directory, 0o700)
        self.secret_file = f"{self.directory}/secret"
        with open(os.open(self.secret_file, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as out:
            out.write(os.urandom(16).hex())
        token.run("hsmart-key", "export", "--format", "jwks", "--all", "--out", f"{self.directory}/jwks.json")
        clients = f"{self.directory}/clients.json"
        with open(clients, "w", encoding="utf-8") as out:
            json.dump([{"client_id": "secret", "client_secret_file": self.secret_file},
                       {"client_id": "asymmetric", "jwks": json.load(open(f"{self.directory}/jwks.json", encoding="utf-8"))}], out)
        ready = f"{self.directory}/ready.json"
        self.process = subprocess.Popen(
            [f"{token.build}/bin/hsmart-sandbox", "-q", "--ready-file", ready, "--lifetime", "300", "--token-life",
             str(token_life_s), "--clients", clients], env=token.environment, stdout=subprocess.DEVNULL)
        for _ in range(200):
            if os.path.exists(ready):
                break
            time.sleep(0.05)
        with open(ready, encoding="utf-8") as file:
            self.ready = json.load(file)
        self.ca_directory = f"{self.directory}/ca"
        os.mkdir(self.ca_directory)
        shutil.copy(self.ready["ca_file"], f"{self.ca_directory}/ca.pem")
        subprocess.run(["openssl", "rehash", self.ca_directory], check=True, capture_output=True)

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def on_a_kept_connection(token, rounds, report):
    # The sandbox remembers 20,000 live access tokens and is full then (503): they live for a second here.
    sandbox = Sandbox(token, token_life_s=1)
    try:
        words = [sandbox.ready["token_endpoint"], sandbox.ca_directory, "secret", sandbox.secret_file]
        programs = [(name, [f"{token.build}/bench/{program}", *words]) for name, program in
                    (("bare libcurl program", "bench_request"), ("hsmart", "bench_request_hsmart"))]
        ratios = Ratios("bare libcurl program")
        with start_all([(name, [*command, "serve"], {}) for name, command in programs], token.environment) as (served, missing):
            if missing:
                return [f"On a kept connection nothing was measured: {missing[0][0]}: {missing[0][1]}"]
            take_turns(served, ratios, 4 * rounds, 1, 75)  # short turns: both see the same machine
        values = ratios.ratios("hsmart", invert=True)
        report.figure("request-kept", "", statistics.median(values))
        notes = [f"On a kept connection a request takes {three(values, 2)} of the bare libcurl program's time "
                 f"({ratios.median('bare libcurl program'):.0f} requests/s there); both read the secret and parse the answer each time"]
        try:
            bare, ours = ((instructions([*command, "count", "120"], token.environment)
                           - instructions([*command, "count", "20"], token.environment)) / 100 for _, command in programs)
            notes.append(f"On a kept connection: {ours:,.0f} instructions beside {bare:,.0f} of the bare libcurl program")
        except Skip as reason:
            notes.append(f"instructions were not counted: {reason}")
        return notes
    finally:
        sandbox.close()


def on_new_connections(token, secret_file, rounds):
    """Each request on a new connection that resumes the TLS session of the last."""
    try:
        nginx = Nginx(token)
    except Skip as reason:
        return f"New connections with a resumed TLS session were not measured: {reason}"
    try:
        words = [nginx.endpoint, nginx.ca_directory, "secret", secret_file, "serve-new"]
        ratios = Ratios("bare")
        with start_all([(name, [f"{token.build}/bench/{program}", *words], {}) for name, program in
                        (("bare", "bench_request"), ("hsmart", "bench_request_hsmart"))], token.environment) as (served, missing):
            if missing:
                return f"On new connections nothing was measured: {missing[0][0]}: {missing[0][1]}"
            take_turns(served, ratios, rounds, 1, 300)
        return (f"On a new connection each time, with the TLS session resumed (nginx, a constant answer): "
                f"{three(ratios.ratios('hsmart', invert=True), 2)} of the bare libcurl program's time ({ratios.median('bare'):.0f} requests/s there)")
    finally:
        nginx.close()


def count_cold_request(bare, own, token):
    try:
        bare_count, own_count = (instructions(command, token.environment) for command in (bare, own))
    except Skip as reason:
        return [f"instructions were not counted: {reason}"]
    return [f"Cold, with the secret: {own_count / 1e6:.1f} M instructions beside {bare_count / 1e6:.1f} M of the bare libcurl program: "
            f"{own_count / bare_count:.2f}"]


def ask_request(token, report, arguments):
    rounds = 5 if arguments.quick else 15
    sandbox = Sandbox(token)
    try:
        endpoint = sandbox.ready["token_endpoint"]
        own = [f"{token.build}/bin/hsmart", "token", "--fhir-base", sandbox.ready["fhir_base"], "--token-endpoint", endpoint,
               "--scope", "system/Patient.rs", "--ca-directory", sandbox.ca_directory]
        by_secret = [*own, "--client-id", "secret", "--secret-source", f"file:{sandbox.secret_file}"]
        by_key = [*own, "--client-id", "asymmetric", "--key-uri", "pkcs11:object=p-384"]
        bare = [f"{token.build}/bench/bench_request", endpoint, sandbox.ca_directory, "secret", sandbox.secret_file]
        curl = ["curl", "--silent", "--fail", "--cacert", sandbox.ready["ca_file"], "--user",
                "secret:" + open(sandbox.secret_file, encoding="utf-8").read(), "--data",
                "grant_type=client_credentials&scope=system%2FPatient.rs", endpoint]
        walls, memory, usable, missing = cold_turns(
            [("bare libcurl program, secret", [*bare, "once"], {}), ("hsmart token, secret", [*by_secret, "--fresh"], {}),
             ("curl, secret", curl, {}), ("hsmart token, ES384 assertion", [*by_key, "--fresh"], {}),
             ("hsmart token, from the cache", by_secret, {})], token, rounds, "bare libcurl program, secret")
        table, bars = [("candidate", "wall ms", "wall / bare libcurl program", "memory MB")], []
        for name in usable:
            values = walls.ratios(name)
            table.append((name, f"{walls.median(name):.1f}", three(values, 2), f"{memory.median(name):.1f}"))
            bars.append((name, values))
        notes = [f"{name} was left out: {reason}" for name, reason in missing]
        report.figure("request-cold", "", statistics.median(walls.ratios("hsmart token, secret")))
        for name, words in (("hsmart token, ES384 assertion", "One access token by an ES384 assertion, from a cold process (`hsmart token`)"),
                            ("hsmart token, from the cache", "The same access token again, out of the cache")):
            if name in usable:
                report.glance(words, f"{walls.median(name):.0f} ms")
        notes += count_cold_request([*bare, "once"], [*by_secret, "--fresh"], token)
        notes += on_a_kept_connection(token, rounds, report)
        notes.append(on_new_connections(token, sandbox.secret_file, rounds))
        report.section("request", "A cold access token request over TLS",
                       "One process, one request to a local server over TLS 1.3. The CA certificate comes out of a hashed directory (curl is given "
                       "the one file).", table, notes, bars, "wall time / bare libcurl program (less is better)", 1.0)
    finally:
        sandbox.close()


QUESTIONS = {"signing": ask_signing, "cold": ask_cold, "floor": ask_floor, "keys": ask_keys, "slow-token": ask_slow_token,
             "request": ask_request, "one-shots": ask_one_shots}


def ask(name, token, report, arguments):
    """One question. Whatever goes wrong in it stays its own: the others' results are worth having."""
    try:
        QUESTIONS[name](token, report, arguments)
    except Skip as reason:
        report.failed(name, f"left out: {reason}")
    except Ended as reason:
        report.failed(name, str(reason))
    except subprocess.CalledProcessError as reason:
        report.failed(name, f"{os.path.basename(reason.cmd[0])} ended with status {reason.returncode}: {last_line(reason.stderr)}")
    except Exception as reason:  # pylint: disable=broad-except
        traceback.print_exc()
        report.failed(name, f"{type(reason).__name__}: {reason}")


def where_to_write(arguments):
    """The page in docs/ is one whole, careful run; any other run has a place of its own unless it is told one."""
    if arguments.docs:
        return arguments.docs
    return f"{arguments.build}/bench/docs" if arguments.quick or arguments.question else f"{ROOT}/docs"


def main():
    parser = argparse.ArgumentParser(description="Measures and writes docs/performance.md.")
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true", help="few rounds: to try the benchmarks themselves")
    parser.add_argument("--docs", help="where the page and its plots are written; default: docs/ for a whole run, else "
                                       "bench/docs/ of the build")
    parser.add_argument("--check-arguments", action="store_true", help="measure nothing")
    parser.add_argument("question", nargs="*", choices=[*QUESTIONS, []])
    arguments = parser.parse_args()
    if arguments.check_arguments:
        return 0
    if not os.path.exists(f"{arguments.build}/bench/bench_raw"):
        parser.error(f"there are no benchmarks in {arguments.build}; tests/bench/run builds them")
    arguments.build = os.path.abspath(arguments.build)
    asked = arguments.question or list(QUESTIONS)
    began = time.monotonic()
    report = Report(where_to_write(arguments))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        token = Token(directory, arguments.build)
        for label, alg, bits in KEYS:
            token.generate(label, alg, bits)
        if {"signing", "cold"} & set(asked):
            compile_java(token)
        for name in asked:
            say(f"== {name}")
            ask(name, token, report, arguments)
    say(f"written: {report.write(arguments.quick, time.monotonic() - began)}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
