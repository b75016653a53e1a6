#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads of an exact size, and slow ones, on the standard library alone.

  heads.py serve PORT           answers with a head of X-Head bytes, behind X-Wait milliseconds
  heads.py ask HOST PORT WHAT=N...  request= bytes of the request's head, response= of the answer's, trailer= of a
                                trailer behind a chunked body, kept= milliseconds, then the same again on the
                                connection, torn= milliseconds between the two halves of the head; the status
                                of each answer, or how it ended
"""
import socket
import sys
import threading
import time

FIELD = 900


def padded(first, size, last=""):
    """first, fields, and last: so many bytes with the empty line; nothing is added where there is no room."""
    text, left = first, size - len(first) - len(last) - 2
    while left > 0:
        n = left if left < 2 * FIELD else FIELD
        text += "x-pad: " + "a" * (n - 9) + "\r\n" if n >= 9 else ""
        left -= n
    return (text + last + "\r\n").encode()


def read_head(c):
    data = b""
    while b"\r\n\r\n" not in data:
        part = c.recv(65536)
        if not part:
            return data
        data += part
    return data


def answer(c):
    with c:
        while head := read_head(c):
            text = head.decode("latin-1")
            while "chunked" in text and not text.endswith("\r\n\r\n" if "\r\n0\r\n" in text else "\0"):
                text += c.recv(65536).decode("latin-1")
            size = int(text.partition("x-head: ")[2].partition("\r\n")[0] or 0)
            c.sendall(padded("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", size) + b"ok")


def serve(port):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", int(port)))
    s.listen(100)
    while True:
        threading.Thread(target=answer, args=(s.accept()[0],), daemon=True).start()


def one(c, at):
    first = f"GET / HTTP/1.1\r\nhost: a\r\nx-head: {at.get('response', 0)}\r\n"
    body = b""
    if "trailer" in at:
        first = first.replace("GET", "POST") + "transfer-encoding: chunked\r\n"
        body = b"2\r\nhi\r\n0\r\n" + padded("", at["trailer"])
    head = padded(first, at.get("request", 0))
    try:
        if "torn" in at:
            c.sendall(head[:-9])
            time.sleep(at["torn"] / 1000)
            head = head[-9:]
        c.sendall(head + body)
        got = read_head(c)
        while got and not got.endswith(b"ok") and b" 200 " in got[:16]:
            got += c.recv(65536)
        return got[9:12].decode() if got else "closed"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except TimeoutError:
        return "timeout"


def ask(host, port, *what):
    at = {k: int(v) for k, _, v in (w.partition("=") for w in what)}
    c = socket.create_connection((host, int(port)), 5)
    answers = [one(c, at)]
    if "kept" in at:
        time.sleep(at["kept"] / 1000)
        answers.append(one(c, at))
    print(*answers)


{"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
