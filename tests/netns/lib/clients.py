#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that a command line cannot be, on the standard library alone; one JSON line says what came.

  clients.py burst HOST PORT PATH COUNT   COUNT open connections; when a line is read, one request on
                                          each, all at once; statuses counted
  clients.py watch HOST PORT PATH         asks every 5 ms, on a connection that stays and on new ones,
                                          until a line is read; when each answer was asked for
  clients.py hold HOST PORT               a connection to a server that greets; it stays; when it was cut
  clients.py websocket HOST PORT PATH     RFC 6455: handshake, messages of every length form, ping, close
  clients.py raw HOST PORT                sends stdin as it is, half-closes, prints what comes back
"""
import base64
import collections
import hashlib
import json
import os
import select
import socket
import struct
import sys
import time

TIMEOUT_S = 10
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def dial(host, port):
    c = socket.create_connection((host, int(port)), TIMEOUT_S)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return c


def head_of(host, path, extra=""):
    name = f"[{host}]" if ":" in host else host
    return f"GET {path} HTTP/1.1\r\nHost: {name}\r\n{extra}\r\n".encode()


def read_answer(c):
    """One response with Content-Length: (status, headers, body); None: closed before it was whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = c.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    while len(body) < int(headers.get("content-length", 0)):
        part = c.recv(65536)
        if not part:
            return None
        body += part
    return int(lines[0].split()[1]), headers, body


def ask(c, host, path):
    try:
        c.sendall(head_of(host, path))
        answer = read_answer(c)
        return answer[0] if answer else "closed"
    except ConnectionResetError:
        return "reset"
    except OSError as e:
        return type(e).__name__


def say(what):
    print(json.dumps(what), flush=True)


def burst(host, port, path, count):
    connections = [dial(host, port) for _ in range(int(count))]
    say("open")
    sys.stdin.readline()
    for c in connections:
        c.sendall(head_of(host, path))
    statuses = collections.Counter()
    for c in connections:
        answer = read_answer(c)
        statuses[str(answer[0] if answer else "closed")] += 1
    say(statuses)


def stdin_spoke():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def watch(host, port, path):
    """[microseconds since 1970 when it was asked, answer, "kept" or "new"] for each change of answer,
    and for the last time that the answer before was given."""
    kept, seen, last = None, [], {}
    while not stdin_spoke():
        for kind in ("new", "kept"):
            asked_us = time.time_ns() // 1000
            if kind == "new" or kept is None:
                c = dial(host, port)
            else:
                c = kept
            status = ask(c, host, path)
            if kind == "new":
                c.close()
            else:
                kept = None if status in ("closed", "reset") else c
            if kind in last and last[kind][1] != status:
                seen += [last[kind], [asked_us, status, kind]]
            last[kind] = [asked_us, status, kind]
        time.sleep(0.005)
    say(seen)


def hold(host, port):
    c = dial(host, port)
    lines = c.makefile("rb")
    lines.readline()  # the server's greeting
    c.sendall(b"hello\n")
    lines.readline()
    c.settimeout(None)
    say("open")
    try:
        how = "closed" if not c.recv(100) else "data"
    except ConnectionResetError:
        how = "reset"
    say({"how": how, "at_us": time.time_ns() // 1000})


def frame(opcode, payload):
    mask = os.urandom(4)
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    stream = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
    return head + mask + masked


def read_frame(f):
    first, size = f.read(2)
    if size == 126:
        size = struct.unpack("!H", f.read(2))[0]
    elif size == 127:
        size = struct.unpack("!Q", f.read(8))[0]
    return first & 15, f.read(size)


def websocket(host, port, path):
    key = base64.b64encode(os.urandom(16)).decode()
    c = dial(host, port)
    c.sendall(head_of(host, path, "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"))
    f = c.makefile("rb")
    lines = iter(lambda: f.readline().decode().strip(), "")
    status = int(next(lines).split()[1])
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    result = {"status": status}
    if status == 101:
        wanted = base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()).decode()
        result["accepted"] = headers.get("sec-websocket-accept") == wanted
        result["echoed"] = []
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
            payload = os.urandom(size)
            c.sendall(frame(2, payload))
            result["echoed"].append([size, read_frame(f) == (2, payload)])
        c.sendall(frame(9, b"are you there"))
        result["pong"] = read_frame(f) == (10, b"are you there")
        c.sendall(frame(8, struct.pack("!H", 1000)))
        result["closed"] = read_frame(f) == (8, struct.pack("!H", 1000)) and f.read(1) == b""
    say(result)


def raw(host, port):
    c = dial(host, port)
    try:
        c.sendall(sys.stdin.buffer.read())
        try:
            c.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has ended already: what came before that is still to be read
        while part := c.recv(65536):
            sys.stdout.buffer.write(part)
    except ConnectionResetError:
        sys.stdout.buffer.write(b"<reset>")
    except TimeoutError:
        sys.stdout.buffer.write(b"<timeout>")


def main():
    verbs = {"burst": burst, "watch": watch, "hold": hold, "websocket": websocket, "raw": raw}
    verbs[sys.argv[1]](*sys.argv[2:])


main()
