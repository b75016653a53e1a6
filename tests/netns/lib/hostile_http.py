#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile HTTP/1.1 through the real data path, seen from both ends: one process plays the clients in one
network namespace and the pod in another. The pod writes down every byte that it receives: it is the
oracle. The cases are in hostile_requests.py and hostile_responses.py.

  hostile_http.py requests|responses CLIENT-NETNS SERVER-NETNS HOST PORT ACCESS-LOG [WORD]

(with WORD only the cases whose name has it.)

Every case's bytes carry a token of its own ('@' in the tables), so that cases run at the same time and
what arrives anywhere is known to be whose. One line a case: ok, or not ok and why.
"""
import concurrent.futures
import ctypes
import fcntl
import json
import os
import re
import socket
import struct
import sys
import threading
import time

CLIENTS = 8
WAIT_S = 10
CLONE_NEWNET = 0x40000000
SIOCOUTQ = 0x5411
libc = ctypes.CDLL(None, use_errno=True)


def enter(netns):
    """The calling thread's sockets are made in this namespace from here on."""
    fd = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    if libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns {netns}")
    os.close(fd)


class Gone(Exception):
    """The connection ended: "closed" or "reset"."""


class Reader:
    """Bytes of a connection, every one kept in data."""

    def __init__(self, s):
        self.s = s
        self.data = bytearray()
        self.at = 0

    def fill(self):
        try:
            part = self.s.recv(65536)
        except ConnectionError as e:
            raise Gone("reset") from e
        if not part:
            raise Gone("closed")
        self.data += part

    def until(self, mark):
        while (end := self.data.find(mark, self.at)) < 0:
            self.fill()
        start, self.at = self.at, end + len(mark)
        return bytes(self.data[start:self.at])

    def take(self, size):
        while len(self.data) - self.at < size:
            self.fill()
        self.at += size
        return bytes(self.data[self.at - size:self.at])

    def rest(self):
        return bytes(self.data[self.at:])

    def to_end(self):
        """Reads until the connection ends; says how."""
        try:
            while True:
                self.fill()
        except Gone as e:
            return str(e)


class Message:
    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.first = lines[0].split(" ", 2)
        self.fields = [(k.lower(), v.strip()) for k, _, v in (x.partition(":") for x in lines[1:] if x)]
        self.body = b""

    def get(self, name, default=""):
        return next((v for k, v in self.fields if k == name), default)

    def read_body(self, reader):
        if self.get("transfer-encoding").lower() == "chunked":
            while size := int(reader.until(b"\r\n").split(b";")[0], 16):
                self.body += reader.take(size)
                reader.take(2)
            while reader.until(b"\r\n") != b"\r\n":
                pass
        else:
            self.body = reader.take(int(self.get("content-length", "0")))


# ---- the pod -------------------------------------------------------------------------------------


class Pod:
    """A server that records. How it answers a request whose target holds a case's token, the case's
    answer(pod, request, s, reader) says: True to go on with the connection."""

    def __init__(self, netns, port):
        self.answers = {}
        self.greetings = {}
        self.readers = []
        self.lock = threading.Lock()
        enter(netns)
        self.listener = socket.socket(socket.AF_INET6)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("::", port))
        self.listener.listen(1024)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            s, _ = self.listener.accept()
            s.settimeout(3 * WAIT_S)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = Reader(s)
            reader.ended = threading.Event()
            with self.lock:
                self.readers.append(reader)
            threading.Thread(target=self.serve, args=(s, reader), daemon=True).start()

    def serve(self, s, reader):
        try:
            for greeting in list(self.greetings.values()):
                s.sendall(greeting)
            while self.one(s, reader):
                pass
        except (Gone, OSError, ValueError, IndexError):
            pass  # what it has received by then is what counts
        finally:
            s.close()
            reader.ended.set()

    def one(self, s, reader):
        request = Message(reader.until(b"\r\n\r\n"))
        token = re.search(r"[cr]\d{4}", request.first[1])
        answer = self.answers.get(token[0]) if token else None
        if answer:
            return answer(request, s, reader)
        if request.get("expect").lower() == "100-continue":
            s.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.read_body(reader)
        return plain_answer(request, s)

    def received(self, token):
        """All that arrived on connections that carried the token, each after it has ended."""
        mark = token.encode()
        with self.lock:
            mine = [r for r in self.readers if mark in r.data]
        for r in mine:
            r.ended.wait(WAIT_S)
        return b"".join(bytes(r.data) for r in mine)


def plain_answer(request, s, head=b"HTTP/1.1 200 OK\r\n"):
    """The target as the body. False: the connection ends here."""
    body = request.first[1].encode("latin-1")
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    s.sendall(head if request.first[0] == "HEAD" else head + body)
    connection = request.get("connection").lower()
    return "close" not in connection and (request.first[2] != "HTTP/1.0" or "keep-alive" in connection)


# ---- the client ----------------------------------------------------------------------------------


def dial(host, port):
    s = socket.create_connection((host, port), WAIT_S)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    Log.opened(s.getsockname()[1])
    return s


def sent(s):
    """Until the kernel has everything acknowledged: what comes next is a segment of its own."""
    end = time.monotonic() + WAIT_S
    while struct.unpack("i", fcntl.ioctl(s, SIOCOUTQ, bytes(4)))[0] and time.monotonic() < end:
        time.sleep(0.0001)


def send(s, parts):
    """False: the connection was gone before all was sent."""
    try:
        for i, part in enumerate(parts):
            if i:
                sent(s)
            s.sendall(part)
        return True
    except (OSError, ValueError):
        return False


def read_response(reader, to_head=False):
    """One final response: (status, fields, body); interim ones are counted in reader.interim."""
    while True:
        response = Message(reader.until(b"\r\n\r\n"))
        status = int(response.first[1])
        if status >= 200 or status == 101:
            break
        reader.interim = getattr(reader, "interim", 0) + 1
    if to_head or status in (101, 204, 304):
        pass
    elif response.get("transfer-encoding") or response.get("content-length"):
        response.read_body(reader)
    else:
        start = reader.at
        if reader.to_end() != "closed":
            raise Gone("reset")
        response.body, reader.at = bytes(reader.data[start:]), len(reader.data)
    return status, response, response.body


class Outcome:
    def __init__(self):
        self.statuses, self.bodies, self.end, self.extra, self.port, self.interim = [], [], "open", b"", 0, 0


def converse(host, port, parts, count, stays, to_head=False):
    """Sends, reads count responses, then: does the connection stay, and does it bring anything else?"""
    out = Outcome()
    with dial(host, port) as s:
        out.port = s.getsockname()[1]
        reader = Reader(s)
        send(s, parts)
        try:
            for _ in range(count):
                status, _, body = read_response(reader, to_head)
                out.statuses.append(status)
                out.bodies.append(body)
            if not stays:
                out.end = reader.to_end()
        except Gone as e:
            out.end = str(e)
        except TimeoutError:
            out.end = "timeout"
        out.extra, out.interim = reader.rest(), getattr(reader, "interim", 0)
    return out


# ---- the log -------------------------------------------------------------------------------------


class Log:
    """The destination's access log, by the client's port. Ports are used again: what counts is what was
    written since the connection was opened."""

    path = ""
    begins = {}

    def __init__(self, path):
        Log.path = path

    @staticmethod
    def opened(port):
        Log.begins[port] = os.path.getsize(Log.path) if os.path.exists(Log.path) else 0

    def lines(self, port):
        found = []
        with open(self.path, encoding="utf-8") as f:
            f.seek(Log.begins.get(port, 0))
            for line in f:
                if f'"client.port":{port},' not in line or not line.endswith("\n"):
                    continue
                entry = json.loads(line)
                if entry["reporter"] != "source":
                    found.append(entry)
        return found

    def wait(self, port, count):
        end = time.monotonic() + 5
        while len(lines := self.lines(port)) < count and time.monotonic() < end:
            time.sleep(0.05)
        return lines


# ---- running -------------------------------------------------------------------------------------


class Run:
    def __init__(self, arguments):
        self.client, self.server, self.host, port, log = arguments[:5]
        self.word = "".join(arguments[5:6])
        self.port, self.log = int(port), Log(log)
        self.failed = 0
        self.pod = Pod(self.server, self.port)

    def all(self, cases, clients):
        """cases: (name, function that returns what is wrong, or None)."""
        with concurrent.futures.ThreadPoolExecutor(
                clients, initializer=enter, initargs=(self.client,)) as pool:
            done = [(name, pool.submit(case)) for name, case in cases if self.word in name]
            for name, future in done:
                try:
                    wrong = future.result()
                except Exception as e:  # a case that breaks is a case that fails
                    wrong = f"{type(e).__name__}: {e}"
                self.failed += wrong is not None
                print(f"ok {name}" if wrong is None else f"not ok {name}: {wrong}", flush=True)


def main():
    which, arguments = sys.argv[1], sys.argv[2:]
    run = Run(arguments)
    if which == "requests":
        import hostile_requests as table
    else:
        import hostile_responses as table
    run.all(table.cases(run), CLIENTS)
    run.all(table.alone(run), 1)
    sys.exit(1 if run.failed else 0)


if __name__ == "__main__":
    sys.modules["hostile_http"] = sys.modules["__main__"]  # the tables import it: one module, one Gone
    main()
