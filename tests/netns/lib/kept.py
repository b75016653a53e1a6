#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kept HTTP/1.1 connections, on the standard library alone.

  kept.py HOST PORT RATE... QUIET   one connection for each rate (requests a second), kept for as long as its
                                    answers allow; QUIET more ask once and say nothing further; at a line of
                                    input: how many requests failed, how often a connection was closed behind an
                                    answer, how each quiet one ended, and when the first and the last did
"""
import http.client
import json
import select
import socket
import sys
import threading
import time

stop = threading.Event()


def rate(host, port, per_s, out):
    c = http.client.HTTPConnection(host, port, timeout=10)
    while not stop.is_set():
        try:
            c.request("GET", "/")
            r = c.getresponse()
            r.read()
            out["asked"] += 1
            out["failed"] += r.status != 200
            out["closed"] += r.will_close  # and the next request dials anew
        except OSError as e:
            out["failed"] += 1
            out["errors"].append(type(e).__name__)
            c.close()
        except http.client.HTTPException as e:
            out["failed"] += 1
            out["errors"].append(type(e).__name__)
            c.close()
        stop.wait(1 / per_s)


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    out = {"asked": 0, "failed": 0, "closed": 0, "errors": []}
    for r in sys.argv[3:-1]:
        threading.Thread(target=rate, args=(host, port, float(r), out), daemon=True).start()
    quiet = []
    for _ in range(int(sys.argv[-1])):
        c = socket.create_connection((host, port), 10)
        c.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = b""
        while b"body=0\n" not in got:  # how servers.py's answer ends
            got += c.recv(4096)
        quiet.append(c)
    print("open", flush=True)
    ends, at = [], []
    while True:
        ready = select.select([sys.stdin, *quiet], [], [])[0]
        if sys.stdin in ready:
            break
        for c in ready:
            try:
                how = "data" if c.recv(4096) else "fin"
            except ConnectionResetError:
                how = "reset"
            quiet.remove(c)
            ends.append(how)
            at.append(time.time())
    stop.set()
    out["quiet"] = {how: ends.count(how) for how in sorted(set(ends))}
    out["over_ms"] = int(1000 * (at[-1] - at[0])) if at else 0
    print(json.dumps(out), flush=True)


main()
