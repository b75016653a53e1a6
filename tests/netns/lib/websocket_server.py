#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""websocket_server.py PORT: RFC 6455, as far as an echo needs it; standard library alone. Every path is
upgraded; what is no upgrade gets 426."""
import base64
import hashlib
import socketserver
import struct
import sys
import socket

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    address_family = socket.AF_INET6


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        lines = iter(lambda: self.rfile.readline().decode("latin-1").strip(), "")
        next(lines)
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        key = headers.get("sec-websocket-key")
        if headers.get("upgrade", "").lower() != "websocket" or not key:
            self.wfile.write(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n")
        while self.one_frame():
            pass

    def one_frame(self):
        head = self.rfile.read(2)
        if len(head) < 2:
            return False
        opcode, size = head[0] & 15, head[1] & 127
        if size == 126:
            size = struct.unpack("!H", self.rfile.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.rfile.read(8))[0]
        mask = self.rfile.read(4)
        data = self.rfile.read(size)
        stream = (mask * (size // 4 + 1))[:size]
        data = (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big")
        if size < 126:
            length = struct.pack("!B", size)
        elif size < 65536:
            length = struct.pack("!BH", 126, size)
        else:
            length = struct.pack("!BQ", 127, size)
        self.wfile.write(bytes([0x80 | (10 if opcode == 9 else opcode)]) + length + data)
        return opcode != 8


Server(("::", int(sys.argv[1])), Echo).serve_forever()
