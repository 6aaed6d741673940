"""What the scripts of this directory share: a sandbox of their own, requests without a library in between, keys and
assertions made by python3-jwt and python3-cryptography, and TAP."""
import base64
import copy
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

try:
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
except ImportError as missing:
    print(f"needs python3-jwt and python3-cryptography: {missing}")
    sys.exit(77)

BIN = os.environ.get("HSMART_BIN", "build/ci-gcc/bin")
SOURCE = pathlib.Path(os.environ.get("HSMART_SOURCE", "."))
PROGRAM = os.path.join(BIN, "hsmart-sandbox")
URN = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
START_S = 30  # sanitizers on a machine that is busy


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# ---- TAP ----

class Tap:
    def __init__(self):
        self.number = self.failed = 0

    def ok(self, name, good, *details):
        self.number += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.number} - {name}", flush=True)
        for detail in details if not good else ():
            print("  " + str(detail)[:600].replace("\n", "\n  "), flush=True)
        return good

    def equal(self, name, got, wanted):
        return self.ok(name, got == wanted, f"got    {got!r}", f"wanted {wanted!r}")

    def skip(self, name, why):
        self.number += 1
        print(f"ok {self.number} - {name} # SKIP {why}", flush=True)

    def finish(self):
        print(f"1..{self.number}")
        return self.failed > 0


# ---- Keys and assertions ----

class Key:
    """A key pair in memory, for tests only."""

    def __init__(self, alg, kid=None, bits=2048):
        self.alg, self.kid = alg, kid or str(uuid.uuid4())
        if alg.startswith("ES"):
            self.private = ec.generate_private_key({"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}[alg]())
        else:
            self.private = rsa.generate_private_key(65537, bits)

    def with_alg(self, alg):
        """The same key, signing by another algorithm."""
        other = copy.copy(self)
        other.alg = alg
        return other

    def jwk(self, **members):
        numbers = self.private.public_key().public_numbers()
        key = {"kid": self.kid, "use": "sig", "alg": self.alg}
        if self.alg.startswith("ES"):
            size = (self.private.curve.key_size + 7) // 8
            key |= {"kty": "EC", "crv": {32: "P-256", 48: "P-384", 66: "P-521"}[size],
                    "x": b64(numbers.x.to_bytes(size, "big")), "y": b64(numbers.y.to_bytes(size, "big"))}
        else:
            key |= {"kty": "RSA", "e": b64(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")),
                    "n": b64(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big"))}
        return {name: value for name, value in (key | members).items() if value is not None}

    def assertion(self, client_id, aud, header=None, now=None, **claims):
        """Claims and header members are replaced by those given; None takes one away."""
        now = int(time.time()) if now is None else now
        payload = {"iss": client_id, "sub": client_id, "aud": aud, "iat": now, "exp": now + 240, "jti": str(uuid.uuid4())}
        payload = {name: value for name, value in (payload | claims).items() if value is not None}
        head = {"typ": "JWT", "kid": self.kid, "alg": self.alg}
        head = {name: value for name, value in (head | (header or {})).items() if value is not None}
        signing_input = b64(json.dumps(head).encode()) + "." + b64(json.dumps(payload).encode())
        return signing_input + "." + b64(self.sign(signing_input.encode()))

    def sign(self, data):
        algorithm = jwt.get_algorithm_by_name(self.alg) if hasattr(jwt, "get_algorithm_by_name") else \
            jwt.algorithms.get_default_algorithms()[self.alg]
        return algorithm.sign(data, self.private)


def jwks(*keys):
    return {"keys": [key.jwk() for key in keys]}


# ---- Answers and requests ----

class Answer:
    def __init__(self, response, body):
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Sandbox:
    """One hsmart-sandbox, ended at the end of the with-block."""

    def __init__(self, *options, http=False, quiet=False):
        self.work = tempfile.mkdtemp(prefix="sandbox-test-")
        self.options, self.http, self.quiet = list(options), http, quiet

    def __enter__(self):
        self.ready_file = os.path.join(self.work, "ready.json")
        command = [PROGRAM, "--ready-file", self.ready_file, "--lifetime", "280", *(["--http"] if self.http else []),
                   *self.options]
        self.log = open(os.path.join(self.work, "log"), "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + START_S
        while not os.path.exists(self.ready_file):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                self.process.wait()
                told = self.log_text()[:2000]
                shutil.rmtree(self.work, ignore_errors=True)
                raise RuntimeError(f"the sandbox did not start: {told}")
            time.sleep(0.02)
        with open(self.ready_file, encoding="utf-8") as file:
            self.ready = json.load(file)
        self.origin, self.port = self.ready["origin"], self.ready["port"]
        self.token_url, self.ca = self.ready["token_endpoint"], self.ready["ca_file"]
        return self

    def __exit__(self, *exception):
        self.status = self.end()
        shutil.rmtree(self.work, ignore_errors=True)

    def end(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def log_text(self):
        return pathlib.Path(self.work, "log").read_text(encoding="utf-8", errors="replace")

    def context(self):
        return ssl.create_default_context(cafile=self.ca)

    def connect(self, timeout=60):
        if self.http:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context())

    def request(self, method, path, body=None, headers=None, timeout=60):
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, access_token=None, **headers):
        if access_token:
            headers["Authorization"] = f"Bearer {access_token}"
        return self.request("GET", path, headers={"Accept": "application/fhir+json", **headers})

    def admin(self, method, path, **form):
        answer = self.request(method, "/admin/" + path, urllib.parse.urlencode(form) if form else None)
        assert answer.status == 200, answer
        return answer

    def fault(self, name):
        self.admin("POST", "faults", fault=name)

    def register(self, **metadata):
        """RFC 7591; the client id."""
        answer = self.request("POST", "/auth/register", json.dumps({
            "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"],
            "response_types": [], **metadata}), {"Content-Type": "application/json"})
        assert answer.status == 201, answer
        return answer.json["client_id"]

    def form(self, parameters, **headers):
        return self.request("POST", "/auth/token", urllib.parse.urlencode(parameters),
                            {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", **headers})

    def ask(self, assertion, scope="system/*.rs", **parameters):
        """A token request as it should be, but for what is given."""
        form = {"grant_type": "client_credentials", "client_assertion_type": URN, "client_assertion": assertion,
                "scope": scope, **parameters}
        return self.form({name: value for name, value in form.items() if value is not None})

    def access_token(self, key, client_id, scope="system/*.rs"):
        answer = self.ask(key.assertion(client_id, self.token_url), scope)
        assert answer.status == 200, answer
        return answer.json["access_token"]


# ---- Our own client ----

class OwnClient:
    """hsmart on a SoftHSM2 token of its own with an RSA and an EC key; the clients "rsa" and "ec" of its configuration are for
    this sandbox."""

    def __init__(self, box):
        self.box = box
        if shutil.which("softhsm2-util") is None:
            print("needs SoftHSM2 (package softhsm2)")
            sys.exit(77)

    def __enter__(self):
        self.work = tempfile.mkdtemp(prefix="own-client-")
        try:
            self.make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def make(self):
        made = subprocess.run([SOURCE / "softhsm-config/make-token", os.path.join(self.work, "token"), "own-client"],
                              capture_output=True, text=True, check=True)
        exports = dict(line.removeprefix("export ").split("=", 1) for line in made.stdout.splitlines())
        self.environment = os.environ | {name: value.strip("'\"") for name, value in exports.items()}
        directory = os.path.dirname(self.environment["SOFTHSM2_CONF"])
        self.config = os.path.join(directory, "hsmart.conf")
        self.environment["XDG_STATE_HOME"] = self.environment["HOME"] = self.work
        with open(self.config, "a", encoding="utf-8") as file:
            for name in "rsa", "ec":
                file.write(f"""
key "{name}" {{
    token = "dev"
    uri   = "pkcs11:object={name}"
}}
client "{name}" {{
    fhir-base         = "{self.box.ready["fhir_base"]}"
    ca-file           = "{self.box.ca}"
    key               = "{name}"
    scope             = "system/Patient.rs system/Observation.rs"
    registration-file = "{directory}/{name}.json"
    cache-directory   = "{directory}/cache"
}}
""")
        self.must("hsmart-key", "token", "init", "--label", "own-client", "--so-pin-source", f"file:{directory}/so-pin")
        for label, alg in ("rsa", "RS384"), ("ec", "ES384"):
            self.must("hsmart-key", "generate", "--alg", alg, "--label", label)

    def __exit__(self, *exception):
        shutil.rmtree(self.work, ignore_errors=True)

    def run(self, program, *arguments):
        return subprocess.run([os.path.join(BIN, program), *arguments, "--config", self.config], capture_output=True, text=True,
                              env=self.environment, stdin=subprocess.DEVNULL, timeout=120, check=False)

    def must(self, program, *arguments):
        done = self.run(program, *arguments)
        assert done.returncode == 0, (program, arguments, done.stderr)

    def hsmart(self, *arguments):
        return self.run("hsmart", *arguments)

    def register(self, name):
        self.must("hsmart", "register", "--client", name)
