"""Client assertions in Python: PyKCS11 behind an algorithm of PyJWT's.
   python3 peer.py MODULE TOKEN-LABEL PIN-FILE KEY-LABEL ALG once|serve"""
import hashlib
import sys
import time
import uuid

import jwt
import PyKCS11
from jwt.algorithms import Algorithm

module, token_label, pin_file, key_label, alg, mode = sys.argv[1:]
lib = PyKCS11.PyKCS11Lib()
lib.load(module)
slot = next(s for s in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(s).label.strip() == token_label)
session = lib.openSession(slot)
session.login(open(pin_file, encoding="utf-8").read().strip())
key = session.findObjects([(PyKCS11.CKA_CLASS, PyKCS11.CKO_PRIVATE_KEY), (PyKCS11.CKA_LABEL, key_label)])[0]
mechanism = PyKCS11.Mechanism(PyKCS11.CKM_ECDSA if alg == "ES384" else PyKCS11.CKM_SHA384_RSA_PKCS, None)


class TokenAlgorithm(Algorithm):
    """PyJWT's seam for a signer of one's own."""

    def prepare_key(self, key):
        return key

    def sign(self, msg, key):
        data = hashlib.sha384(msg).digest() if alg == "ES384" else msg
        return bytes(session.sign(key, data, mechanism))

    def verify(self, msg, key, sig):
        raise NotImplementedError

    @staticmethod
    def to_jwk(key_obj):
        raise NotImplementedError

    @staticmethod
    def from_jwk(jwk):
        raise NotImplementedError


jws = jwt.PyJWT()
jwt.unregister_algorithm(alg)
jwt.register_algorithm(alg, TokenAlgorithm())
CLIENT = "8d5f6a1e-0000-4000-8000-0123456789ab"


def assertion():
    now = int(time.time())
    claims = {"iss": CLIENT, "sub": CLIENT, "aud": "https://ehr.example/oauth2/token", "exp": now + 240, "iat": now,
              "jti": str(uuid.uuid4())}
    return jwt.encode(claims, key, algorithm=alg, headers={"kid": "0123456789abcdefghij"})


if mode == "once":
    print(assertion())
else:
    assertion()
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.monotonic_ns()
        end = began + int(line.split()[1]) * 1000000
        count = 0
        while time.monotonic_ns() < end:
            assertion()
            count += 1
        print(count, time.monotonic_ns() - began, flush=True)
