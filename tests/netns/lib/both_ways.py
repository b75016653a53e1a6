# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections whose directions do not end together. Standard library only.

  both_ways.py serve duplex PORT BYTES   sends so much while it reads to the end
  both_ways.py serve answer PORT BYTES   an HTTP answer of so much to every request of a connection
  both_ways.py serve refuse PORT         answers 413 while the upload is still coming, and closes
  both_ways.py duplex IP PORT BYTES ROUNDS
  both_ways.py half IP PORT BYTES CLIENTS    half-closes behind its request and reads the answer
  both_ways.py upload IP PORT BYTES ROUNDS   sends so much or until it cannot, then reads

The clients print how many of how many went wrong, and the first reason."""
import os
import socket
import sys
import threading
import time

BLOCK = os.urandom(1 << 20)


def listen(port):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    s.listen(128)
    return s


def send_all(c, size):
    while size > 0:
        size -= c.send(BLOCK[:size])


def read_to_end(c):
    total = 0
    while data := c.recv(1 << 16):
        total += len(data)
    return total


def both_ways(c, size):
    """What went wrong; None: nothing."""
    failed = []

    def write():
        try:
            send_all(c, size)
            c.shutdown(socket.SHUT_WR)
        except OSError as e:
            failed.append(f"send: {e}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        got = read_to_end(c)
        if got != size:
            failed.append(f"end after {got}")
    except OSError as e:
        failed.append(f"receive: {e}")
    writer.join()
    return failed[0] if failed else None


def head_of(c):
    head = b""
    while b"\r\n\r\n" not in head:
        part = c.recv(4096)
        if not part:
            return None
        head += part
    return head


def answer(c, size):
    while head_of(c):
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        send_all(c, size)
    c.close()


def refuse(c):
    head_of(c)
    c.sendall(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo much\n")
    c.close()  # what is unread makes it a reset


def guarded(handle, c):
    try:
        handle(c)
    except OSError:
        c.close()


def serve(what, port, size=0):
    handle = {"duplex": lambda c: both_ways(c, size), "answer": lambda c: answer(c, size), "refuse": refuse}[what]
    s = listen(port)
    while True:
        c, _ = s.accept()
        threading.Thread(target=guarded, args=(handle, c), daemon=True).start()


def request(method, host, length):
    return (f"{method} /x HTTP/1.1\r\nHost: {host}\r\n"
            + (f"Content-Length: {length}\r\n" if length else "") + "\r\n").encode()


def dial(ip, port):
    c = socket.create_connection((ip, port), 20)
    c.settimeout(20)
    return c


def half(ip, port, size):
    c = dial(ip, port)
    c.sendall(request("GET", ip, 0))
    c.shutdown(socket.SHUT_WR)
    head, got = b"", 0
    while b"\r\n\r\n" not in head:
        part = c.recv(1 << 12)
        if not part:
            return f"end in the head {head!r}"
        head += part
    got = len(head.split(b"\r\n\r\n", 1)[1])
    time.sleep(.2)  # all buffers between it and the server fill up
    got += read_to_end(c)
    return None if head.startswith(b"HTTP/1.1 200") and got == size else f"end after {got}"


def upload(ip, port, size):
    c = dial(ip, port)
    try:
        c.sendall(request("POST", ip, 1 << 30))
        send_all(c, size)
    except OSError:
        pass
    got = b""
    try:
        while part := c.recv(4096):
            got += part
    except OSError as e:
        if not got:
            return f"no answer: {e}"
    return None if got.startswith(b"HTTP/1.1 413") and got.endswith(b"too much\n") else f"got {got!r}"


def report(outcomes):
    bad = [o for o in outcomes if o]
    print(f"{len(bad)} of {len(outcomes)} {bad[0] if bad else ''}".strip())


def guarded_client(run, outcomes):
    try:
        outcomes.append(run())
    except OSError as e:
        outcomes.append(str(e))


def main():
    what, args = sys.argv[1], sys.argv[2:]
    outcomes = []
    if what == "serve":
        serve(args[0], int(args[1]), *map(int, args[2:]))
    ip, numbers = args[0], list(map(int, args[1:]))
    if what == "half":
        clients = [threading.Thread(target=guarded_client, args=(lambda: half(ip, *numbers[:2]), outcomes))
                   for _ in range(numbers[2])]
        for t in clients:
            t.start()
        for t in clients:
            t.join()
    elif what == "duplex":
        for _ in range(numbers[2]):
            guarded_client(lambda: both_ways(dial(ip, numbers[0]), numbers[1]), outcomes)
    else:
        for _ in range(numbers[2]):
            guarded_client(lambda: upload(ip, *numbers[:2]), outcomes)
    report(outcomes)


main()
