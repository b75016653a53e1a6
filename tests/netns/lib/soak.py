#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that clients do, mixed and bounded, for a soak: soak.py HOST SECONDS RATE

HOST:8080 is read by an L7 rule (nobody reaches /admin), HOST:9090 serves HTTP unread, HOST:9091 greets and echoes,
HOST:9005 pours. One action after another at RATE a second; prints what was done and what was unexpected.
"""
import json
import random
import socket
import struct
import sys
import time

KEPT = 16


def ask(c, method, path, body=b""):
    """One request over a kept connection; returns the status."""
    head = f"{method} {path} HTTP/1.1\r\nHost: soak\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    c.sendall(head + body)
    got = b""
    while b"\r\n\r\n" not in got:
        part = c.recv(65536)
        if not part:
            raise OSError("closed")
        got += part
    head, _, rest = got.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(rest) < length:
        part = c.recv(65536)
        if not part:
            raise OSError("cut")
        rest += part
    return int(head.split()[1])


class Soak:
    def __init__(self, host):
        self.host, self.kept, self.done, self.wrong, self.redialled = host, {}, {}, [], 0

    def dial(self, port):
        c = socket.create_connection((self.host, port), 20)
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return c

    def expect(self, what, got, wanted):
        if got != wanted:
            self.wrong.append(f"{what}: {got}")

    def keep_alive(self):
        slot = random.randrange(KEPT)
        c = self.kept.pop(slot, None)
        try:
            status = ask(c, "GET", f"/{slot}") if c else None
        except OSError:  # as every client does: a kept connection may have ended meanwhile
            self.redialled += 1
            status = None
        if not status:
            c = self.dial(8080)
            status = ask(c, "GET", f"/{slot}")
        self.expect("kept", status, 200)
        self.kept[slot] = c

    def post(self):
        with self.dial(8080) as c:
            self.expect("post", ask(c, "POST", "/p", b"x" * random.randrange(60000)), 200)

    def denied(self):
        with self.dial(8080) as c:
            self.expect("denied", ask(c, "GET", "/x/%2e%2e/admin"), 403)

    def unreadable(self):
        with self.dial(8080) as c:
            c.sendall(random.choice([b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nA : b\r\n\r\n", b"\x00" * 50]))
            while c.recv(65536):
                pass

    def opaque(self):
        with self.dial(9090) as c:
            self.expect("opaque", ask(c, "GET", "/"), 200)

    def echo(self):
        with self.dial(9091) as c:
            c.recv(100)
            c.sendall(b"ping")
            self.expect("echo", c.recv(100), b"ping")

    def part_of_a_download(self):
        with self.dial(9005) as c:
            left = random.randrange(1 << 21)
            while left > 0:
                left -= len(c.recv(65536))

    def reset(self):
        c = self.dial(random.choice([8080, 9090, 9091]))
        c.sendall(b"GET / HT")
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()

    def nobody_there(self):
        try:
            self.dial(7777).recv(1)
            self.wrong.append("nobody there: an answer")
        except ConnectionError:
            pass

    def run(self, seconds, rate):
        actions = [self.keep_alive] * 20 + [self.post, self.denied, self.opaque, self.echo] * 4 + [
            self.unreadable, self.part_of_a_download, self.reset, self.nobody_there]
        start = time.monotonic()
        for n in range(int(seconds * rate)):
            wait = start + n / rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)  # the pace of the load, not a wait for anything
            elif wait < -30:
                break
            action = random.choice(actions)
            try:
                action()
            except OSError as e:
                if action != self.unreadable:
                    self.wrong.append(f"{action.__name__}: {e}")
            self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
        print(json.dumps({"done": self.done, "redialled": self.redialled, "wrong": len(self.wrong), "why": self.wrong[:5]}), flush=True)


Soak(sys.argv[1]).run(float(sys.argv[2]), float(sys.argv[3]))
