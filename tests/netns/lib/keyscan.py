#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a node's private key lies; for 80_observability.sh. Needs root.

keyscan.py find PID PEM          the P-256 scalar (hex) in the memory of PID whose public key is PEM's
keyscan.py memory PID HEX        where it lies there, one line a place: mapping, its flags
keyscan.py files HEX FILE...     the files that hold it, in any of its spellings
"""
import base64
import re
import subprocess
import sys

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
A = P - 3
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)


def add(p, q):
    if p is None or q is None:
        return q if p is None else p
    if p[0] == q[0]:
        if (p[1] + q[1]) % P == 0:
            return None
        m = (3 * p[0] * p[0] + A) * pow(2 * p[1], -1, P)
    else:
        m = (q[1] - p[1]) * pow(q[0] - p[0], -1, P)
    x = (m * m - p[0] - q[0]) % P
    return x, (m * (p[0] - x) - p[1]) % P


def multiply(d):
    result, base = None, G
    while d:
        if d & 1:
            result = add(result, base)
        base = add(base, base)
        d >>= 1
    return result


def mappings(pid):
    """(start, end, name, flags) of what is readable and private."""
    current = None
    for line in open(f"/proc/{pid}/smaps"):
        if m := re.match(r"([0-9a-f]+)-([0-9a-f]+) r.(.). \S+ \S+ \S+ *(.*)", line):
            current = (int(m[1], 16), int(m[2], 16), m[4].strip() or "anonymous")
        elif line[0] not in "0123456789abcdef" and line.startswith("VmFlags:") and current:
            yield (*current, line.split(":")[1].split())
            current = None


def regions(pid):
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for start, end, name, flags in mappings(pid):
            if name.startswith("[v"):
                continue
            try:
                mem.seek(start)
                yield name, flags, mem.read(end - start)
            except OSError:
                continue


def public_point(pem):
    der = subprocess.run(["openssl", "pkey", "-pubin", "-in", pem, "-outform", "DER"], check=True,
                         capture_output=True).stdout
    return int.from_bytes(der[-64:-32], "big"), int.from_bytes(der[-32:], "big")


def find(pid, pem):
    point = public_point(pem)
    for _, _, data in regions(pid):
        for m in re.finditer(rb"\x02\x01\x01\x04\x20", data):
            scalar = data[m.end():m.end() + 32]
            if len(scalar) == 32 and multiply(int.from_bytes(scalar, "big")) == point:
                print(scalar.hex())
                return 0
    return 1


def spellings(scalar):
    raw = bytes.fromhex(scalar)
    whole = base64.b64encode(raw)
    return [raw, raw[::-1], scalar.encode(), scalar.upper().encode(), whole[:40],
            base64.urlsafe_b64encode(raw)[:40],
            # Base64 of a longer text has it at another place of its groups of three.
            base64.b64encode(b"\0" + raw)[4:40], base64.b64encode(b"\0\0" + raw)[4:40]]


def memory(pid, scalar):
    for name, flags, data in regions(pid):
        for s in spellings(scalar)[:4]:
            for _ in range(data.count(s)):
                print(name, " ".join(flags))


def files(scalar, names):
    for name in names:
        try:
            data = open(name, "rb").read()
        except OSError:
            continue
        if any(s in data for s in spellings(scalar)):
            print(name)


if __name__ == "__main__":
    verb = sys.argv[1]
    if verb == "find":
        sys.exit(find(sys.argv[2], sys.argv[3]))
    elif verb == "memory":
        memory(sys.argv[2], sys.argv[3])
    else:
        files(sys.argv[2], sys.argv[3:])
