#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody with a stolen node token, or with a CA of their own, can say to a node's tunnel.

It shares no code with Portcullis: the frames are written by hand, TLS is Python's. Each verb prints one
line: certified, forged, opened, "refused <number>", "closed <why>", "no certificate: <why>".

  impostor.py certify ADDR:PORT NODE TOKEN-FILE TRUST-FILE DIR    asks policy-sync, as a node does
  impostor.py forge NODE TRUST-FILE DIR                           makes a CA and a certificate by it
  impostor.py hoard ADDR:PORT DIR COUNT DESTINATION-UID DESTINATION-IP PORT
                                          COUNT streams of a pod that a newer snapshot may know: how many are
                                          refused within half a second
  impostor.py occupy ADDR:PORT DIR COUNT UID ACCOUNT CLIENT-IP DESTINATION-UID DESTINATION-IP PORT
                                          COUNT streams of a pod of its own, and all kept; until it is ended
  impostor.py open ADDR:PORT DIR KIND UID NAMESPACE ACCOUNT CLIENT-IP DESTINATION-UID DESTINATION-IP PORT
"""
import ipaddress
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import time

TIMEOUT_S = 5
SCHEMA = 2  # SNAPSHOT_SCHEMA_VERSION
KINDS = {"workload": 1, "node": 2, "external": 3}
TUNNEL_HELLO, TUNNEL_OPEN, TUNNEL_OPENED, TUNNEL_REFUSED, TUNNEL_RESET = 1, 2, 3, 4, 8
SYNC_HELLO, SYNC_REFUSED, SYNC_CERTIFICATE = 1, 3, 4


def pack(value):
    """msgpack, as much of it as is needed."""
    if isinstance(value, dict):
        return bytes([0x80 | len(value)]) + b"".join(pack(k) + pack(v) for k, v in value.items())
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value) if value > 127 else bytes([value])
    if isinstance(value, str):
        return b"\xd9" + bytes([len(value)]) + value.encode()
    return b"\xc5" + struct.pack(">H", len(value)) + value


def unpack_map(data):
    """The members of a map that are bytes or text; others are passed over."""
    out, at = {}, 1
    assert data[0] & 0xF0 == 0x80
    for _ in range(data[0] & 0x0F):
        key, at = data[at], at + 1
        tag = data[at]
        if tag in (0xC4, 0xD9):
            size, at = data[at + 1], at + 2
        elif tag in (0xC5, 0xDA):
            size, at = struct.unpack(">H", data[at + 1:at + 3])[0], at + 3
        else:
            at += {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9}.get(tag, 1)
            continue
        out[key] = data[at:at + size]
        at += size
    return out


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *args], input=stdin, check=True, capture_output=True).stdout


def new_key(directory):
    os.makedirs(directory, exist_ok=True)
    path = f"{directory}/key.pem"
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    return path


def dial(where, alpn, name=None, trust=None, directory=None):
    host, port = where.rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([alpn])
    context.check_hostname = name is not None
    if trust:
        context.load_verify_locations(trust)
    else:
        context.verify_mode = ssl.CERT_NONE
    if directory:
        context.load_cert_chain(f"{directory}/chain.pem", f"{directory}/key.pem")
    raw = socket.create_connection((host, int(port)), TIMEOUT_S)
    return context.wrap_socket(raw, server_hostname=name)


def receive(s, count):
    data = b""
    while len(data) < count:
        part = s.recv(count - len(data))
        if not part:
            raise OSError("end of stream")
        data += part
    return data


def certify(where, node, token_file, trust, directory):
    key = new_key(directory)
    public = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")
    token = open(token_file, "rb").read().rstrip(b"\n")
    hello = pack({1: 1, 2: SCHEMA, 3: SCHEMA, 4: node.encode(), 5: token, 6: public})
    s = dial(where, "portcullis-sync/1", "policy-sync.portcullis", trust)
    s.sendall(struct.pack(">IB", len(hello), SYNC_HELLO) + hello)
    while True:
        size, kind = struct.unpack(">IB", receive(s, 5))
        payload = receive(s, size)
        if kind == SYNC_REFUSED:
            return f"no certificate: {unpack_map(payload)[10].decode()}"
        if kind == SYNC_CERTIFICATE:
            members = unpack_map(payload)
            open(f"{directory}/chain.pem", "wb").write(members[11])
            return "certified"


def forge(node, _, directory):
    key = new_key(directory)
    root = f"{directory}/root"
    name = f"URI:spiffe://cluster.local/node/{node}"
    new_key(root)
    openssl("req", "-x509", "-new", "-key", f"{root}/key.pem", "-subj", "/CN=Portcullis root 1",
            "-days", "1", "-out", f"{root}/chain.pem")
    request = openssl("req", "-new", "-key", key, "-subj", "/CN=portcullis node",
                      "-addext", f"subjectAltName={name}")
    open(f"{directory}/chain.pem", "wb").write(openssl(
        "x509", "-req", "-CA", f"{root}/chain.pem", "-CAkey", f"{root}/key.pem", "-CAcreateserial",
        "-days", "1", "-copy_extensions", "copyall", stdin=request))
    return "forged"


def address(text):
    a = ipaddress.ip_address(text)
    return a.packed if a.version == 6 else b"\0" * 10 + b"\xff\xff" + a.packed


def frame(kind, stream, payload):
    return struct.pack(">II", kind << 24 | len(payload), stream) + payload


def tunnel_to(where, directory):
    s = dial(where, "portcullis/1", directory=directory)
    s.sendall(frame(TUNNEL_HELLO, 0, pack({1: 1, 2: os.urandom(16), 3: 0, 4: 0, 5: 0})))
    return s


def claim(kind, uid, namespace, account, client, to_uid, to_ip, to_port, epoch=0):
    return pack({1: KINDS[kind], 2: address(client), 3: 40000, 4: uid, 5: namespace, 6: account,
                 7: to_uid, 8: address(to_ip), 9: int(to_port), 10: epoch, 11: 0})


def hoard(where, directory, count, to_uid, to_ip, to_port):
    s = tunnel_to(where, directory)
    for i in range(int(count)):
        opened = claim("workload", f"uid-unborn-{i}", "shop", "client", "10.245.1.99", to_uid, to_ip, to_port, 1 << 40)
        s.sendall(frame(TUNNEL_OPEN, 0x10001 + i, opened))
    refused, until = 0, time.monotonic() + 0.5
    try:
        while time.monotonic() < until:
            s.settimeout(max(0.01, until - time.monotonic()))
            word, _ = struct.unpack(">II", receive(s, 8))
            receive(s, word & 0xFFFFFF)
            refused += word >> 24 in (TUNNEL_REFUSED, TUNNEL_RESET)
    except TimeoutError:
        pass
    return refused


def drain(s):
    s.setblocking(False)
    try:
        while s.recv(65536):
            pass
        raise OSError("end of stream")
    except ssl.SSLWantReadError:
        s.settimeout(TIMEOUT_S)


def occupy(where, directory, count, uid, account, client, to_uid, to_ip, to_port):
    s = tunnel_to(where, directory)
    opened = claim("workload", uid, "shop", account, client, to_uid, to_ip, to_port)
    for i in range(int(count)):
        s.sendall(frame(TUNNEL_OPEN, 0x10001 + i, opened))
        if i % 100 == 0:
            drain(s)
            time.sleep(0.003)  # fewer a second than the receiver allows
    print("open", count, flush=True)
    while True:
        drain(s)
        time.sleep(0.05)


def open_stream(where, directory, *what):
    s = tunnel_to(where, directory)
    s.sendall(frame(TUNNEL_OPEN, 0x10001, claim(*what)))
    while True:
        word, _ = struct.unpack(">II", receive(s, 8))
        payload = receive(s, word & 0xFFFFFF)
        if word >> 24 == TUNNEL_OPENED:
            return "opened"
        if word >> 24 in (TUNNEL_REFUSED, TUNNEL_RESET):
            return f"refused {struct.unpack('>H', payload[:2])[0]}"


def main():
    verb = {"certify": certify, "forge": forge, "open": open_stream, "hoard": hoard, "occupy": occupy}[sys.argv[1]]
    try:
        print(verb(*sys.argv[2:]))
    except OSError as e:
        print(f"closed {re.sub(r'[^a-zA-Z0-9 ]+', ' ', str(e)).strip()}")


main()
