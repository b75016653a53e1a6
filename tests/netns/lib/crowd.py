#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Thousands of connections, one process and one thread at each end.

  crowd.py serve PORT                 a line "echo" is answered in kind, a line "pour" with bytes for ever
  crowd.py idle HOST PORT COUNT       COUNT connections, each has echoed once; until a line is read
  crowd.py stalled HOST PORT COUNT    COUNT connections that asked to be poured on and never read
  crowd.py besiege HOST PORT COUNT FROM    COUNT connections that never say anything, each dialled again when it is
                                      cut; until a line is read
  crowd.py hold HOST PORT COUNT WHAT  COUNT connections, each with an echo, or with 9 KB of a head; those that are
                                      cut are let go; until it is ended
  crowd.py ask HOST PORT COUNT        COUNT echoes one after another: their 50th, 99th, 100th percentile, us
"""
import json
import select
import socket
import sys
import time

POURED = b"p" * 16384
DIALLED_AT_ONCE = 200


def serve(port):
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What the pods' own sockets hold is not the proxies'.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    listener.bind(("::", int(port)))
    listener.listen(4096)
    listener.setblocking(False)
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections = {}

    def turn(fd, event):
        c = connections[fd]
        if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            data = c.recv(65536)
            if not data:
                raise OSError
            if data == b"pour\n":
                poll.modify(fd, select.EPOLLIN | select.EPOLLOUT)
            else:
                c.send(data)
        if event & select.EPOLLOUT:
            c.send(POURED)

    while True:
        for fd, event in poll.poll():
            if fd == listener.fileno():
                c, _ = listener.accept()
                c.setblocking(False)
                connections[c.fileno()] = c
                poll.register(c, select.EPOLLIN)
                continue
            try:
                turn(fd, event)
            except BlockingIOError:
                pass
            except OSError:
                poll.unregister(fd)
                connections.pop(fd).close()


def gather(host, port, count, first, then):
    """Dials in groups, as a crowd does; every connection has had an answer before the next group."""
    everybody = []
    while len(everybody) < int(count):
        group = []
        for _ in range(min(DIALLED_AT_ONCE, int(count) - len(everybody))):
            c = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            c.settimeout(20)
            c.connect((host, int(port)))
            c.sendall(first)
            group.append(c)
        for c in group:
            then(c)
        everybody += group
    print(json.dumps({"open": len(everybody)}), flush=True)
    sys.stdin.readline()
    cut = 0
    for c in everybody:
        c.setblocking(False)
        try:
            cut += c.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            pass
        except OSError:
            cut += 1
    print(json.dumps({"cut": cut}), flush=True)


def besiege(host, port, count, source):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    poll = select.epoll()
    poll.register(sys.stdin, select.EPOLLIN)
    everybody = {}
    until = time.monotonic() + 60

    def dial():
        c = socket.socket(family)
        c.setblocking(False)
        c.bind((source, 0))
        c.connect_ex((host, int(port)))
        everybody[c.fileno()] = c
        poll.register(c, select.EPOLLHUP | select.EPOLLERR | select.EPOLLIN)

    for _ in range(int(count)):
        dial()
    print("besieged", flush=True)
    while time.monotonic() < until:
        for fd, _ in poll.poll(1, 100):
            if fd == sys.stdin.fileno():
                return
            poll.unregister(fd)
            everybody.pop(fd).close()
            dial()
        select.select([], [], [], 0.05)


HELD = {"echo": b"echo\n", "head": b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 9000}


def hold(host, port, count, what):
    poll = select.epoll()
    everybody, dialled = {}, 0
    while True:
        for _ in range(min(50, int(count) - dialled)):
            c = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            c.setblocking(False)
            c.connect_ex((host, int(port)))
            everybody[c.fileno()] = c
            poll.register(c, select.EPOLLOUT)
            dialled += 1
            if dialled == int(count):
                print("open", dialled, flush=True)
        for fd, event in poll.poll(0.05 if dialled < int(count) else 1):
            try:
                if event & select.EPOLLOUT:
                    everybody[fd].send(HELD[what])
                    poll.modify(fd, select.EPOLLIN)
                elif not everybody[fd].recv(65536):
                    raise OSError
            except OSError:
                poll.unregister(fd)
                everybody.pop(fd).close()


def ask(host, port, count):
    c = socket.create_connection((host, int(port)), 20)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    took_us = []
    for _ in range(int(count)):
        started = time.monotonic_ns()
        c.sendall(b"echo\n")
        if c.recv(100) != b"echo\n":
            sys.exit("no echo")
        took_us.append((time.monotonic_ns() - started) // 1000)
    took_us.sort()
    print(json.dumps({"p50": took_us[len(took_us) // 2], "p99": took_us[len(took_us) * 99 // 100], "max": took_us[-1]}))


def main():
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "serve":
        serve(*arguments)
    elif verb == "idle":
        gather(*arguments, b"echo\n", lambda c: c.recv(100))
    elif verb == "stalled":
        gather(*arguments, b"pour\n", lambda c: None)
    elif verb == "besiege":
        besiege(*arguments)
    elif verb == "hold":
        hold(*arguments)
    else:
        ask(*arguments)


main()
