#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens and key sets of every algorithm, signed by openssl alone, so that nothing of ours signs what
ours verifies. lib/jwt.sh is the same for ES256 in shell.

  jwt.py key ALG FILE                    a private key that fits ALG
  jwt.py jwks ALG:KID:FILE...            the public halves as a key set
  jwt.py sign ALG KID FILE CLAIMS-JSON   a token; ALG none: FILE is ignored
  jwt.py sign ALG KID FILE CLAIMS-JSON HEADER-ALG   signed as ALG, its header says another
"""
import base64
import json
import subprocess
import sys

# Bytes of a coordinate, and the name by which openssl and RFC 7518 know the curve.
CURVES = {"ES256": (32, "P-256"), "ES384": (48, "P-384"), "ES512": (66, "P-521")}


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_key(alg, file):
    if alg in CURVES:
        options = ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{CURVES[alg][1]}"]
    elif alg == "EdDSA":
        options = ["-algorithm", "ED25519"]
    else:
        options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
    openssl("genpkey", *options, "-out", file)


def public_key(alg, kid, file):
    der = openssl("pkey", "-in", file, "-pubout", "-outform", "DER")
    key = {"alg": alg, "kid": kid, "use": "sig"}
    if alg in CURVES:  # the uncompressed point is the end of the key's DER
        size, curve = CURVES[alg]
        x, y = der[-2 * size : -size], der[-size:]
        return key | {"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)}
    if alg == "EdDSA":
        return key | {"kty": "OKP", "crv": "Ed25519", "x": encode(der[-32:])}
    modulus = openssl("rsa", "-in", file, "-noout", "-modulus").decode().strip().partition("=")[2]
    return key | {"kty": "RSA", "n": encode(bytes.fromhex(modulus)), "e": "AQAB"}


def side_by_side(der, size):
    """ECDSA-Sig-Value, two DER integers, as JWS wants it: r and s of one size (RFC 7518, 3.4)."""
    offset = 3 if der[1] & 0x80 else 2
    out = b""
    for _ in range(2):
        length = der[offset + 1]
        out += int.from_bytes(der[offset + 2 : offset + 2 + length], "big").to_bytes(size, "big")
        offset += 2 + length
    return out


def signature(alg, file, text):
    if alg == "none":
        return b""
    if alg == "EdDSA":  # openssl reads what it signs in one go from a file only
        with open(file + ".input", "wb") as f:
            f.write(text)
        return openssl("pkeyutl", "-sign", "-rawin", "-inkey", file, "-in", file + ".input")
    options = ["dgst", f"-sha{alg[2:]}", "-sign", file]
    if alg.startswith("PS"):
        options += ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    signed = openssl(*options, data=text)
    return side_by_side(signed, CURVES[alg][0]) if alg in CURVES else signed


def sign(alg, kid, file, claims, header_alg=None):
    header = json.dumps({"alg": header_alg or alg, "kid": kid, "typ": "JWT"})
    text = f"{encode(header.encode())}.{encode(claims.encode())}"
    return f"{text}.{encode(signature(alg, file, text.encode()))}"


def main():
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "key":
        make_key(*arguments)
    elif verb == "jwks":
        print(json.dumps({"keys": [public_key(*a.split(":", 2)) for a in arguments]}))
    elif verb == "sign":
        print(sign(*arguments))
    else:
        sys.exit(__doc__)


main()
