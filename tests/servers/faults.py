#!/usr/bin/python3
"""faults.py DIR PKI_DIR: a SMART server whose every endpoint can be told to misbehave, byte by byte.

The first segment of a path is the scenario, so a test chooses one by the FHIR base that it gives to a client:

    https://localhost:PORT/fine/fhir
    https://localhost:PORT/token.503-once,fhir.401-once~second-test/fhir

A scenario is "fine", or a list of ENDPOINT.FAULT with commas between. ENDPOINT is discovery, token, register, fhir or
all. A fault that ends in -once or -twice happens to the first one or two requests to that endpoint only. What follows
"~" is a name that gives a test its own state. Everything that is not told to misbehave is strict and correct.

    faults.py --list    prints the faults

Writes DIR/exports when it is ready, and DIR/log: one JSON object for each request, before it is answered, with
names of parameters and headers, but values only of what is no secret. Plain sockets and threads: nothing between a
fault and the wire.
"""
import base64
import binascii
import email.utils
import gzip
import hashlib
import itertools
import json
import os
import re
import secrets
import socket
import ssl
import struct
import sys
import threading
import time
import urllib.parse

HEAD_MAX = 256 * 1024
BODY_MAX = 4 * 1024 * 1024
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGS = ["RS384", "ES384"]
SHOWN_HEADERS = ("host", "accept", "accept-encoding", "content-type", "content-length", "transfer-encoding",
                 "user-agent", "expect", "prefer", "connection", "if-none-match", "cache-control")
SHOWN_PARAMETERS = ("grant_type", "scope", "client_assertion_type", "client_id", "resource")
REASONS = {200: "OK", 201: "Created", 204: "No Content", 301: "Moved Permanently", 302: "Found",
           307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
           403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 422: "Unprocessable Entity",
           429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Timeout"}


class State:
    """What the server remembers. One lock for all of it."""

    def __init__(self, directory):
        self.lock = threading.RLock()
        self.directory = directory
        self.log_file = open(os.path.join(directory, "log"), "a", encoding="utf-8")
        self.numbers = itertools.count(1)
        self.hits = {}            # (scenario, fault) -> how often it was asked for
        self.jtis = set()         # (iss, jti) seen
        self.access_tokens = {}   # value -> (scope, end of life)
        self.refresh_tokens = {}  # value -> scope
        self.urls = {}            # listener -> URL

    def log(self, **entry):
        with self.lock:
            entry = {"n": next(self.numbers), "at": round(time.time(), 3), **entry}
            self.log_file.write(json.dumps(entry) + "\n")
            self.log_file.flush()

    def hit(self, scenario, fault):
        with self.lock:
            self.hits[scenario, fault] = self.hits.get((scenario, fault), 0) + 1
            return self.hits[scenario, fault]

    def is_new_jti(self, issuer, jti):
        with self.lock:
            new = (issuer, jti) not in self.jtis
            self.jtis.add((issuer, jti))
            return new

    def knows(self, access_token):
        with self.lock:
            scope, end = self.access_tokens.get(access_token, (None, 0))
            return scope if time.time() < end else None


# ---- Requests ----

def digest(secret):
    """Enough to tell two secrets apart, not enough to use one."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


class Request:
    def __init__(self, state, listener, head, body, connection, number):
        lines = head.decode("latin-1").split("\r\n")
        self.state, self.listener, self.connection, self.number = state, listener, connection, number
        self.method, self.target, self.version = (lines[0].split(" ") + ["", ""])[:3]
        self.headers = [tuple(part.strip() for part in line.partition(":")[::2]) for line in lines[1:] if line]
        self.body = body
        path, _, self.query = self.target.partition("?")
        _, self.scenario, self.rest = (path.split("/", 2) + ["", ""])[:3]
        self.rest = "/" + self.rest
        self.endpoint = endpoint_of(self.rest)
        self.problems = []
        self.form = []
        self.json = None
        self.assertion = None
        self.read_body()

    def header(self, name, default=None):
        return next((value for key, value in self.headers if key.lower() == name), default)

    def parameter(self, name):
        return next((value for key, value in self.form if key == name), None)

    def url(self, rest="", listener=None):
        """An URL in the same scenario."""
        origin = self.state.urls[listener] if listener else self.origin()
        return f"{origin}/{self.scenario}{rest}"

    def origin(self):
        scheme = self.state.urls[self.listener].split(":")[0]
        return f"{scheme}://{self.header('host', 'localhost')}"

    def read_body(self):
        content_type = self.header("content-type", "")
        try:
            if content_type.startswith("application/x-www-form-urlencoded"):
                text = self.body.decode("ascii")
                self.form = urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text),
                                                   encoding="utf-8", errors="strict")
            elif content_type.startswith("application/json"):
                self.json = json.loads(self.body.decode("utf-8"))
        except ValueError as error:
            self.problems.append(f"the body is not what its Content-Type says: {error}")
        assertion = self.parameter("client_assertion")
        if assertion is not None:
            self.read_assertion(assertion)

    def read_assertion(self, text):
        try:
            parts = text.split(".")
            if len(parts) != 3:
                raise ValueError("there are not three parts")
            if not all(re.fullmatch("[A-Za-z0-9_-]+", part) for part in parts):
                raise ValueError("a part is not base64url")
            header, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
            self.assertion = {"header": header, "claims": claims}
        except (ValueError, binascii.Error) as error:
            self.problems.append(f"client_assertion: {error}")

    def authorization(self):
        value = self.header("authorization")
        if value is None:
            return None
        scheme, _, rest = value.partition(" ")
        told = {"scheme": scheme, "digest": digest(rest)}
        if scheme == "Bearer":
            told["known"] = self.state.knows(rest) is not None
        if scheme.lower() == "basic":
            try:
                told["id"] = base64.b64decode(rest, validate=True).decode().partition(":")[0]
            except ValueError:
                told["id"] = None
        return told

    def entry(self, answer):
        headers = {name: self.header(name) for name in SHOWN_HEADERS if self.header(name) is not None}
        entry = {"listener": self.listener, "connection": self.connection, "request": self.number,
                 "scenario": self.scenario, "endpoint": self.endpoint, "method": self.method,
                 "path": self.target.partition("?")[0], "query_names": [
                     name for name, _ in urllib.parse.parse_qsl(self.query, keep_blank_values=True)],
                 "header_names": [name for name, _ in self.headers], "headers": headers,
                 "authorization": self.authorization(), "body_len": len(self.body),
                 "body_names": [name for name, _ in self.form],
                 "body": {name: value for name, value in self.form if name in SHOWN_PARAMETERS},
                 "assertion": self.assertion, "json": self.json, "problems": self.problems,
                 "status": answer.status}
        if self.assertion:
            entry["aud_is_token_url"] = self.assertion["claims"].get("aud") == self.origin() + self.target
        return {name: value for name, value in entry.items() if value is not None}


def endpoint_of(rest):
    if rest == "/fhir/.well-known/smart-configuration":
        return "discovery"
    if rest.startswith("/manage/"):
        return "manage"
    first = rest.split("/")[1]
    return first if first in ("token", "register", "fhir") else "other"


# ---- Answers ----

class Answer:
    """What is sent, and how."""

    def __init__(self, status=200, body=b"", content_type="application/json", headers=()):
        self.status = status
        self.body = body
        self.headers = [("Content-Type", content_type)] if content_type else []
        self.headers += list(headers)
        self.version = "HTTP/1.1"
        self.framing = "length"     # or "chunked", "close"
        self.prelude = b""          # before the answer: interim responses
        self.head_delay_s = 0
        self.body_delay_s = 0       # in the middle of the body
        self.byte_delay_s = 0       # after every byte of the body
        self.cut_at = None          # fraction of all bytes after which the connection is closed
        self.raw = None             # sent instead of everything
        self.reset = False          # end the connection with RST
        self.date_offset_s = 0
        self.endless = False
        self.says_goodbye = True    # TLS close_notify: without it, the end of the connection may be an attacker's

    @property
    def json(self):
        return json.loads(self.body)

    @json.setter
    def json(self, value):
        self.body = json.dumps(value).encode()

    def set(self, name, value):
        self.headers = [pair for pair in self.headers if pair[0].lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))

    def ends_connection(self):
        return (self.framing == "close" or self.cut_at is not None or self.raw is not None or self.reset
                or self.version == "HTTP/1.0")

    def head(self):
        headers = list(self.headers)
        headers.append(("Date", email.utils.formatdate(time.time() + self.date_offset_s, usegmt=True)))
        if self.framing == "length":
            headers.append(("Content-Length", str(len(self.body))))
        elif self.framing == "chunked":
            headers.append(("Transfer-Encoding", "chunked"))
        if self.ends_connection():
            headers.append(("Connection", "close"))
        lines = [f"{self.version} {self.status} {REASONS.get(self.status, 'Something')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def wire_body(self):
        if self.framing != "chunked":
            return self.body
        step = max(1, len(self.body) // 3)
        chunks = [self.body[at:at + step] for at in range(0, len(self.body), step)]
        return b"".join(b"%x;a=b\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nX-Trailer: yes\r\n\r\n"

    def send(self, connection):
        if self.prelude:
            connection.sendall(self.prelude)
        time.sleep(self.head_delay_s)
        if self.reset:
            reset(connection)
            return
        if self.raw is not None:
            connection.sendall(self.raw)
            return
        head, body = self.head(), self.wire_body()
        if self.cut_at is not None:
            everything = head + body
            connection.sendall(everything[:max(1, int(len(everything) * self.cut_at))])
            return
        if self.byte_delay_s:
            connection.sendall(head)
            for byte in body:
                connection.sendall(bytes([byte]))
                time.sleep(self.byte_delay_s)
        elif self.body_delay_s:
            connection.sendall(head + body[:len(body) // 2])
            time.sleep(self.body_delay_s)
            connection.sendall(body[len(body) // 2:])
        else:
            connection.sendall(head + body)
        for _ in range(1024 if self.endless else 0):  # 64 MiB, then enough is enough
            connection.sendall(b" " * 65536)


def reset(connection):
    """Closes with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def json_answer(status, value, *headers):
    return Answer(status, json.dumps(value).encode(), headers=headers)


def oauth_error(status, code, description, *headers):
    return json_answer(status, {"error": code, "error_description": description}, ("Cache-Control", "no-store"),
                       *headers)


def outcome(status, code, text, *headers):
    answer = json_answer(status, {"resourceType": "OperationOutcome", "issue": [
        {"severity": "error", "code": code, "diagnostics": text}]}, *headers)
    answer.set("Content-Type", "application/fhir+json")
    return answer


# ---- The endpoints as they should be ----

def discovery(request):
    if request.method != "GET":
        return oauth_error(405, "invalid_request", "GET is needed")
    return json_answer(200, {
        "issuer": request.url(),
        "token_endpoint": request.url("/token"),
        "registration_endpoint": request.url("/register"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic", "client_secret_post"],
        "token_endpoint_auth_signing_alg_values_supported": ALGS,
        "scopes_supported": ["system/*.rs", "system/Patient.rs"],
        "capabilities": ["client-confidential-asymmetric", "client-confidential-symmetric", "permission-v2"],
        "code_challenge_methods_supported": ["S256"],
    }, ("Cache-Control", "max-age=300"))


def wrong_with_assertion(request):
    """What is wrong with the client assertion, or None. Signatures are not verified here: oidc.sh does that."""
    if request.parameter("client_assertion_type") != ASSERTION_TYPE:
        return "client_assertion_type is not the URN"
    if request.assertion is None:
        return "the client assertion cannot be read"
    header, claims = request.assertion["header"], request.assertion["claims"]
    now = time.time()
    rules = (
        (header.get("typ") == "JWT", "typ is not JWT"),
        (re.fullmatch("(RS|PS|ES)(256|384|512)", str(header.get("alg"))), "alg is not an asymmetric one"),
        (isinstance(header.get("kid"), str) and header["kid"], "kid is missing"),
        (isinstance(claims.get("iss"), str) and claims["iss"], "iss is missing"),
        (claims.get("iss") == claims.get("sub"), "iss and sub differ"),
        (isinstance(claims.get("aud"), str), "aud is not a string"),
        (isinstance(claims.get("exp"), int), "exp is not an integer"),
        (isinstance(claims.get("exp"), int) and now < claims["exp"] <= now + 300, "exp is not within five minutes"),
        (isinstance(claims.get("iat", 0), int) and claims.get("iat", 0) <= now + 1, "iat is in the future"),
        (isinstance(claims.get("jti"), str) and claims["jti"], "jti is not a string"),
        (request.parameter("client_id") in (None, claims.get("sub")), "client_id differs from sub"),
    )
    wrong = next((text for holds, text in rules if not holds), None)
    if wrong is None and not request.state.is_new_jti(claims["iss"], claims["jti"]):
        wrong = "jti was used before"
    return wrong


def wrong_with_request(request):
    """What is wrong with a token request whatever the client's authentication, or None."""
    names = [name for name, _ in request.form]
    methods = [request.header("authorization"), request.parameter("client_assertion"),
               request.parameter("client_secret")]
    rules = (
        (not request.query or request.query.startswith("x="), "there are parameters in the URL"),
        (request.header("content-type") == "application/x-www-form-urlencoded", "the Content-Type is not exact"),
        (request.header("accept") == "application/json", "the Accept header is not exact"),
        (not request.problems, "the body cannot be read"),
        (len(names) == len(set(names)), "a parameter is there twice"),
        (all(value for _, value in request.form), "a parameter is empty"),
        (sum(method is not None for method in methods) == 1, "there is not exactly one authentication method"),
    )
    return next((text for holds, text in rules if not holds), None)


def token(request):
    if request.method != "POST":
        return oauth_error(405, "invalid_request", "POST is needed")
    wrong = wrong_with_request(request)
    if wrong:
        request.problems.append(wrong)
        return oauth_error(400, "invalid_request", wrong)
    if request.parameter("client_assertion") is not None:
        wrong = wrong_with_assertion(request)
    elif "wrong" in (request.parameter("client_secret") or basic_secret(request)):
        wrong = "the client secret is not the right one"
    if wrong:
        request.problems.append(wrong)
        headers = [("WWW-Authenticate", 'Basic realm="test"')] if request.header("authorization") else []
        return oauth_error(401, "invalid_client", wrong, *headers)
    return granted(request)


def basic_secret(request):
    try:
        scheme, _, rest = request.header("authorization", "").partition(" ")
        plain = base64.b64decode(rest, validate=True).decode()
        return plain.partition(":")[2] if scheme == "Basic" and ":" in plain else "wrong"
    except ValueError:
        return "wrong"


def granted(request):
    state, scope = request.state, request.parameter("scope")
    grant = request.parameter("grant_type")
    if grant == "refresh_token":
        with state.lock:
            scope = state.refresh_tokens.pop(request.parameter("refresh_token"), None)
        if scope is None:
            return oauth_error(400, "invalid_grant", "the refresh token is unknown or was used")
    elif grant != "client_credentials":
        request.problems.append("grant_type is not client_credentials")
        return oauth_error(400, "unsupported_grant_type", "only client_credentials")
    body = {"access_token": "at-" + secrets.token_urlsafe(24), "token_type": "Bearer", "expires_in": 300}
    if scope:
        body["scope"] = scope
    answer = json_answer(200, body, ("Cache-Control", "no-store"), ("Pragma", "no-cache"))
    remember(request, answer)
    return answer


def remember(request, answer):
    """Remembers what a token answer grants, where it can be read. An odd expires_in does not spoil the access token."""
    try:
        body = answer.json
    except (ValueError, RecursionError):
        return
    if not isinstance(body, dict):
        return
    life, scope = body.get("expires_in"), body.get("scope") or "system/*.rs"
    if isinstance(life, bool) or not isinstance(life, (int, float)) or not 1 <= life <= 86400:
        life = 300
    with request.state.lock:
        if isinstance(body.get("access_token"), str):
            request.state.access_tokens[body["access_token"]] = (scope, time.time() + life)
        if isinstance(body.get("refresh_token"), str):
            request.state.refresh_tokens[body["refresh_token"]] = scope


def register(request):
    body = request.json
    if request.method != "POST":
        return oauth_error(405, "invalid_request", "POST is needed")
    if not isinstance(body, dict):
        request.problems.append("the body is not a JSON object")
        return oauth_error(400, "invalid_client_metadata", "the body is not a JSON object")
    keys = body.get("jwks", {}).get("keys", []) if isinstance(body.get("jwks", {}), dict) else []
    rules = (
        (request.header("content-type") == "application/json", "the Content-Type is not exact"),
        ("token_endpoint_auth_method" in body, "token_endpoint_auth_method is missing"),
        (body.get("grant_types") == ["client_credentials"], "grant_types is not [\"client_credentials\"]"),
        (body.get("response_types") == [], "response_types is not []"),
        ("redirect_uris" not in body, "redirect_uris is there"),
        (isinstance(body.get("scope", ""), str), "scope is not a string"),
        (not ("jwks" in body and "jwks_uri" in body), "jwks and jwks_uri are both there"),
        (isinstance(body.get("jwks", {}), dict), "jwks is not an object"),
        (not any(name in key for key in keys for name in ("d", "p", "q", "dp", "dq", "qi", "oth", "k")),
         "jwks has a private key"),
        (body.get("token_endpoint_auth_method") != "private_key_jwt" or "jwks" in body or "jwks_uri" in body,
         "private_key_jwt without a key"),
    )
    wrong = next((text for holds, text in rules if not holds), None)
    if wrong:
        request.problems.append(wrong)
        return oauth_error(400, "invalid_client_metadata", wrong)
    answer = {**body, "client_id": "client-" + secrets.token_hex(8), "client_id_issued_at": int(time.time())}
    if str(body["token_endpoint_auth_method"]).startswith("client_secret"):
        answer.update(client_secret="secret-" + secrets.token_urlsafe(18), client_secret_expires_at=0)
    return json_answer(201, answer, ("Cache-Control", "no-store"))


PAGES = 3


def fhir(request):
    if request.rest == "/fhir/metadata":
        return fhir_answer({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})
    scheme, _, value = request.header("authorization", "").partition(" ")
    if scheme != "Bearer" or request.state.knows(value) is None:
        return outcome(401, "login", "the access token is missing, unknown or expired",
                       ("WWW-Authenticate", 'Bearer error="invalid_token"'))
    if request.method != "GET":
        return outcome(405, "not-supported", "GET is needed")
    if re.fullmatch("/fhir/Patient/p[0-9]+", request.rest):
        return fhir_answer({"resourceType": "Patient", "id": request.rest.rpartition("/")[2]})
    if request.rest != "/fhir/Patient":
        return outcome(404, "not-found", "there is only Patient here")
    page = int((re.search(r"page=(\d+)", request.query) or [0, 1])[1])
    links = [{"relation": "self", "url": request.origin() + request.target}]
    if page < PAGES:
        links.append({"relation": "next", "url": request.url(f"/fhir/Patient?page={page + 1}")})
    return fhir_answer({"resourceType": "Bundle", "type": "searchset", "link": links, "entry": [
        {"resource": {"resourceType": "Patient", "id": f"p{page}"}}]})


def fhir_answer(value):
    answer = json_answer(200, value)
    answer.set("Content-Type", "application/fhir+json")
    return answer


ENDPOINTS = {"discovery": discovery, "token": token, "register": register, "fhir": fhir}


# ---- Faults: a pattern of the name, what it does in words, and what it does ----
# Each gets the request, the answer as it should be, and the groups of the pattern; it changes the answer, or returns
# another one.

FAULTS = []


def fault(name, text, where="all"):
    """Registers a fault. N in a name stands for a number, X for a word."""
    pattern = re.escape(name).replace("N", r"(\d+(?:\.\d+)?)").replace("X", r"([A-Za-z0-9_.+]+)")

    def add(function):
        FAULTS.append((re.compile(pattern), name, where, text, function))
        return function
    return add


def edit(change):
    """A fault that changes the JSON of an answer that is no error."""
    def apply(request, answer, *groups):
        if answer.status < 300 and answer.body:
            value = answer.json
            change(request, value, *groups)
            answer.json = value
        return answer
    return apply


# Faults of the connection and of HTTP

@fault("close", "the connection is closed without a byte")
def _(request, answer):
    answer.raw = b""


@fault("reset", "the connection is reset without a byte")
def _(request, answer):
    answer.reset = True


@fault("slow-headers-N", "N seconds pass before the first byte")
def _(request, answer, seconds):
    answer.head_delay_s = float(seconds)


@fault("slow-body-N", "N seconds pass in the middle of the body")
def _(request, answer, seconds):
    answer.body_delay_s = float(seconds)


@fault("trickle", "one byte of the body each 50 ms")
def _(request, answer):
    answer.byte_delay_s = 0.05


@fault("cut-headers", "the connection is closed in the middle of the status line")
def _(request, answer):
    answer.raw = b"HTTP/1.1 20"


@fault("cut-body", "the connection is closed before the end of the body, which Content-Length tells")
def _(request, answer):
    answer.cut_at = 0.9


@fault("cut-chunked", "the connection is closed before the last chunk")
def _(request, answer):
    answer.framing, answer.cut_at = "chunked", 0.9


@fault("chunked", "a correct answer in chunks, with extensions and a trailer")
def _(request, answer):
    answer.framing = "chunked"


@fault("http10", "a correct answer in HTTP/1.0 without a length")
def _(request, answer):
    answer.version, answer.framing = "HTTP/1.0", "close"


@fault("http10-truncated", "half a body in HTTP/1.0 without a length or a close_notify: an attacker could have cut it")
def _(request, answer):
    answer.version, answer.framing, answer.says_goodbye = "HTTP/1.0", "close", False
    answer.body = answer.body[:len(answer.body) // 2]


@fault("not-http", "the answer is not HTTP")
def _(request, answer):
    answer.raw = b"SSH-2.0-OpenSSH_9.2p1\r\n"


@fault("100-continue", "100 Continue and 103 Early Hints before a correct answer, though nobody asked")
def _(request, answer):
    answer.prelude = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"


@fault("gzip", "the body is compressed with gzip, though nobody asked")
def _(request, answer):
    answer.body = gzip.compress(answer.body)
    answer.set("Content-Encoding", "gzip")


@fault("huge", "2 MiB: a correct answer with much white space")
def _(request, answer):
    answer.body = answer.body[:-1] + b" " * (2 * 1024 * 1024) + answer.body[-1:]


@fault("endless", "a body that does not end")
def _(request, answer):
    answer.framing, answer.endless = "close", True


@fault("many-headers", "400 KiB of headers")
def _(request, answer):
    answer.headers += [(f"X-Padding-{i}", "x" * 1000) for i in range(400)]


@fault("redirect-N", "status N to the other origin, scenario \"fine\", where every request is logged too")
def _(request, answer, status):
    return Answer(int(status), headers=[("Location", f"{request.state.urls['other']}/fine{request.rest}")])


@fault("redirect-same-N", "status N to the same origin, scenario \"fine\"")
def _(request, answer, status):
    return Answer(int(status), headers=[("Location", f"{request.origin()}/fine{request.rest}")])


# Statuses

@fault("429-after-X", "429 with Retry-After: a number of seconds, or one of the words ms (1764000000000), date (in "
       "three seconds), past (a date gone by), garbage, negative, none")
def _(request, answer, after):
    words = {"ms": "1764000000000", "date": email.utils.formatdate(time.time() + 3, usegmt=True),
             "past": "Sun, 06 Nov 1994 08:49:37 GMT", "garbage": "soon", "negative": "-5", "none": None}
    answer = oauth_error(429, "temporarily_unavailable", "too many requests")
    answer.set("Retry-After", words.get(after, after))
    return answer


@fault("503-after-N", "503 with Retry-After")
def _(request, answer, seconds):
    return Answer(503, b"come back later\n", "text/plain", [("Retry-After", seconds)])


@fault("outcome-N", "status N with an OperationOutcome", "fhir")
def _(request, answer, status):
    codes = {"401": "expired", "403": "forbidden", "404": "not-found", "410": "deleted", "422": "processing"}
    return outcome(int(status), codes.get(status, "exception"), f"told by the server, with status {status}")


@fault("401", "401 with an OperationOutcome, though the access token is good", "fhir")
def _(request, answer):
    return outcome(401, "expired", "the access token has expired", ("WWW-Authenticate", 'Bearer error="invalid_token"'))


@fault("N", "that status, with an empty body")
def _(request, answer, status):
    return Answer(int(status), content_type=None)


@fault("status-N", "a correct answer, but with status N where it would be 200 or 201")
def _(request, answer, status):
    if answer.status in (200, 201):
        answer.status = int(status)


@fault("error-X", "the OAuth error X, with 401 for invalid_client and invalid_token, else 400")
def _(request, answer, code):
    return oauth_error(401 if code in ("invalid_client", "invalid_token") else 400, code, f"told by the server: {code}")


@fault("error-N-X", "the OAuth error X with status N")
def _(request, answer, status, code):
    return oauth_error(int(status), code, f"told by the server: {code}")


@fault("clock-ahead-N", "401 invalid_client, with a Date header N seconds ahead")
def _(request, answer, seconds):
    answer = oauth_error(401, "invalid_client", "the assertion has expired")
    answer.date_offset_s = float(seconds)
    return answer


@fault("clock-behind-N", "401 invalid_client, with a Date header N seconds behind")
def _(request, answer, seconds):
    answer = oauth_error(401, "invalid_client", "iat is in the future")
    answer.date_offset_s = -float(seconds)
    return answer


# Bodies

HTML = (b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title><style>b{color:red}</style></head>"
        b"<body><h1>502 Bad Gateway</h1><p>proxy &lt;7&gt;</p><script>alert(1)</script></body></html>\n")


@fault("html", "502 with an HTML page")
def _(request, answer):
    return Answer(502, HTML, "text/html; charset=utf-8")


@fault("html-200", "200 with an HTML page (a captive portal, a login page)")
def _(request, answer):
    return Answer(200, HTML, "text/html; charset=utf-8")


@fault("text", "400 with plain text, as BCDA does")
def _(request, answer):
    return Answer(400, b"Invalid access token request\n", "text/plain")


@fault("other-json", "401 with JSON of another shape, {\"code\",\"message\"}, as DPC does")
def _(request, answer):
    return json_answer(401, {"code": 401, "message": "HTTP 401 Unauthorized"})


@fault("escape", "400 with ESC sequences, other control characters and bidirectional ones in error_description")
def _(request, answer):
    nasty = ("\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x08\x7f \x85\x9b31m \u202eesrever\u202c \u2066iso\u2069 "
             "\u200b\ufeff line\r\nSet-Cookie: a=b \u2028 end")
    return json_answer(400, {"error": "invalid_\x1b[2Jrequest", "error_description": nasty,
                             "error_uri": "javascript:alert(1)\x1b[0m"})


@fault("long-error", "400 with an error_description of 64 KiB")
def _(request, answer):
    return oauth_error(400, "invalid_request", "long " * 13000)


@fault("not-utf8", "400 with an error_description that is not UTF-8")
def _(request, answer):
    return Answer(400, b'{"error":"invalid_request","error_description":"caf\xe9 \xff\xfe \xc0\xaf"}')


@fault("empty", "200 with an empty body")
def _(request, answer):
    answer.body = b""


@fault("bom", "a UTF-8 byte order mark before a correct body")
def _(request, answer):
    answer.body = b"\xef\xbb\xbf" + answer.body


@fault("broken-json", "a body that is cut off, though Content-Length fits")
def _(request, answer):
    answer.body = answer.body[:-2]


@fault("array", "the JSON is an array of what it should be")
def _(request, answer):
    answer.body = b"[" + answer.body + b"]"


@fault("deep", "an unknown member that is 100,000 arrays deep")
def _(request, answer):
    answer.body = answer.body[:-1] + b',"deep":' + b"[" * 100000 + b"]" * 100000 + b"}"


@fault("duplicate", "every member is there twice, the first time with another value")
def _(request, answer):
    first = json.dumps({name: "first" for name in answer.json}).encode()
    answer.body = first[:-1] + b", " + answer.body[1:]


@fault("extra", "unknown members of all kinds beside the known ones")
def _(request, answer):
    answer.body = (answer.body[:-1] + b',"x1":null,"x2":[1,{"a":true}],"x3":-1.5e300,"x4":"\\ud83d\\ude00","":{},'
                   b'"x5":123456789012345678901}')


@fault("wrong-type", "a correct body as text/plain")
def _(request, answer):
    answer.set("Content-Type", "text/plain")


@fault("no-type", "a correct body without Content-Type")
def _(request, answer):
    answer.set("Content-Type", None)


# Discovery

@fault("big", "200 KiB with 600 scopes", "discovery")
@edit
def _(request, value):
    value["scopes_supported"] = [f"system/Resource{i:04d}.cruds" for i in range(600)]
    value["x-padding"] = "x" * (205 * 1024 - len(json.dumps(value)))


@fault("foreign", "the token endpoint is at another origin", "discovery")
@edit
def _(request, value):
    value["token_endpoint"] = request.url("/token", "other")


@fault("relative", "the token endpoint is relative: ../token", "discovery")
@edit
def _(request, value):
    value["token_endpoint"] = "../token"


@fault("only-token-endpoint", "token_endpoint alone", "discovery")
@edit
def _(request, value):
    for name in set(value) - {"token_endpoint"}:
        del value[name]


@fault("no-token-endpoint", "no token_endpoint", "discovery")
@edit
def _(request, value):
    del value["token_endpoint"]


@fault("http", "the token endpoint is http", "discovery")
@edit
def _(request, value):
    value["token_endpoint"] = request.url("/token", "plain")


@fault("fragment", "the token endpoint has a fragment", "discovery")
@edit
def _(request, value):
    value["token_endpoint"] += "#fragment"


@fault("userinfo", "the token endpoint has user information", "discovery")
@edit
def _(request, value):
    value["token_endpoint"] = value["token_endpoint"].replace("://", "://user:word@")


@fault("query", "the token endpoint has a query, ?x=1", "discovery")
@edit
def _(request, value):
    value["token_endpoint"] += "?x=1"


@fault("algs-X", "only the signature algorithms X, with + between", "discovery")
@edit
def _(request, value, algs):
    value["token_endpoint_auth_signing_alg_values_supported"] = algs.split("+")


@fault("methods-X", "only the authentication methods X, with + between", "discovery")
@edit
def _(request, value, methods):
    value["token_endpoint_auth_methods_supported"] = methods.split("+")


@fault("no-client-credentials", "another grant type only", "discovery")
@edit
def _(request, value):
    value["grant_types_supported"] = ["authorization_code"]


@fault("no-capability", "no client-confidential-asymmetric among the capabilities", "discovery")
@edit
def _(request, value):
    value["capabilities"] = ["launch-ehr"]


@fault("odd-types", "members whose JSON types are wrong, token_endpoint apart", "discovery")
@edit
def _(request, value):
    value.update(capabilities="client-confidential-asymmetric", grant_types_supported={"a": 1}, scopes_supported=7,
                 token_endpoint_auth_methods_supported=[1, None], issuer=False)


@fault("max-age-N", "Cache-Control: max-age=N", "discovery")
def _(request, answer, seconds):
    answer.set("Cache-Control", f"max-age={seconds}")


@fault("cache-X", "Cache-Control: X (no.store, no.cache: a dot stands for a hyphen), or none", "discovery")
def _(request, answer, word):
    answer.set("Cache-Control", None if word == "none" else word.replace(".", "-"))


# Access tokens

EXPIRES = {"string": "1200", "missing": None, "null": None, "negative": -5, "fraction": 3600.5, "text": "soon",
           "true": True, "hex": "0x10", "huge": "HUGE"}


@fault("expires-X", "expires_in is a number, or one of the words string (\"1200\"), missing, null, negative (-5), huge "
       "(1e99), fraction (3600.5), text (\"soon\"), true, hex", "token")
def _(request, answer, word):
    if answer.status != 200:
        return answer
    value = answer.json
    value["expires_in"] = EXPIRES[word] if word in EXPIRES else int(word)
    if word == "missing":
        del value["expires_in"]
    answer.json = value
    answer.body = answer.body.replace(b'"HUGE"', b"1e99")  # which json.dumps would write out
    return answer


@fault("type-X", "token_type is X (bearer, BEARER, mac), or missing", "token")
@edit
def _(request, value, word):
    value["token_type"] = word
    if word == "missing":
        del value["token_type"]


@fault("scope-X", "the scope is narrower, wider, absent, empty or other", "token")
@edit
def _(request, value, word):
    asked = value.get("scope", "")
    words = {"narrower": asked.split(" ")[0].replace("*", "Patient"), "wider": asked + " system/Extra.rs",
             "empty": "", "other": "launch/patient"}
    value["scope"] = words.get(word, asked)
    if word == "absent":
        del value["scope"]


@fault("refresh-token", "a refresh_token comes with it; it can be used once", "token")
@edit
def _(request, value):
    value["refresh_token"] = "rt-" + secrets.token_urlsafe(24)


@fault("long-token-N", "an access token of N bytes", "token")
@edit
def _(request, value, length):
    value["access_token"] = (value["access_token"] + "-" + "A" * int(length))[:int(length)]


VALUES = {"crlf": "at-1\r\nX-Injected: yes", "lf": "at-1\nX-Injected: yes", "space": "at 1", "nul": "at\x001",
          "utf8": "at-\u00e9", "empty": "", "number": 12345, "null": None, "object": {"a": 1}, "jwt": "e30.e30.c2ln",
          "equals": "YWJjZA=="}


@fault("value-X", "the access token is crlf (CR LF and a header in it), lf, space, nul, utf8, empty, number, null, "
       "object or missing; jwt and equals are good ones", "token")
@edit
def _(request, value, word):
    value["access_token"] = VALUES.get(word)
    if word == "missing":
        del value["access_token"]


# Registration

@fault("swap-method-X", "the echo says that the authentication method is X", "register")
@edit
def _(request, value, method):
    value["token_endpoint_auth_method"] = method


@fault("swap-scope", "the echo has another scope, other grants and another jwks_uri", "register")
@edit
def _(request, value):
    value.update(scope="system/Patient.r", grant_types=["authorization_code"], jwks_uri="https://other.example/jwks")


@fault("secret-X", "a client_secret that is expired, ends in an hour (future), never ends, or tells no end (unsaid)",
       "register")
@edit
def _(request, value, word):
    ends = {"expired": int(time.time()) - 3600, "future": int(time.time()) + 3600, "never": 0}
    value["client_secret"] = "secret-" + secrets.token_urlsafe(18)
    value["client_secret_expires_at"] = ends.get(word)
    if word == "unsaid":
        del value["client_secret_expires_at"]


@fault("management", "registration_client_uri and registration_access_token come with it", "register")
@edit
def _(request, value):
    value.update(registration_client_uri=request.url("/manage/" + value["client_id"]),
                 registration_access_token="rat-" + secrets.token_urlsafe(18))


@fault("long-id", "a client_id of 16 KiB with all the characters of base64", "register")
@edit
def _(request, value):
    value["client_id"] = base64.b64encode(secrets.token_bytes(12288)).decode()[:16380] + "+/=="


@fault("no-client-id", "no client_id", "register")
@edit
def _(request, value):
    del value["client_id"]


@fault("needs-initial", "401 invalid_token unless Authorization: Bearer initial-token comes with it", "register")
def _(request, answer):
    if request.header("authorization") == "Bearer initial-token":
        return answer
    return oauth_error(401, "invalid_token", "an initial access token is needed", ("WWW-Authenticate", "Bearer"))


@fault("form", "registration by form POST with jwks or jwks_url, answered with a bare client id as text, as the SMART "
       "bulk data server does", "register")
def _(request, answer):
    request.problems.clear()
    names = [name for name, _ in request.form]
    if request.header("content-type") != "application/x-www-form-urlencoded":
        return oauth_error(400, "invalid_request", "the Content-Type is not exact")
    if ("jwks" in names) == ("jwks_url" in names):
        return oauth_error(400, "invalid_request", "either jwks or jwks_url is needed")
    return Answer(200, b"eyJhbGciOiJIUzI1NiJ9." + base64.urlsafe_b64encode(secrets.token_bytes(600)) + b".c2ln",
                  "text/plain; charset=utf-8")


# FHIR

@fault("next-foreign", "the next link goes to another origin", "fhir")
@edit
def _(request, value):
    for link in value.get("link", []):
        if link["relation"] == "next":
            link["url"] = request.url("/fhir/Patient?page=2", "other")


@fault("next-self", "the next link is the page itself", "fhir")
@edit
def _(request, value):
    value["link"] = [{"relation": "next", "url": request.origin() + request.target}]


@fault("next-endless", "there is always one more page", "fhir")
@edit
def _(request, value):
    page = int((re.search(r"page=(\d+)", request.query) or [0, 1])[1])
    value["link"] = [{"relation": "next", "url": request.url(f"/fhir/Patient?page={page + 1}")}]


@fault("next-relative", "the next links are relative: Patient?page=2", "fhir")
@edit
def _(request, value):
    for link in value.get("link", []):
        link["url"] = "Patient?" + link["url"].partition("?")[2]


# ---- Scenarios ----

REPEATS = {"-once": 1, "-twice": 2}


def find_fault(name, endpoint):
    """(function, groups) of a fault of this endpoint; the first that fits."""
    for pattern, _, where, _, function in FAULTS:
        found = where in ("all", endpoint) and pattern.fullmatch(name)
        if found:
            return function, found.groups()
    return None


def faults_of(request):
    """The faults that this request is to see, in the order of the scenario. KeyError for one that does not exist."""
    for item in request.scenario.partition("~")[0].split(","):
        endpoint, _, name = item.partition(".")
        if item == "fine":
            continue
        suffix = next((suffix for suffix in REPEATS if name.endswith(suffix)), "")
        plain = name[:len(name) - len(suffix)]
        wheres = ENDPOINTS if endpoint == "all" else [endpoint]
        if not any(find_fault(plain, where) for where in wheres) or not set(wheres) <= set(ENDPOINTS):
            raise KeyError(item)
        mine = endpoint in ("all", request.endpoint) and find_fault(plain, request.endpoint)
        if mine and not (suffix and request.state.hit(request.scenario, item + request.endpoint) > REPEATS[suffix]):
            yield mine


def answer_to(request):
    try:
        faults = list(faults_of(request))
    except KeyError as error:
        request.problems.append(f"no such scenario: {error}")
        return Answer(599, f"no such scenario: {error}\n".encode(), "text/plain")
    if request.endpoint not in ENDPOINTS:
        return Answer(404, b"there is nothing here\n", "text/plain")
    answer = ENDPOINTS[request.endpoint](request)
    for function, groups in faults:
        answer = function(request, answer, *groups) or answer
    if request.endpoint == "token" and answer.status in (200, 201):
        remember(request, answer)
    return answer


# ---- Listeners ----

class Stream:
    """Reads requests from a connection."""

    def __init__(self, connection):
        self.connection, self.rest = connection, b""

    def more(self):
        data = self.connection.recv(65536)
        if not data:
            raise EOFError
        self.rest += data

    def until(self, end, limit):
        while end not in self.rest:
            if len(self.rest) > limit:
                raise ValueError("too long")
            self.more()
        part, _, self.rest = self.rest.partition(end)
        return part

    def exactly(self, length):
        while len(self.rest) < length:
            self.more()
        part, self.rest = self.rest[:length], self.rest[length:]
        return part

    def body(self, head):
        headers = {name.strip().lower(): value.strip()
                   for name, _, value in (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])}
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            parts = []
            while True:
                size = int(self.until(b"\r\n", 100).partition(b";")[0], 16)
                parts.append(self.exactly(size))
                self.until(b"\r\n", 1000)
                if size == 0:
                    return b"".join(parts)
        length = int(headers.get("content-length", "0"))
        if length > BODY_MAX:
            raise ValueError("too long")
        return self.exactly(length)


def serve(state, listener, connection, number):
    stream = Stream(connection)
    for request_number in itertools.count(1):
        head = stream.until(b"\r\n\r\n", HEAD_MAX)
        request = Request(state, listener, head, stream.body(head), number, request_number)
        answer = answer_to(request)
        state.log(**request.entry(answer))
        answer.send(connection)
        if answer.ends_connection() or request.header("connection", "").lower() == "close":
            if isinstance(connection, ssl.SSLSocket) and answer.says_goodbye and not answer.reset:
                connection.settimeout(1)
                connection.unwrap()
            return


def refuse_handshake(connection):
    """Closes so that the alert arrives: what is unread when a socket is closed resets the connection."""
    connection.settimeout(2)
    socket.socket.shutdown(connection, socket.SHUT_WR)
    for _ in range(100):
        if not socket.socket.recv(connection, 65536):  # past TLS
            return


def handle(state, listener, context, connection, number):
    try:
        connection.settimeout(120)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context == "silent":
            time.sleep(120)
            return
        if context:
            try:
                connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                connection.do_handshake()
            except OSError as error:
                state.log(listener=listener, connection=number, endpoint="tls",
                          problems=[str(getattr(error, "reason", None) or error)])
                refuse_handshake(connection)
                return
        serve(state, listener, connection, number)
    except (OSError, EOFError):
        pass  # the client is gone
    except Exception as error:  # a defect of this server, or a request that is not HTTP: both have to be seen
        state.log(listener=listener, connection=number, endpoint="broken", problems=[repr(error)])
        raise
    finally:
        connection.close()


def accept(state, listener, context, server, numbers):
    while True:
        connection, _ = server.accept()
        threading.Thread(target=handle, args=(state, listener, context, connection, next(numbers)), daemon=True).start()


# name, certificate, lowest and highest version of TLS, whether a client certificate is asked for, what for
LISTENERS = (
    ("main", "good", "1.2", "1.3", False, "the server"),
    ("other", "good", "1.2", "1.3", False, "another origin, the same server: nobody should come here"),
    ("expired", "expired", "1.2", "1.3", False, "its certificate has expired"),
    ("not-yet", "not-yet", "1.2", "1.3", False, "its certificate is not valid yet"),
    ("wrong-host", "wrong-host", "1.2", "1.3", False, "its certificate is for another host"),
    ("untrusted", "untrusted", "1.2", "1.3", False, "its certificate is of another CA"),
    ("self-signed", "self-signed", "1.2", "1.3", False, "its certificate is signed by itself"),
    ("incomplete", "incomplete", "1.2", "1.3", False, "it does not send the intermediate certificate"),
    ("complete", "complete", "1.2", "1.3", False, "the same, but it does"),
    ("tls11", "good", "1.1", "1.1", False, "it speaks TLS 1.1 only"),
    ("tls12", "good", "1.2", "1.2", False, "it speaks TLS 1.2 only"),
    ("client-cert", "good", "1.2", "1.3", True, "it wants a client certificate"),
    ("plain", None, None, None, False, "http without TLS"),
    ("silent", "silent", None, None, False, "it accepts a connection and never says a word"),
    ("refused", "refused", None, None, False, "nothing listens there"),
)
VERSIONS = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def tls_context(pki, certificate, lowest, highest, wants_client):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pki}/{certificate}.pem", f"{pki}/{certificate}.key")
    context.set_alpn_protocols(["http/1.1"])
    if lowest == "1.1":
        context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 has no TLS 1.1 above it
    context.minimum_version, context.maximum_version = VERSIONS[lowest], VERSIONS[highest]
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(f"{pki}/ca.pem")
    return context


def open_listener(state, pki, numbers, name, certificate, lowest, highest, wants_client):
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    context = certificate if certificate in (None, "silent", "refused") else tls_context(
        pki, certificate, lowest, highest, wants_client)
    state.urls[name] = f"{'https' if certificate else 'http'}://localhost:{server.getsockname()[1]}"
    if certificate != "refused":  # that one only keeps its port from others
        server.listen(64)
        threading.Thread(target=accept, args=(state, name, context, server, numbers), daemon=True).start()
    return server


def main(directory, pki):
    os.umask(0o077)
    state, numbers = State(directory), itertools.count(1)
    servers = [open_listener(state, pki, numbers, *row[:5]) for row in LISTENERS]
    lines = ["export FAULTS_LOG='{}'".format(os.path.join(directory, "log"))]
    for name, url in state.urls.items():
        middle = "" if name == "main" else name.upper().replace("-", "_") + "_"
        lines.append(f"export FAULTS_{middle}URL={url}")
    with open(os.path.join(directory, "exports.new"), "w", encoding="utf-8") as exports:
        exports.write("\n".join(lines) + "\n")
    os.rename(os.path.join(directory, "exports.new"), os.path.join(directory, "exports"))
    time.sleep(float(os.environ.get("SERVERS_LIFETIME_S", "900")))
    del servers


def table():
    for name, _, _, _, _, text in LISTENERS:
        middle = "" if name == "main" else name.upper().replace("-", "_") + "_"
        yield f"| `FAULTS_{middle}URL` | {text} |"
    yield ""
    for _, name, where, text, _ in FAULTS:
        yield f"| `{where}.{name}` | {text} |"


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print("\n".join(table()))
    elif len(sys.argv) == 3:
        main(*sys.argv[1:])
    else:
        sys.exit(__doc__)
