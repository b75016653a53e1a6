#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers and clients for the scenarios, on the standard library alone.

  servers.py http PORT            answers with the peer's address and the path
  servers.py banner PORT          speaks first, then echoes (a server-first protocol)
  servers.py half PORT            answers only when the client has half-closed
  servers.py switch PORT          takes whatever upgrade it is offered, then echoes; at /lie SPDY/3.1
  servers.py reset PORT           resets every connection after its first byte
  servers.py sink PORT | source PORT BYTES | digest PORT
  servers.py stream BYTES         what source sends, on standard output
  servers.py rate URL SECONDS RPS LONG   a paced client with LONG open connections; prints JSON
"""
import hashlib
import http.server
import json
import socket
import socketserver
import struct
import sys
import threading
import time


class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    address_family = socket.AF_INET6
    request_queue_size = 1024


class Echo(http.server.BaseHTTPRequestHandler):
    """Every answer says what was asked; /stream/N is N bytes, /chunked/N the same in chunks with a trailer,
    /digest the digest of the request's body, however it came."""
    protocol_version = "HTTP/1.1"

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
            return
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            part = self.rfile.read(min(left, 1 << 20))
            if not part:
                return
            left -= len(part)
            yield part

    def stream(self, size, chunked):
        self.send_response(200)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Trailer", "X-Size")
        else:
            self.send_header("Content-Length", str(size))
        self.end_headers()
        if self.command == "HEAD":
            return
        for block in blocks(size):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        if chunked:
            self.wfile.write(b"0\r\nX-Size: %d\r\n\r\n" % size)

    def answer(self):
        total, sum_ = 0, hashlib.sha256()
        for part in self.body():
            total += len(part)
            sum_.update(part)
        parts = self.path.split("/")
        if parts[1] in ("stream", "chunked"):
            return self.stream(int(parts[2]), parts[1] == "chunked")
        peer = self.client_address[0].removeprefix("::ffff:")
        text = f"peer={peer} path={self.path} body={total}\n"
        if parts[1] == "digest":
            text = f"{self.command} {total} {sum_.hexdigest()}\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        pass


def listen(port):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("::", port))
    s.listen(1024)
    return s


def serve(port, handle):
    s = listen(port)
    while True:
        c, peer = s.accept()
        threading.Thread(target=handle, args=(c, peer), daemon=True).start()


def banner(c, peer):
    c.sendall(f"220 hello {peer[0].removeprefix('::ffff:')}\r\n".encode())
    while data := c.recv(65536):
        c.sendall(data)
    c.close()


def switch(c, _):
    f = c.makefile("rb")
    lies = b" /lie " in f.readline()
    fields = dict(line.decode().rstrip("\r\n").split(": ", 1) for line in iter(f.readline, b"\r\n") if b": " in line)
    offered = fields.get("Upgrade", "")
    if not offered or fields.get("Connection") != "Upgrade":
        c.sendall(b"HTTP/1.1 200 OK\r\nX-Offered: none\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        return c.close()
    taken = "SPDY/3.1" if lies else offered
    c.sendall(f"HTTP/1.1 101 Switching\r\nX-Offered: {offered}\r\nConnection: Upgrade\r\nUpgrade: {taken}\r\n\r\n".encode())
    while data := f.read1(65536):
        c.sendall(data)
    c.close()


def half(c, _):
    total = 0
    while data := c.recv(65536):
        total += len(data)
    c.sendall(f"got {total}\n".encode())
    c.close()


def reset(c, _):
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def sink(c, _):
    total = 0
    while data := c.recv(1 << 20):
        total += len(data)
    c.close()


# A prime number of bytes that look like none: no window, record or buffer is a multiple of it.
BLOCK = hashlib.shake_256(b"portcullis").digest(1048573)


def blocks(size):
    while size > 0:
        yield BLOCK[:size]
        size -= min(size, len(BLOCK))


def source(size):
    def run(c, _):
        for block in blocks(size):
            c.sendall(block)
        c.close()
    return run


def digest(c, _):
    """Answers the half-close with what it got: how many bytes, and their digest."""
    total, sum_ = 0, hashlib.sha256()
    while data := c.recv(1 << 20):
        total += len(data)
        sum_.update(data)
    c.sendall(f"{total} {sum_.hexdigest()}\n".encode())
    c.close()


def stream(size):
    for block in blocks(size):
        sys.stdout.buffer.write(block)


def one_request(host, port, path):
    with socket.create_connection((host, port), 10) as c:
        c.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        data = b""
        while part := c.recv(65536):
            data += part
    return data.startswith(b"HTTP/1.1 200")


def rate(url, seconds, rps, long):
    """Paced new connections, beside long-lived ones that must not be cut: each echoes once a second."""
    host, port = url.rsplit(":", 1)
    failed, done, cut = [], 0, []
    open_ones = [socket.create_connection((host, int(port) + 1), 10) for _ in range(long)]
    for c in open_ones:
        c.settimeout(10)
        c.recv(100)
    start = time.monotonic()
    second = 0
    lock = threading.Semaphore(64)

    def request(n):
        nonlocal done
        try:
            if not one_request(host, int(port), f"/{n}"):
                failed.append("status")
            done += 1
        except OSError as e:
            failed.append(str(e))
        finally:
            lock.release()

    threads = []
    for n in range(int(seconds * rps)):
        wait = start + n / rps - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        lock.acquire()
        t = threading.Thread(target=request, args=(n,), daemon=True)
        t.start()
        threads.append(t)
        if time.monotonic() - start > second:
            second += 1
            for i, c in enumerate(open_ones):
                try:
                    c.sendall(b"ping")
                    if c.recv(100) != b"ping":
                        raise OSError("closed")
                except OSError:
                    if i not in cut:
                        cut.append(i)
    for t in threads:
        t.join(10)
    print(json.dumps({"done": done, "failed": len(failed), "why": failed[:3], "cut": len(cut)}))


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "http":
        Threaded(("::", int(args[0])), Echo).serve_forever()
    elif what == "source":
        serve(int(args[0]), source(int(args[1])))
    elif what == "stream":
        stream(int(args[0]))
    elif what == "rate":
        rate(args[0], float(args[1]), float(args[2]), int(args[3]))
    else:
        serve(int(args[0]), {"banner": banner, "half": half, "switch": switch, "reset": reset, "sink": sink,
                             "digest": digest}[what])


main()
