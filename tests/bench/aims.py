"""What the project set out to reach, and why it is not reached where it is not. A row per aim; the figures come from the run.

`least` is for rates, where more is better. A reason is printed only when the aim is not met: it says what the profile showed.
"""
import dataclasses


@dataclasses.dataclass
class Aim:
    key: str  # by which a question hands in its figures
    words: str
    limit: float
    reason: str
    least: bool = False
    digits: int = 2

    def is_met(self, value):
        # As printed: a figure that reads 1.05 meets an aim of 1.05.
        value = round(value, self.digits)
        return value >= self.limit if self.least else value <= self.limit


AIMS = [
    Aim("warm", "A warm signature without the verification: instructions / bare loop", 1.01, digits=3,
        reason="the digest, the claims and the encoding weigh more beside a fast signature"),
    Aim("warm-verified", "A warm RS384 signature with the verification: instructions / bare loop", 1.05, digits=3,
        reason="the verification before release runs on the same core as this software token"),
    Aim("own-time", "Everything but the token's work, of one assertion: µs", 5, digits=1,
        reason="claims, jti, JSON and base64url; the instructions are the steadier figure"),
    Aim("own-instructions", "Everything of hsmart's own in one assertion, beyond C_SignInit and C_Sign: instructions", 25000, digits=0,
        reason="the profile shows 12,200 for the SHA-384 of the signing input (OpenSSL's), 11,100 for claims, jti, JSON and base64url, and 3,500 for the session pool"),
    Aim("threads-2", "2 threads, without the verification: rate / bare loop", 0.95, least=True,
        reason="time on a virtual machine scatters by more than the difference; no lock is held around C_Sign"),
    Aim("threads-4", "4 threads, without the verification: rate / bare loop", 0.95, least=True,
        reason="more threads than cores; no lock is held around C_Sign"),
    Aim("threads-8", "8 threads, without the verification: rate / bare loop", 0.95, least=True,
        reason="more threads than cores; no lock is held around C_Sign"),
    Aim("cold-time", "One assertion from a cold process: wall time / bare program", 1.10,
        reason="the verification before release in software is 9.2 M instructions with P-384, nearly all in OpenSSL's one double scalar "
               "multiplication; finding the pair and reading its attributes is 1.1 M, loading the tool 0.4 M"),
    Aim("cold-instructions", "One assertion from a cold process: instructions / bare program", 1.05, digits=3,
        reason="the verification before release in software is 9.2 M instructions with P-384, nearly all in OpenSSL's one double scalar "
               "multiplication; finding the pair and reading its attributes is 1.1 M, loading the tool 0.4 M"),
    Aim("cold-memory", "One assertion from a cold process: MB above the bare program", 1, digits=1,
        reason="pages of files, which processes share: 0.6 MB of the tool, 0.1 MB of json-c and libconfuse, 0.5 MB more of libc, libstdc++ and "
               "the module"),
    Aim("keys", "5,000 key pairs, load, login and find: wall time / bare program", 1.05,
        reason="the token reads every object at login; hsmart then looks at the attributes of the one key"),
    Aim("slow-token", "64 sessions on a token of 5 ms: rate / ideal", 0.95, least=True,
        reason="64 threads on few cores wake late from the 5 ms of waiting; the bare loop does so too"),
    Aim("request-cold", "A cold access token request, secret: wall time / bare libcurl program", 1.2,
        reason="the tool loads json-c and libconfuse beside libcurl, and writes the access token to its cache"),
    Aim("request-kept", "An access token request on a kept connection: time / bare libcurl program", 1.15,
        reason="URL, headers and options are checked and set for each request, and the JSON is read strictly before json-c reads it"),
    Aim("one-shots", "Eight one-shot signers at once: failures of hsmart", 0, digits=0,
        reason="SoftHSM2's C_Login rewrites a file that the other processes read; what the retries did not cover is counted here"),
]


def row(aim, figures):
    """A line of the table: what, the aim, what was measured, and whether that is what was aimed at."""
    bound = f"at {'least' if aim.least else 'most'} {aim.limit:,g}" if aim.limit else "none"
    if not figures:
        return aim.words, bound, "", "not measured"
    measured = ", ".join(f"{case} {value:,.{aim.digits}f}".strip() for case, value in figures)
    missed = [case for case, value in figures if not aim.is_met(value)]
    if not missed:
        return aim.words, bound, measured, "met"
    whom = f" ({', '.join(missed)})" if len(figures) > len(missed) else ""
    return aim.words, bound, measured, f"**not met**{whom}: {aim.reason}"
