#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes jws_vectors.inc: public keys and signed tokens for the tests of io/crypto, core/jwt and decide.

The RFC's examples (RFC 7515 A.2-A.4, RFC 7520 4.1-4.3, RFC 8037 A.4) are copied here and checked while
they are written. The others are signed with keys that are made anew on each run and thrown away. Needs
python3-cryptography; run it only to add a vector:  ./jws_vectors.py > jws_vectors.inc
"""
import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, utils

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVES = {"P-256": (ec.SECP256R1(), 32), "P-384": (ec.SECP384R1(), 48), "P-521": (ec.SECP521R1(), 66)}
CURVE_OF = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
# 2033-05-18, the instant that the tests call now is 1,700,000,000 (2023-11-14).
LATER = 2_000_000_000


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def integer(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


class Key:
    def __init__(self, private, kid="", crv=""):
        self.private, self.kid, self.crv = private, kid, crv

    def jwk(self):
        if isinstance(self.private, rsa.RSAPrivateKey):
            n = self.private.public_key().public_numbers()
            return dict(type="JWK_RSA", kid=self.kid, n=integer(n.n), e=integer(n.e))
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            n = self.private.public_key().public_numbers()
            size = CURVES[self.crv][1]
            return dict(type="JWK_EC", kid=self.kid, crv=self.crv, x=integer(n.x, size), y=integer(n.y, size))
        return dict(type="JWK_OKP", kid=self.kid, crv=self.crv,
                    x=b64(self.private.public_key().public_bytes_raw()))

    def sign(self, alg, data, salt=None):
        h = HASHES.get(alg[2:])
        if alg.startswith("RS"):
            return self.private.sign(data, padding.PKCS1v15(), h)
        if alg.startswith("PS"):
            salt = h.digest_size if salt is None else salt
            return self.private.sign(data, padding.PSS(mgf=padding.MGF1(h), salt_length=salt), h)
        if alg.startswith("ES"):
            r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(h)))
            size = CURVES[self.crv][1]
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        return self.private.sign(data)


def rsa_key(kid="", bits=2048, e=65537):
    return Key(rsa.generate_private_key(e, bits), kid)


def ec_key(crv, kid=""):
    return Key(ec.generate_private_key(CURVES[crv][0]), kid, crv)


def compact(key, alg, claims, kid=None, header=None, salt=None):
    h = header if header is not None else dict(alg=alg, typ="JWT", **({"kid": kid} if kid else {}))
    text = b64(json.dumps(h).encode()) + "." + b64(json.dumps(claims).encode())
    return text + "." + b64(key.sign(alg, text.encode(), salt=salt))


# ---- the RFCs -----------------------------------------------------------------------------------------

JOE = ("eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
       "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ")
A2_N = ("ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL"
        "-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-"
        "KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h"
        "9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ")
A2_SIGNATURE = bytes([
    112, 46, 33, 137, 67, 232, 143, 209, 30, 181, 216, 45, 191, 120, 69, 243, 65, 6, 174, 27, 129, 255, 247, 115,
    17, 22, 173, 209, 113, 125, 131, 101, 109, 66, 10, 253, 60, 150, 238, 221, 115, 162, 102, 62, 81, 102, 104,
    123, 0, 11, 135, 34, 110, 1, 135, 237, 16, 115, 249, 69, 229, 130, 173, 252, 239, 22, 216, 90, 121, 142, 232,
    198, 109, 219, 61, 184, 151, 91, 23, 208, 148, 2, 190, 237, 213, 217, 217, 112, 7, 16, 141, 178, 129, 96, 213,
    248, 4, 12, 167, 68, 87, 98, 184, 31, 190, 127, 249, 217, 46, 10, 231, 111, 36, 242, 91, 51, 187, 230, 244,
    74, 230, 30, 177, 4, 10, 203, 32, 4, 77, 62, 249, 18, 142, 212, 1, 48, 121, 91, 212, 189, 59, 65, 238, 202,
    208, 102, 171, 101, 25, 129, 253, 228, 141, 247, 127, 55, 45, 195, 139, 159, 175, 221, 59, 239, 177, 139, 93,
    163, 204, 60, 46, 176, 47, 158, 58, 65, 214, 18, 202, 173, 21, 145, 18, 115, 160, 95, 35, 185, 232, 56, 250,
    175, 132, 157, 105, 132, 41, 239, 90, 30, 136, 121, 130, 54, 195, 212, 14, 96, 69, 34, 165, 68, 200, 242, 122,
    122, 45, 184, 6, 99, 209, 108, 247, 202, 234, 86, 222, 64, 92, 178, 33, 90, 69, 178, 194, 85, 102, 181, 90,
    193, 167, 72, 160, 112, 223, 200, 163, 42, 70, 149, 67, 208, 25, 238, 251, 71])
A3_SIGNATURE = bytes([
    14, 209, 33, 83, 121, 99, 108, 72, 60, 47, 127, 21, 88, 7, 212, 2, 163, 178, 40, 3, 58, 249, 124, 126, 23,
    129, 154, 195, 22, 158, 166, 101, 197, 10, 7, 211, 140, 60, 112, 229, 216, 241, 45, 175, 8, 74, 84, 128, 166,
    101, 144, 197, 242, 147, 80, 154, 143, 63, 127, 138, 131, 163, 84, 213])
A4_SIGNATURE = bytes([
    1, 220, 12, 129, 231, 171, 194, 209, 232, 135, 233, 117, 247, 105, 122, 210, 26, 125, 192, 1, 217, 21, 82, 91,
    45, 240, 255, 83, 19, 34, 239, 71, 48, 157, 147, 152, 105, 18, 53, 108, 163, 214, 68, 231, 62, 153, 150, 106,
    194, 164, 246, 72, 143, 138, 24, 50, 129, 223, 133, 206, 209, 172, 63, 237, 119, 109, 0, 111, 6, 105, 44, 5,
    41, 208, 128, 61, 152, 40, 92, 61, 152, 4, 150, 66, 60, 69, 247, 196, 170, 81, 193, 199, 78, 59, 194, 169, 16,
    124, 9, 143, 42, 142, 131, 48, 206, 238, 34, 175, 83, 203, 220, 159, 3, 107, 155, 22, 27, 73, 111, 68, 68, 21,
    238, 144, 229, 232, 148, 188, 222, 59, 242, 103])
BILBO = "bilbo.baggins@hobbiton.example"
BILBO_RSA = dict(type="JWK_RSA", kid=BILBO, e="AQAB", n=(
    "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2"
    "wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9"
    "bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUk"
    "Rz5iaiQkqgc5gHdrNP5zw"))
BILBO_EC = dict(type="JWK_EC", kid=BILBO, crv="P-521",
                x="AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
                y="AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1")
FRODO = ("SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9h"
         "ZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3"
         "ZXB0IG9mZiB0by4")
RFC = [
    ("RFC 7515 A.2", "JWT_RS256", dict(type="JWK_RSA", n=A2_N, e="AQAB"),
     "eyJhbGciOiJSUzI1NiJ9." + JOE + "." + b64(A2_SIGNATURE)),
    ("RFC 7515 A.3", "JWT_ES256",
     dict(type="JWK_EC", crv="P-256", x="f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
          y="x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
     "eyJhbGciOiJFUzI1NiJ9." + JOE + "." + b64(A3_SIGNATURE)),
    ("RFC 7515 A.4", "JWT_ES512",
     dict(type="JWK_EC", crv="P-521",
          x="AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
          y="ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"),
     "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA." + b64(A4_SIGNATURE)),
    ("RFC 7520 4.1", "JWT_RS256", BILBO_RSA,
     "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." + FRODO +
     ".MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BD"
     "koBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9Uz"
     "pERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84og"
     "oree7vjbU5y18kDquDg"),
    ("RFC 7520 4.2", "JWT_PS384", BILBO_RSA,
     "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." + FRODO +
     ".cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1O"
     "LPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9sh"
     "nr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ"
     "6oD4ifKo8DYM-X72Eaw"),
    ("RFC 7520 4.3", "JWT_ES512", BILBO_EC,
     "eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9." + FRODO +
     ".AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjn"
     "AMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"),
    ("RFC 8037 A.4", "JWT_EDDSA",
     dict(type="JWK_OKP", crv="Ed25519", x="11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
]

# ---- made here ----------------------------------------------------------------------------------------

CLAIMS = dict(iss="https://issuer.example", sub="alice", aud=["shop", "bank"], exp=LATER, nbf=1_600_000_000,
              scope="read write", groups=["dev", "ops"], level=3, admin=True,
              nested={"team": {"name": "core"}},
              **{"https://example.com/roles": ["owner"], "kubernetes.io": {"namespace": "shop"}})


def algorithms():
    rsa2048, rsa4096 = rsa_key(), rsa_key(bits=4096)
    keys = {"RS256": rsa2048, "RS384": rsa4096, "RS512": rsa2048, "PS256": rsa4096, "PS384": rsa2048,
            "PS512": rsa2048, "ES256": ec_key("P-256"), "ES384": ec_key("P-384"), "ES512": ec_key("P-521"),
            "EdDSA": Key(ed25519.Ed25519PrivateKey.generate(), crv="Ed25519")}
    for alg, key in keys.items():
        yield alg, "JWT_" + alg.upper(), key.jwk(), compact(key, alg, CLAIMS)
    small_e = rsa_key(e=3)
    yield "RS256 exponent 3", "JWT_RS256", small_e.jwk(), compact(small_e, "RS256", CLAIMS)


def refused():
    """(name, alg, key, token, what crypto_verify_jws says)"""
    weak, good = rsa_key(bits=1024), rsa_key()
    one = good.jwk()
    one["e"] = "AQ"
    yield "RSA 1024", "JWT_RS256", weak.jwk(), compact(weak, "RS256", CLAIMS), "ERR_UNSUPPORTED"
    yield "RSA exponent 1", "JWT_RS256", one, compact(good, "RS256", CLAIMS), "ERR_UNSUPPORTED"
    even = dict(good.jwk(), e="AQAA")
    yield "RSA exponent even", "JWT_RS256", even, compact(good, "RS256", CLAIMS), "ERR_UNSUPPORTED"
    huge = dict(good.jwk(), e=b64(b"\x01" * 64))
    yield "RSA exponent of 512 bits", "JWT_RS256", huge, compact(good, "RS256", CLAIMS), "ERR_UNSUPPORTED"
    yield "PSS without salt", "JWT_PS256", good.jwk(), compact(good, "PS256", CLAIMS, salt=0), "ERR_SIGNATURE"
    yield "PSS with a longer salt", "JWT_PS256", good.jwk(), compact(good, "PS256", CLAIMS, salt=100), "ERR_SIGNATURE"
    yield "PS256 read as RS256", "JWT_RS256", good.jwk(), compact(good, "PS256", CLAIMS), "ERR_SIGNATURE"
    yield "RS256 read as PS256", "JWT_PS256", good.jwk(), compact(good, "RS256", CLAIMS), "ERR_SIGNATURE"
    yield "RS384 read as RS256", "JWT_RS256", good.jwk(), compact(good, "RS384", CLAIMS), "ERR_SIGNATURE"
    point = ec_key("P-256")
    text = compact(point, "ES256", CLAIMS)
    body = text.rsplit(".", 1)[0]
    n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
    for name, r, s in (("0, 0", 0, 0), ("0, 1", 0, 1), ("1, 0", 1, 0), ("n, n", n, n), ("n, 1", n, 1), ("1, n", 1, n)):
        raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        yield "ES256 (r, s) = (%s)" % name, "JWT_ES256", point.jwk(), body + "." + b64(raw), "ERR_SIGNATURE"
    der = point.private.sign(body.encode(), ec.ECDSA(hashes.SHA256()))
    yield "ES256 as DER", "JWT_ES256", point.jwk(), body + "." + b64(der), "ERR_SIGNATURE"
    off = dict(point.jwk(), y=integer((point.private.public_key().public_numbers().y + 1) % (1 << 256), 32))
    yield "P-256 point off the curve", "JWT_ES256", off, text, "ERR_UNSUPPORTED"
    zero = dict(point.jwk(), x=b64(bytes(32)), y=b64(bytes(32)))
    yield "P-256 point zero", "JWT_ES256", zero, text, "ERR_UNSUPPORTED"
    short = dict(point.jwk(), x=b64(unb64(point.jwk()["x"])[1:]))
    yield "P-256 coordinate too short", "JWT_ES256", short, text, "ERR_UNSUPPORTED"
    yield "P-384 key for ES256", "JWT_ES256", ec_key("P-384").jwk(), text, "ERR_UNSUPPORTED"
    yield "RSA key for ES256", "JWT_ES256", good.jwk(), text, "ERR_UNSUPPORTED"
    okp = Key(ed25519.Ed25519PrivateKey.generate(), crv="Ed25519")
    yield "Ed25519 all zero", "JWT_EDDSA", okp.jwk(), body + "." + b64(bytes(64)), "ERR_SIGNATURE"
    # s + L: the same signature once more unless s < L is asked (RFC 8032 5.1.7).
    signed = okp.private.sign(body.encode())
    order = (1 << 252) + 27742317777372353535851937790883648493
    high = signed[:32] + (int.from_bytes(signed[32:], "little") + order).to_bytes(32, "little")
    yield "Ed25519 malleable", "JWT_EDDSA", okp.jwk(), body + "." + b64(high), "ERR_SIGNATURE"
    goldilocks = Key(ed448.Ed448PrivateKey.generate(), crv="Ed448")
    yield "Ed448", "JWT_EDDSA", goldilocks.jwk(), compact(goldilocks, "EdDSA", CLAIMS), "ED448_VERDICT"


def decisions():
    """Keys and tokens for decide: issuer A has k1 (ES256), k2 (RS256), k3 (EdDSA, no kid)."""
    k1, k2 = ec_key("P-256", "k1"), rsa_key("k2")
    k3 = Key(ed25519.Ed25519PrivateKey.generate(), crv="Ed25519")
    other, stranger = ec_key("P-256", "b1"), ec_key("P-256", "k1")
    keys = [("KEY_ES256", k1.jwk()), ("KEY_RS256", k2.jwk()), ("KEY_EDDSA", k3.jwk()), ("KEY_OTHER", other.jwk())]

    def claims(**changes):
        c = dict(CLAIMS, **changes)
        return {k: v for k, v in c.items() if v is not None}

    t = {
        "GOOD": compact(k1, "ES256", CLAIMS, "k1"),
        "GOOD_RS256": compact(k2, "RS256", CLAIMS, "k2"),
        "GOOD_EDDSA": compact(k3, "EdDSA", CLAIMS),
        "GOOD_NO_KID": compact(k1, "ES256", CLAIMS),
        "GOOD_BOB": compact(k1, "ES256", claims(sub="bob", groups=["guests"], scope=None, scp=["read"]), "k1"),
        "GOOD_NO_EXP": compact(k1, "ES256", claims(exp=None, nbf=None), "k1"),
        "GOOD_LARGE": compact(k1, "ES256", claims(groups=["group-%04d" % i for i in range(600)]), "k1"),
        "EXPIRED": compact(k1, "ES256", claims(exp=1_699_999_000), "k1"),
        "EXPIRED_JUST": compact(k1, "ES256", claims(exp=1_699_999_970), "k1"),
        "EARLY": compact(k1, "ES256", claims(nbf=1_700_001_000), "k1"),
        "ISSUER": compact(k1, "ES256", claims(iss="https://evil.example"), "k1"),
        "NO_ISSUER": compact(k1, "ES256", claims(iss=None), "k1"),
        "AUDIENCE": compact(k1, "ES256", claims(aud="mall"), "k1"),
        "NO_AUDIENCE": compact(k1, "ES256", claims(aud=None), "k1"),
        "STRANGER": compact(stranger, "ES256", CLAIMS, "k1"),
        "STRANGER_KID": compact(stranger, "ES256", CLAIMS, "k9"),
        "CRIT": compact(k1, "ES256", CLAIMS, header=dict(alg="ES256", kid="k1", crit=["exp"], exp=1)),
        "OTHER": compact(other, "ES256", claims(iss="https://other.example", sub="carol"), "b1"),
    }
    body = b64(b'{"alg":"none"}') + "." + b64(json.dumps(CLAIMS).encode())
    t["NONE"] = body + "."
    # The old confusion: the public key taken for a shared secret.
    body = b64(b'{"alg":"HS256","kid":"k2"}') + "." + b64(json.dumps(CLAIMS).encode())
    secret = unb64(k2.jwk()["n"])
    t["HS256"] = body + "." + b64(hmac.new(secret, body.encode(), hashlib.sha256).digest())
    return keys, t


# ---- writing ------------------------------------------------------------------------------------------

def check(alg, jwk, token):
    signed, signature = token.rsplit(".", 1)
    signed, signature, h = signed.encode(), unb64(signature), HASHES.get(alg[6:])
    value = lambda name: int.from_bytes(unb64(jwk[name]), "big")
    if jwk["type"] == "JWK_RSA":
        key = rsa.RSAPublicNumbers(value("e"), value("n")).public_key()
        pad = padding.PKCS1v15() if "RS" in alg else padding.PSS(padding.MGF1(h), h.digest_size)
        key.verify(signature, signed, pad, h)
    elif jwk["type"] == "JWK_EC":
        half = len(signature) // 2
        der = utils.encode_dss_signature(int.from_bytes(signature[:half], "big"),
                                         int.from_bytes(signature[half:], "big"))
        curve = CURVES[jwk["crv"]][0]
        ec.EllipticCurvePublicNumbers(value("x"), value("y"), curve).public_key().verify(der, signed, ec.ECDSA(h))
    else:
        ed25519.Ed25519PublicKey.from_public_bytes(unb64(jwk["x"])).verify(signature, signed)


def quoted(text):
    lines = [text[i:i + 80] for i in range(0, len(text), 80)] or [""]
    return "\n\t\t".join('"%s"' % line for line in lines)


def key_text(jwk):
    fields = ["\n\t\t.%s = %s" % (k, v if k == "type" else quoted(v)) for k, v in jwk.items() if v]
    return "{" + ",".join(fields) + "}"


def main():
    print("// SPDX-License-Identifier: GPL-3.0-or-later")
    print("// Written by jws_vectors.py. Public keys and signed tokens; no private key is kept.")
    print("// clang-format off\n")
    print("static const struct jws_vector jws_good[] = {")
    for name, alg, jwk, token in RFC + list(algorithms()):
        check(alg, jwk, token)
        print('\t{"%s", %s, ERR_OK, %s,\n\t\t%s},' % (name, alg, key_text(jwk), quoted(token)))
    print("};\n\nstatic const struct jws_vector jws_refused[] = {")
    for name, alg, jwk, token, verdict in refused():
        print('\t{"%s", %s, %s, %s,\n\t\t%s},' % (name, alg, verdict, key_text(jwk), quoted(token)))
    print("};\n")
    keys, tokens = decisions()
    for name, jwk in keys:
        print("static const struct jwk_text %s = %s;" % (name, key_text(jwk)))
    print()
    for name, token in tokens.items():
        print("#define TOKEN_%s \\\n\t\t%s" % (name, quoted(token).replace("\n", " \\\n")))


main()
