#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that mean no good, bounded in number and time; for 80_observability.sh.

hostile.py crowd HOST PORT COUNT SECONDS   COUNT connections: silent, dripping a byte now and then, garbled,
                                           half a TLS hello. Prints "ready" once all stand, and how many
                                           the server has closed at the end.
hostile.py raw HOST PORT < BYTES           sends them, prints the status line of the answer
"""
import random
import selectors
import socket
import sys
import time

HELLO = bytes.fromhex("16030102000100") + b"\x01\xfc\x03\x03" + bytes(32)


def connect(host, port):
    s = socket.create_connection((host, port), timeout=5)
    s.setblocking(False)
    return s


def crowd(host, port, count, seconds):
    rng = random.Random(1)
    first = [b"", b"G", bytes(rng.randrange(256) for _ in range(3000)), HELLO, b"\xff" * 64]
    sel = selectors.DefaultSelector()
    for i in range(count):
        s = connect(host, port)
        try:
            s.send(first[i % len(first)])
        except OSError:
            pass
        sel.register(s, selectors.EVENT_READ)
    print("ready", flush=True)
    closed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end and sel.get_map():
        for key, _ in sel.select(0.2):
            try:
                more = key.fileobj.recv(4096)
            except OSError:
                more = b""
            if not more:
                sel.unregister(key.fileobj)
                key.fileobj.close()
                closed += 1
        for key in list(sel.get_map().values()):
            try:
                key.fileobj.send(b"x")
            except OSError:
                pass
    print("closed", closed, flush=True)


def raw(host, port):
    s = socket.create_connection((host, port), timeout=5)
    got = b""
    try:
        s.sendall(sys.stdin.buffer.read())
        s.shutdown(socket.SHUT_WR)  # refused bytes may have ended it already
        while part := s.recv(4096):
            got += part
    except OSError:
        pass
    words = got.split(b"\r\n")[0].split(b" ")
    print(words[1].decode() if len(words) > 1 else "none")


if __name__ == "__main__":
    if sys.argv[1] == "crowd":
        crowd(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    else:
        raw(sys.argv[2], int(sys.argv[3]))
