#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays open behind one request: both ends, on the standard library alone.

  streams.py serve PORT       /chat is upgraded, and echoed; /events says one every 50 ms for ever; /bytes is
                              a gigabyte, PUT takes as much; a connection whose first byte is no letter of a
                              request is echoed
  streams.py open HOST PORT [KIND...]
                              opens one of each kind (chat, events, download, upload; raw: no HTTP), keeps
                              them busy, says {"open": [...]}; at a line of input, which are still open; at its
                              end how each ended
"""
import json
import select
import socket
import sys
import threading
import time

GIGABYTE = 1 << 30
HEADS = {
    "chat": "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "events": "GET /events HTTP/1.1\r\nHost: a\r\n\r\n",
    "download": "GET /bytes HTTP/1.1\r\nHost: a\r\n\r\n",
    "upload": f"PUT /bytes HTTP/1.1\r\nHost: a\r\nContent-Length: {GIGABYTE}\r\n\r\n",
    "raw": "\x00",
}
TICK_S = 0.05


def read_head(c):
    data = b""
    while b"\r\n\r\n" not in data:
        part = c.recv(1)
        if not part:
            return b""
        data += part
        if data == b"\x00":
            return data
    return data


def echo(c):
    while part := c.recv(65536):
        c.sendall(part)


def answer(c):
    try:
        head = read_head(c)
        if head == b"\x00":
            c.sendall(head)
            echo(c)
        elif head.startswith(b"GET /chat"):
            c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            echo(c)
        elif head.startswith(b"GET /events"):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            while True:
                c.sendall(b"data: x\n\n")
                time.sleep(TICK_S)
        elif head.startswith(b"GET"):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIGABYTE)
            while True:
                c.sendall(bytes(65536))
        else:
            while c.recv(65536):
                pass
    except OSError:
        pass
    finally:
        c.close()


def serve(port):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", int(port)))
    s.listen(100)
    while True:
        threading.Thread(target=answer, args=(s.accept()[0],), daemon=True).start()


def say(what):
    print(json.dumps(what), flush=True)


def busy(kind, c):
    """A little of it: how it ended, or None."""
    try:
        if kind in ("chat", "raw"):
            c.sendall(b"hello")
        elif kind == "upload":
            c.sendall(bytes(100))
        if select.select([c], [], [], 0)[0] and not c.recv(4096):
            return "closed"
    except ConnectionResetError:
        return "reset"
    except BrokenPipeError:
        return "reset"
    return None


def open_all(host, port, *kinds):
    at = {}
    for kind in kinds or ("chat", "events", "download", "upload"):
        c = at[kind] = socket.create_connection((host, int(port)), 10)
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.sendall(HEADS[kind].encode())
        if kind == "raw":
            c.recv(1)
        elif kind != "upload" and b" 101 " not in (head := read_head(c)) and b" 200 " not in head:
            at.pop(kind)
    time.sleep(2 * TICK_S)
    say({"open": sorted(k for k, c in at.items() if not busy(k, c))})
    ends = {}
    while True:
        for kind, c in at.items():
            if kind not in ends and (how := busy(kind, c)):
                ends[kind] = how
        if select.select([sys.stdin], [], [], TICK_S)[0]:
            if not sys.stdin.readline():
                break
            say({"open": sorted(set(at) - set(ends))})
    say(dict(sorted(ends.items())))


{"serve": serve, "open": open_all}[sys.argv[1]](*sys.argv[2:])
