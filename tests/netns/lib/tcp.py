# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest TCP programs that the rules_*.sh scenarios need: a server, a client, a connection that
stays, a transparent listener in node-proxy's place, and stray segments. Standard library only."""

import os
import re
import select
import socket
import struct
import sys
import threading

SO_MARK, IP_TRANSPARENT, IP_BIND_ADDRESS_NO_PORT, IPV6_TRANSPARENT = 36, 19, 24, 75
MARK = 0x00500000
CAPTURE_PORT = 15001


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def text_of(address):
    """(host, port, …) as address:port, an IPv4 address in its own form."""
    host = address[0].removeprefix("::ffff:")
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def set_transparent(s):
    if s.family == socket.AF_INET:
        s.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    else:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)


def in_thread(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


def serve(port, name):
    """Each line is answered with who sees whom: "b sees 10.245.1.10: hello"."""

    def answer(connection, peer):
        try:
            for line in connection.makefile("r"):
                connection.sendall(f"{name} sees {peer[0].removeprefix('::ffff:')}: {line}".encode())
        except OSError:
            pass
        connection.close()

    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", int(port)))
    s.listen(128)
    print("ready", flush=True)
    while True:
        in_thread(answer, *s.accept())


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for s in (source, sink):
            s.close()


def dial_as(client, host, port):
    """As node-proxy dials: our mark, and the client's address with a port that the kernel picks."""
    s = socket.socket(family_of(host))
    s.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
    set_transparent(s)
    s.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    s.bind((client, 0))
    s.connect((host, int(port)))
    return s


def listen(*rules):
    """rules: DESTINATION=TARGET[@SOURCE], addresses as host:port, SOURCE in place of the client's."""
    targets = dict(rule.split("=", 1) for rule in rules)

    def take(connection, peer):
        destination = text_of(connection.getsockname())
        print(f"{text_of(peer)} dialled {destination}", flush=True)
        target = targets.get(destination)
        try:
            if target:
                target, _, source = target.partition("@")
                host, port = re.fullmatch(r"\[?([^\]]*)\]?:(\d+)", target).groups()
                upstream = dial_as(source or peer[0], host, port)
                in_thread(pump, connection, upstream)
                pump(upstream, connection)
                return
            for line in connection.makefile("r"):
                connection.sendall(f"{peer[0]} dialled {destination}: {line}".encode())
                if line == "bye\n":
                    break
        except OSError as error:
            print(f"# {error}", file=sys.stderr, flush=True)
        connection.close()

    def accept(address):
        s = socket.socket(family_of(address))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, SO_MARK, MARK)
        set_transparent(s)
        s.bind((address, CAPTURE_PORT))
        s.listen(128)
        return s

    sockets = [accept("127.0.0.1"), accept("::1")]
    print("ready", flush=True)
    while True:
        for s in select.select(sockets, [], [])[0]:
            in_thread(take, *s.accept())


def connect(host, port, options):
    s = socket.socket(family_of(host))
    s.settimeout(float(options.get("timeout", 2)))
    if "source-port" in options:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", int(options["source-port"])))
    if "mark" in options:
        s.setsockopt(socket.SOL_SOCKET, SO_MARK, int(options["mark"], 0))
    s.connect((host, int(port)))
    return s


def word_for(error):
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError):
        return "reset"
    return f"failed: {error}"


def exchange(s, words):
    s.sendall((words + "\n").encode())
    answer = b""
    while not answer.endswith(b"\n"):
        data = s.recv(4096)
        if not data:
            return "closed"
        answer += data
    return answer.decode().strip()


def options_of(arguments):
    return dict(a.removeprefix("--").split("=", 1) for a in arguments)


def ask(host, port, *arguments):
    options = options_of(arguments)
    try:
        with connect(host, port, options) as s:
            print(exchange(s, options.get("words", "bye" if options.get("closes") else "hello")))
            if options.get("closes") == "peer":  # whoever closes first has the TIME_WAIT
                s.recv(1)
    except OSError as error:
        print(word_for(error))


def knock(host, port, count):
    """count connections, one after the other; of each, the word that tells who answered."""
    print("ready", flush=True)
    for _ in range(int(count)):
        try:
            with connect(host, port, {"timeout": "0.5"}) as s:
                print(re.search("sees|dialled|$", exchange(s, "hello"))[0], flush=True)
        except OSError as error:
            print(word_for(error), flush=True)
    print("finished", flush=True)


def hold(host, port, *arguments):
    s = connect(host, port, options_of(arguments))
    print("ready " + text_of(s.getsockname()), flush=True)
    for line in sys.stdin:
        try:
            print(exchange(s, line.strip()), flush=True)
        except OSError as error:
            print(word_for(error), flush=True)


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


def stray(source, source_port, host, port, flags, count="1"):
    """count TCP segments that belong to no socket here, as the kernel would never send them."""
    bits = sum(FLAGS[f] for f in flags)
    payload = b"stray plaintext" if "P" in flags else b""
    head = struct.pack("!HHLLBBHHH", int(source_port), int(port), 1000, 1000, 5 << 4, bits, 65535, 0, 0)
    family = family_of(host)
    pseudo = (
        socket.inet_pton(family, source)
        + socket.inet_pton(family, host)
        + (struct.pack("!BBH", 0, 6, len(head + payload)) if family == socket.AF_INET
           else struct.pack("!LHBB", len(head + payload), 0, 0, 6))
    )
    head = head[:16] + struct.pack("!H", checksum(pseudo + head + payload)) + head[18:]
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as s:
        s.bind((source, 0))
        for _ in range(int(count)):
            s.sendto(head + payload, (host, 0))


def udp_serve(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", int(port)))
    print("ready", flush=True)
    while True:
        data, peer = s.recvfrom(4096)
        s.sendto(b"udp sees " + peer[0].encode(), peer)


def udp_ask(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.sendto(b"hello", (host, int(port)))
        try:
            print(s.recvfrom(4096)[0].decode())
        except OSError as error:
            print(word_for(error))


COMMANDS = {
    "serve": serve,
    "listen": listen,
    "ask": ask,
    "knock": knock,
    "hold": hold,
    "stray": stray,
    "udp-serve": udp_serve,
    "udp-ask": udp_ask,
}

if __name__ == "__main__":
    try:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(1)
