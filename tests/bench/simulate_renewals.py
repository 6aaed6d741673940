#!/usr/bin/python3
"""Simulates clients that renew their access tokens through one HSM, and writes the tables and plots of docs/scaling.md.

    simulate_renewals.py           write docs/scaling.md (between its marks) and docs/plots/*.svg anew
    simulate_renewals.py --check   compare instead, and say what differs; prints TAP

The rules are the library's own: its constants are read from its sources, so a change there changes the tables. The
random numbers have a fixed seed, so the tables are the same on every machine. It takes some seconds.
"""
import heapq
import os
import random
import re
import sys

import plot

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = "docs/scaling.md"
SEED = 20260101
CLIENTS = 5000
RATES = (10, 20, 50, 100, 300, 1000, 3000, 10000)
CALL_GAP_S = 1.0          # a busy service: each client wants to send a request to the EHR every second or so
SIMULATED_S = 1800.0
SPREAD_START_S = 300.0    # what `RandomizedDelaySec=5min` does
BIN_S = 10                # of the plot over time
OUTAGE = (600.0, 900.0)
RETRY_BY_CALLER_S = 1.0


# ---- The library's rules ----


def constant(path, name):
    with open(f"{ROOT}/{path}", encoding="utf-8") as file:
        found = re.search(rf"#define {name} \(?(\d+)", file.read())
    if found is None:
        sys.exit(f"{path} has no {name} any more: correct this script by what is there now")
    return int(found.group(1))


def athena_limit():
    with open(f"{ROOT}/src/servers/servers.c", encoding="utf-8") as file:
        return int(re.search(r"(\d+) access token requests a minute", file.read()).group(1))


MARGIN_S = constant("src/smart/access_token.h", "HS_ACCESS_TOKEN_MARGIN_S")
QUIET_S = constant("src/smart/access_token.c", "QUIET_AFTER_FAILURE_S")
LIFE_S = constant("src/smart/token_response.h", "HS_ACCESS_TOKEN_LIFE_DEFAULT_S")
ASSERTION_S = constant("src/smart/assertion.h", "HS_ASSERTION_LIFETIME_DEFAULT_S")
CIRCUIT_FIRST_S = constant("src/pkcs11/p11_circuit.h", "HS_CIRCUIT_FIRST_MS") / 1000
CIRCUIT_LONGEST_S = constant("src/pkcs11/p11_circuit.h", "HS_CIRCUIT_LONGEST_MS") / 1000
CIRCUIT_JITTER = constant("src/pkcs11/p11_circuit.h", "HS_CIRCUIT_JITTER_PERCENT") / 100
ATTEMPTS = constant("src/smart/exchange.h", "HS_RETRY_ATTEMPTS_DEFAULT")
FIRST_WAIT_S = constant("src/smart/retry.c", "FIRST_WAIT_DEFAULT_MS") / 1000
RETRY_AFTER_JITTER = constant("src/smart/retry.c", "RETRY_AFTER_JITTER_PERCENT") / 100
BUSY_UNTOLD_S = constant("src/smart/backend.c", "BUSY_UNTOLD_S")
RETRY_AFTER_MAX_S = constant("src/smart/exchange.h", "HS_RETRY_AFTER_MAX_S")
ATHENA_PER_MINUTE = athena_limit()


# ---- One HSM ----


class Hsm:
    """Signs in the order of arrival, `rate` a second; between `outage` it answers with a failure at once, also to those
    who wait."""

    def __init__(self, rate, outage):
        self.service_s, self.outage, self.free_at = 1.0 / rate, outage, 0.0

    def sign(self, now):
        """When the answer comes, and whether it is a signature."""
        done = max(now, self.free_at) + self.service_s
        if self.outage and now < self.outage[1] and done > self.outage[0]:
            self.free_at = self.outage[1]
            return max(now, self.outage[0]), False
        self.free_at = done
        return done, True


class Client:
    """`wanted`: when its callers first asked for the access token that it is getting; None: it is getting none."""
    __slots__ = ("expires", "wanted", "failures", "longest")

    def __init__(self, expires):
        self.expires, self.wanted, self.failures, self.longest = expires, None, 0, 0.0

    def have_waited(self, now):
        """Its callers have had no access token until now, since it ended or they wanted one."""
        self.longest = max(self.longest, min(now, SIMULATED_S) - max(self.expires, self.wanted))


def simulate(rate, start, jitter, outage=None):
    """`start(random, margin)` gives the first renewal of a client and when its access token ends. With `jitter` a client
    renews at a random moment of the second half of the life, and goes on with the old one meanwhile."""
    rng = random.Random(SEED)
    hsm = Hsm(rate, outage)
    waits, asked_per_bin, expired = [], [0] * (int(SIMULATED_S / BIN_S) + 1), 0

    def margin():
        return rng.uniform(MARGIN_S, LIFE_S / 2) if jitter else min(MARGIN_S, LIFE_S / 2)

    def until_next_call():
        return rng.expovariate(1 / CALL_GAP_S)

    events = []  # requests for a signature: when, by whom
    for index in range(CLIENTS):
        first, ends = start(rng, margin())
        events.append((first, index, Client(ends)))
    heapq.heapify(events)
    clients = [client for _, _, client in events]

    while events[0][0] <= SIMULATED_S:
        asked, index, client = events[0]
        asked_per_bin[int(asked / BIN_S)] += 1
        client.wanted = asked if client.wanted is None else client.wanted
        now, good = hsm.sign(asked)
        client.have_waited(now)
        if not good:
            client.failures += 1
            wait = min(CIRCUIT_FIRST_S * 2 ** (client.failures - 1), CIRCUIT_LONGEST_S)
            wait *= 1 + rng.uniform(-CIRCUIT_JITTER, CIRCUIT_JITTER)
            again = now + max(wait, QUIET_S if now < client.expires else 0) + until_next_call()
        elif now - asked > ASSERTION_S:  # exp was set before the signature was waited for
            waits.append(now - asked)
            expired += 1
            again = now + RETRY_BY_CALLER_S
        else:
            waits.append(now - asked)
            client.failures, client.wanted, client.expires = 0, None, now + LIFE_S
            again = client.expires - margin() + until_next_call()
        heapq.heapreplace(events, (again, index, client))
    for client in clients:
        if client.wanted is not None:
            client.have_waited(SIMULATED_S)
    return {"waits": sorted(waits), "longest": sorted(client.longest for client in clients), "asked": asked_per_bin,
            "expired": expired}


def running(rng, margin_s):
    """In the middle of things: access tokens of all ages."""
    first = rng.uniform(0.0, LIFE_S - margin_s)
    return first + rng.expovariate(1 / CALL_GAP_S), first + margin_s


def at_once(_rng, _margin_s):
    return 0.0, 0.0


def spread(rng, _margin_s):
    return rng.uniform(0.0, SPREAD_START_S), 0.0


# ---- A token endpoint with a limit ----


def limited(clients, per_minute, tells_when):
    """One registration on `clients` hosts that start together; the server counts the requests of each minute, answers 429
    above the limit, and says when to come back (`tells_when`) or not. Seconds until each has one; requests; failed calls."""
    rng = random.Random(SEED)
    events = [(rng.uniform(0, 1), index, 1) for index in range(clients)]
    heapq.heapify(events)
    minutes, served, requests, failed_calls, last = {}, 0, 0, 0, 0.0
    while events and served < clients:
        now, index, attempt = heapq.heappop(events)
        minute = int(now / 60)
        requests += 1
        minutes[minute] = minutes.get(minute, 0) + 1
        if minutes[minute] <= per_minute:
            served += 1
            last = now
            continue
        if attempt >= ATTEMPTS:
            failed_calls += 1
            # A Retry-After holds for the next call, too; without one the server is left alone for some seconds.
            wait = (minute + 1) * 60 - now if tells_when else rng.uniform(BUSY_UNTOLD_S, 2 * BUSY_UNTOLD_S)
            heapq.heappush(events, (now + wait, index, 1))
            continue
        wait = min(FIRST_WAIT_S * 2 ** (attempt - 1), 8)
        wait = rng.uniform(wait / 2, wait)
        if tells_when:
            told = float(int((minute + 1) * 60 - now) + 1)
            wait = max(wait, told * (1 + rng.uniform(0, RETRY_AFTER_JITTER)))
        heapq.heappush(events, (now + wait, index, attempt + 1))
    return last, requests, failed_calls


# ---- The page ----


def quantile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def seconds(value):
    if value < 0.0005:
        return "< 1 ms"
    if value < 0.1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def wait_columns(result):
    return [seconds(quantile(result["waits"], 0.5)), seconds(quantile(result["waits"], 0.99)), seconds(result["waits"][-1])]


def without_columns(result):
    touched = sum(1 for value in result["longest"] if value > 1.0)
    return [f"{100 * touched / CLIENTS:.0f} %", seconds(result["longest"][-1])]


HEAD = ["signatures a second"] + [f"{kind} {column}" for kind in ("as is:", "spread:")
                                  for column in ("p50", "p99", "max", "without > 1 s", "longest")]


def scenario(results, names):
    return table(HEAD, [[f"{rate:,}"] + [cell for name in names
                                         for cell in wait_columns(results[name, rate]) + without_columns(results[name, rate])]
                        for rate in RATES])


def limits_table():
    rows = []
    for clients in (40, 100, 200, 240):
        row = [str(clients)]
        for tells_when in (True, False):
            last, requests, failed = limited(clients, ATHENA_PER_MINUTE, tells_when)
            row += [seconds(last), str(requests), str(failed)]
        rows.append(row)
    return table(["hosts", "with Retry-After: all served after", "requests", "failed calls", "without: all served after",
                  "requests", "failed calls"], rows)


def make():
    plans = {
        "running": (running, False, None), "running, spread": (running, True, None),
        "restart": (at_once, False, None), "restart, spread": (spread, True, None),
        "outage": (running, False, OUTAGE), "outage, spread": (running, True, OUTAGE),
    }
    outages = [(minutes, [simulate(1000, running, jitter, (OUTAGE[0], OUTAGE[0] + minutes * 60)) for jitter in (False, True)])
               for minutes in (0.5, 1, 2, 3)]
    results = {(name, rate): simulate(rate, *plan) for name, plan in plans.items() for rate in RATES}
    parts = {
        "numbers": table(["what", "value", "from"], [
            ["life of an access token", f"{LIFE_S} s", "SMART's recommendation; `token_response.h`"],
            ["renewed when less remains than", f"{MARGIN_S} s, or half the life", "`access_token.h`"],
            ["after an early renewal that failed, no other for", f"{QUIET_S} s", "`access_token.c`"],
            ["life of an assertion, from before it is signed", f"{ASSERTION_S} s", "`assertion.h`"],
            ["probes of a token out of order", f"after {CIRCUIT_FIRST_S:g} s, doubled up to {CIRCUIT_LONGEST_S:g} s, "
             f"± {CIRCUIT_JITTER * 100:.0f} %", "`p11_circuit.h`"],
            ["attempts of an access token request", f"{ATTEMPTS}, the first waits {FIRST_WAIT_S:g} s, doubled, half of it "
             "at random", "`retry.c`"],
            ["longest Retry-After that is waited for", f"{RETRY_AFTER_MAX_S} s, up to {RETRY_AFTER_JITTER * 100:.0f} % more at random",
             "`exchange.h`, `retry.c`"],
            ["after a 429 that names no time, no request for", f"{BUSY_UNTOLD_S} to {2 * BUSY_UNTOLD_S} s", "`backend.c`"],
        ]),
        "running": scenario(results, ("running", "running, spread")),
        "restart": scenario(results, ("restart", "restart, spread")),
        "outage": scenario(results, ("outage", "outage, spread")),
        "expired": table(["signatures a second"] + [f"{rate:,}" for rate in RATES[:4]],
                         [["restart at once: signed too late"] + [f"{results['restart', rate]['expired']:,}" for rate in RATES[:4]],
                          ["spread: signed too late"] + [f"{results['restart, spread', rate]['expired']:,}"
                                                         for rate in RATES[:4]]]),
        "short": table(["outage", "as is: without > 1 s", "longest", "spread: without > 1 s", "longest"],
                       [[f"{minutes:g} min"] + [cell for result in pair for cell in without_columns(result)]
                        for minutes, pair in outages]),
        "limits": limits_table(),
    }
    plots = {
        "scaling-without.svg": plot.lines(
            "The longest that a client is without an access token", "signatures a second", "seconds",
            [(name, [(rate, max(results[name, rate]["longest"][-1], 0.01)) for rate in RATES])
             for name in ("restart", "restart, spread", "outage", "outage, spread")], log=True),
        "scaling-herd.svg": plot.lines(
            "Renewals asked for a second, after a restart (HSM: 1,000 signatures a second)", "seconds after the restart", "a second",
            [(title, [(bin_ * BIN_S, asked / BIN_S) for bin_, asked in enumerate(results[name, 1000]["asked"][:-1])])
             for title, name in (("all at once", "restart"), ("start and renewal spread", "restart, spread"))]),
    }
    return parts, plots


def replace_parts(page, parts):
    for name, text in parts.items():
        begin, end = f"<!-- simulated: {name} -->\n", f"<!-- end: {name} -->"
        if begin not in page or end not in page:
            sys.exit(f"{PAGE} has no place for {name}: it needs the lines {begin.strip()} and {end}")
        head, rest = page.split(begin, 1)
        page = head + begin + "\n" + text + "\n" + end + rest.split(end, 1)[1]
    return page


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        sys.exit(__doc__)
    with open(f"{ROOT}/{PAGE}", encoding="utf-8") as file:
        page = file.read()
    parts, plots = make()
    files = {PAGE: replace_parts(page, parts), **{f"docs/plots/{name}": text for name, text in plots.items()}}
    failed = False
    for number, (path, text) in enumerate(files.items(), 1):
        if not check:
            with open(f"{ROOT}/{path}", "w", encoding="utf-8") as file:
                file.write(text)
            continue
        try:
            with open(f"{ROOT}/{path}", encoding="utf-8") as file:
                same = file.read() == text
        except FileNotFoundError:
            same = False
        print(f"{'ok' if same else 'not ok'} {number} - {path} is what the simulation gives")
        if not same:
            print("  run tests/bench/simulate_renewals.py, read what has changed, and correct the words around it")
            failed = True
    if check:
        print(f"1..{len(files)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
