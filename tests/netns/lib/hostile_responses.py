# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile or broken pod answers; see hostile_http.py. Each case asks once, and, where the connection stays, once
more: the second answer has to be the second request's own."""
import socket
import struct
import threading

from hostile_http import Gone, Reader, WAIT_S, dial, plain_answer, read_response, send

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TWO = OK + b"Content-Length: 2\r\n\r\nok"
POISON = OK + b"Content-Length: 6\r\n\r\npoison"

# Steps of a pod's script that are no bytes.
ANSWERED = "until the client has read its answer"
CLOSE = "close"
RESET = "reset"

BAD_GATEWAY = [  # nothing of it goes out: 502
    ("length and chunked", [OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]),
    ("chunked and length", [OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"]),
    ("two equal lengths", [OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"]),
    ("two lengths", [OK + b"Content-Length: 2\r\nContent-Length: 90\r\n\r\nok"]),
    ("a list of lengths", [OK + b"Content-Length: 2, 2\r\n\r\nok"]),
    ("length -2", [OK + b"Content-Length: -2\r\n\r\nok"]),
    ("length +2", [OK + b"Content-Length: +2\r\n\r\nok"]),
    ("length 2^64 + 2", [OK + b"Content-Length: 18446744073709551618\r\n\r\nok"]),
    ("gzip", [OK + b"Transfer-Encoding: gzip\r\n\r\nok"]),
    ("identity", [OK + b"Transfer-Encoding: identity\r\n\r\nok"]),
    ("xchunked", [OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"]),
    ("chunked twice", [OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]),
    ("chunked and a tab", [OK + b"Transfer-Encoding: chunked\t\r\n\r\n2\r\nok\r\n0\r\n\r\n" + POISON]),
    ("a coding in HTTP/1.0", [b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]),
    ("a status line with a bare LF", [b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"]),
    ("a field with a bare LF", [OK + b"Content-Length: 2\n\r\nok"]),
    ("a head's end with a bare LF", [OK + b"Content-Length: 2\r\n\nok"]),
    ("a bare CR", [OK + b"X: y\rContent-Length: 2\r\n\r\nok"]),
    ("a NUL", [OK + b"X: \0\r\nContent-Length: 2\r\n\r\nok"]),
    ("a folded field", [OK + b"X: y\r\n z\r\nContent-Length: 2\r\n\r\nok"]),
    ("a space before the colon", [OK + b"Content-Length : 2\r\n\r\nok"]),
    ("an empty name", [OK + b": x\r\nContent-Length: 2\r\n\r\nok"]),
    ("an empty line before it", [b"\r\n" + TWO]),
    ("a control character in the reason", [b"HTTP/1.1 200 O\x01\r\nContent-Length: 2\r\n\r\nok"]),
    ("status 099", [b"HTTP/1.1 099 Early\r\nContent-Length: 2\r\n\r\nok"]),
    ("status 20", [b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"]),
    ("status 2000", [b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"]),
    ("HTTP/1.2", [b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok"]),
    ("HTTP/2.0", [b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"]),
    ("RTSP", [b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"]),
    ("ICY", [b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok"]),
    ("no HTTP", [b"hello\r\n\r\n"]),
    ("101 fields", [OK + b"X: y\r\n" * 100 + b"Content-Length: 2\r\n\r\nok"]),
    ("20,000 fields", [OK + b"X: y\r\n" * 20000 + b"Content-Length: 2\r\n\r\nok"]),
    ("a field of 100,000 bytes", [OK + b"X: " + b"y" * 100000 + b"\r\nContent-Length: 2\r\n\r\nok"]),
    ("a line without an end", [b"H" * 300000]),
    ("101 unasked", [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + POISON]),
    ("101 unasked, to h2c", [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"]),
    ("103 with a chunked body", [b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + TWO]),
    ("199 with a body", [b"HTTP/1.1 199 Odd\r\nContent-Length: 2\r\n\r\nok" + TWO]),
    ("Connection names a length", [OK + b"Connection: Content-Length\r\nContent-Length: 2\r\n\r\nok"]),
    ("interim responses without an end", [b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" * 5000]),
    ("a good interim response and a bad final one", [b"HTTP/1.1 103 Hints\r\n\r\n" + OK + b"X : y\r\n\r\n"]),
    ("an interim response and no other", [b"HTTP/1.1 103 Hints\r\n\r\n", CLOSE]),
    ("nothing, and closes", [CLOSE]),
    ("half a head, and closes", [OK + b"Content-Le", CLOSE]),
    ("nothing, and resets", [RESET]),
    ("half a head, and resets", [OK + b"Content-Le", RESET]),
]

BAD_CHUNKS = [b"zz\r\n", b"\r\n0\r\n\r\n", b" 2\r\nok\r\n", b"2 \r\nok\r\n", b"2\nok\r\n", b"2\r\nok\n0\r\n\r\n",
              b"2\r\nok0\r\n\r\n", b"2\r\nok!\r\n", b"0x2\r\nok\r\n", b"-1\r\n", b"8000000000000000\r\n",
              b"10000000000000002\r\nok\r\n", b"2;\r\nok\r\n", b"2;a\nb\r\nok\r\n", b"0\n\r\n", b"0\r\n\n",
              b"0\r\nX\r\n\r\n", b"0\r\nX : y\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n",
              b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nConnection: close\r\n\r\n",
              b"2;" + b"a" * 20000 + b"\r\nok\r\n", b"0\r\n" + b"X: y\r\n" * 4000 + b"\r\n"]

CUT = [  # the head has gone out: what ends too early is seen to
    ("a length cut short", [OK + b"Content-Length: 3\r\n\r\nok", CLOSE]),
    ("a length, reset", [OK + b"Content-Length: 3\r\n\r\nok", ANSWERED, RESET]),
    ("chunks cut short", [CHUNKED + b"2\r\nok\r\n", CLOSE]),
    ("a chunk cut short", [CHUNKED + b"5\r\nok", CLOSE]),
    ("a last chunk cut short", [CHUNKED + b"2\r\nok\r\n0\r\n", CLOSE]),
    ("no framing, reset", [OK + b"\r\nok", ANSWERED, RESET]),
]

STAYS = [  # an answer, and no more than that: (name, method, script, status, body)
    ("one response", b"GET", [TWO], 200, b"ok"),
    ("two responses to one request", b"GET", [TWO + POISON], 200, b"ok"),
    ("three of them", b"GET", [TWO + POISON + POISON], 200, b"ok"),
    ("a second response, later", b"GET", [TWO, ANSWERED, POISON], 200, b"ok"),
    ("half a second response", b"GET", [TWO + POISON[:20]], 200, b"ok"),
    ("half a second response, later", b"GET", [TWO, ANSWERED, POISON[:20]], 200, b"ok"),
    ("bytes behind a length", b"GET", [TWO + b"and more"], 200, b"ok"),
    ("an empty line behind a response", b"GET", [TWO + b"\r\n"], 200, b"ok"),
    ("a response behind the last chunk", b"GET", [CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + POISON], 200, b"ok"),
    ("trailers and extensions", b"GET", [CHUNKED + b"2;a=b\r\nok\r\n0;c\r\nX: y\r\n\r\n"], 200, b"ok"),
    ("a body to HEAD", b"HEAD", [TWO], 200, b""),
    ("a response in a body to HEAD", b"HEAD", [OK + b"Content-Length: %d\r\n\r\n" % len(POISON) + POISON], 200, b""),
    ("a chunked body to HEAD", b"HEAD", [CHUNKED + b"2\r\nok\r\n0\r\n\r\n"], 200, b""),
    ("HEAD", b"HEAD", [OK + b"Content-Length: 100\r\n\r\n"], 200, b""),
    ("HEAD, chunked", b"HEAD", [CHUNKED], 200, b""),
    ("204", b"GET", [b"HTTP/1.1 204 None\r\n\r\n"], 204, b""),
    ("204 with length 0", b"GET", [b"HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n"], 204, b""),
    ("100 with a length", b"GET", [b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n" + TWO], 200, b"ok"),
    ("103 with a coding", b"GET", [b"HTTP/1.1 103 Hints\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + TWO], 200, b"ok"),
    ("204 with a body", b"GET", [b"HTTP/1.1 204 None\r\nContent-Length: %d\r\n\r\n" % len(POISON) + POISON], 204, b""),
    ("204 with a body, later", b"GET", [b"HTTP/1.1 204 None\r\nContent-Length: %d\r\n\r\n" % len(POISON), ANSWERED, POISON], 204, b""),
    ("204 with chunks", b"GET", [b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + POISON], 204, b""),
    ("204 with an odd coding", b"GET", [b"HTTP/1.1 204 None\r\nTransfer-Encoding: gzip\r\n\r\n" + POISON], 204, b""),
    ("a response behind 204", b"GET", [b"HTTP/1.1 204 None\r\n\r\n" + POISON], 204, b""),
    ("304", b"GET", [b"HTTP/1.1 304 Same\r\nContent-Length: 100\r\n\r\n"], 304, b""),
    ("304 with a body", b"GET", [b"HTTP/1.1 304 Same\r\nContent-Length: %d\r\n\r\n" % len(POISON) + POISON], 304, b""),
    ("an empty response", b"GET", [OK + b"Content-Length: 0\r\n\r\n"], 200, b""),
    ("100 unasked", b"GET", [b"HTTP/1.1 100 Continue\r\n\r\n" + TWO], 200, b"ok"),
    ("103, 102, 103", b"GET", [b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n" * 2, TWO], 200, b"ok"),
    ("a response and a reset", b"GET", [TWO, ANSWERED, RESET], 200, b"ok"),
    ("a response and an end", b"GET", [TWO, ANSWERED, CLOSE], 200, b"ok"),
]


# A head as the pod sends it, and as it arrives.
HEADS = [
    ("a field that Connection names", OK + b"X-In: 1\r\nConnection: x-in, Keep-Alive\r\nKeep-Alive: timeout=5\r\nY: z\r\nContent-Length: 2\r\n\r\nok",
     OK + b"Connection: Keep-Alive\r\nY: z\r\nContent-Length: 2\r\n\r\n"),
    ("an offer of h2, as Apache makes it", OK + b"Upgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\nok",
     OK + b"Content-Length: 2\r\n\r\n"),
    ("426", b"HTTP/1.1 426 Upgrade\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n", None),
    ("204 with length 0", b"HTTP/1.1 204 None\r\nContent-Length: 0\r\nX: y\r\n\r\n", b"HTTP/1.1 204 None\r\nX: y\r\n\r\n"),
    ("204 with a coding", b"HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n", b"HTTP/1.1 204 None\r\nX: y\r\n\r\n"),
    ("100 with a length", b"HTTP/1.1 100 Continue\r\nContent-Length: 5\r\nX: y\r\n\r\n" + TWO, b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"),
    ("304 with a length", b"HTTP/1.1 304 Same\r\nContent-Length: 100\r\n\r\n", None),
    ("304 with a coding", b"HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    ("odd and plain", OK + b"content-LENGTH:2\r\nX-Empty:\r\nConnection:\r\nset-cookie: a\r\nSet-Cookie: b\r\n\r\nok", None),
]


def run_script(script, s, reader, answered):
    for step in script:
        if step is ANSWERED:
            answered.wait(WAIT_S)
        elif step in (CLOSE, RESET):
            if step == RESET:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise Gone(step)
        else:
            s.sendall(step)
    reader.fill()  # the next request, or the end: what was sent behind the answer costs the connection
    return True


class Case:
    """A client and a pod with a script for the first request; every further one gets a plain answer."""

    def __init__(self, run, token, script):
        self.run, self.token = run, token
        self.answered = threading.Event()

        def answer(request, s, reader):
            request.read_body(reader)
            if not request.first[1].endswith("/1"):
                return plain_answer(request, s)
            return run_script(script, s, reader, self.answered)

        run.pod.answers[token] = answer

    def request(self, n, method=b"GET", fields=b""):
        return b"%s /%s/%d HTTP/1.1\r\nHost: shop\r\n%s\r\n" % (method, self.token.encode(), n, fields)

    def logged(self, port, ends):
        got = [line["end"] for line in self.run.log.wait(port, len(ends))]
        return None if got == ends else f"the log says {got}, not {ends}"


def refused(run, token, script, reasons):
    """502, an end, and a line in the log that says why."""
    case = Case(run, token, script)
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1))
        status, _, body = read_response(reader)
        send(s, [case.request(2)])
        end, port = reader.to_end(), s.getsockname()[1]
    if (status, end) != (502, "closed") or b"poison" in bytes(reader.data) or reader.rest():
        return f"{status} {end} {body!r} {reader.rest()!r}"
    lines = run.log.wait(port, 1)
    if len(lines) != 1 or lines[0]["end"] not in reasons or not lines[0].get("detail"):
        return f"the log says {[(x['end'], x.get('detail')) for x in lines]}"
    return None


def cut(run, token, script, wanted):
    """The beginning arrives, then a reset: no client takes it for the whole, nothing follows it."""
    case = Case(run, token, script)
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1))
        try:
            reader.until(wanted)
            case.answered.set()
            end = reader.to_end()
        except Gone as e:
            end = str(e)
        port = s.getsockname()[1]
    if end != "reset":
        return end
    if b"poison" in reader.data or not b"".join(x for x in script if isinstance(x, bytes)).startswith(reader.data):
        return f"more than the beginning: {bytes(reader.data)!r}"
    lines = run.log.wait(port, 1)
    if len(lines) != 1 or lines[0]["end"] not in ("bad_response", "server_reset"):
        return f"the log says {[x['end'] for x in lines]}"
    return None


def stays(run, token, method, script, status, body):
    """The answer, and then the second request's own."""
    case = Case(run, token, script)
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1, method))
        got = read_response(reader, method == b"HEAD")
        if (got[0], got[2]) != (status, body) or reader.rest():
            return f"{got[0]} {got[2]!r} {reader.rest()!r}"
        case.answered.set()
        if ANSWERED in script:
            run.pod.received(token)  # what the pod sent has been seen, and has cost its connection
        port = s.getsockname()[1]
        s.sendall(case.request(2))
        try:
            got = read_response(reader)
        except Gone as e:
            # The pod's end and the request may be on their way at the same time: who kept the connection is told.
            if script[-1] not in (CLOSE, RESET) or str(e) != "closed" or reader.rest():
                return f"then {e} {reader.rest()!r}"
            return case.logged(port, ["closed", "server_reset"])
        if (got[0], got[2]) != (200, f"/{token}/2".encode()) or reader.rest():
            return f"then {got[0]} {got[2]!r} {reader.rest()!r}"
    return case.logged(port, ["closed", "closed"])


def pipelined(run, token, method, script, status, body):
    """The same with the second request on its way before the first answer."""
    case = Case(run, token, script)
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1, method) + case.request(2))
        got = read_response(reader, method == b"HEAD")
        if (got[0], got[2]) != (status, body):
            return f"{got[0]} {got[2]!r}"
        try:
            got = read_response(reader)
        except Gone:
            return None  # seen to have failed; nobody's answer is another's
        if (got[0], got[2]) != (200, f"/{token}/2".encode()) or reader.rest():
            return f"then {got[0]} {got[2]!r} {reader.rest()!r}"
    return None


def head(run, token, text, arrives):
    """What arrives of the first head."""
    case = Case(run, token, [text])
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1))
        got = reader.until(b"\r\n\r\n")
    wanted = arrives or text[:text.index(b"\r\n\r\n") + 4]
    return None if got == wanted else f"{got!r}"


# ---- cases that are more than bytes --------------------------------------------------------------


def speaks_first(run, token):
    """A pod that speaks another protocol, first, and waits: nobody waits with it."""
    case = Case(run, token, [TWO])
    run.pod.greetings[token] = b"220 poison\r\n"
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1))
        status = read_response(reader)[0]
        port = s.getsockname()[1]
    del run.pod.greetings[token]
    if status != 502 or b"poison" in reader.data:
        return f"{status} {bytes(reader.data)!r}"
    lines = run.log.wait(port, 1)
    return None if [x["end"] for x in lines] == ["bad_response"] else f"the log says {lines}"


def kept_connection_closes(run, token):
    """The pod closes a kept connection instead of answering: the client sees that, and no answer of ours."""
    case = Case(run, token, [TWO])
    plain = run.pod.answers[token]

    def answer(request, s, reader):
        if request.first[1].endswith("/2"):
            raise Gone(CLOSE)
        return plain(request, s, reader)

    run.pod.answers[token] = answer
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1))
        if read_response(reader)[0] != 200:
            return "no first answer"
        s.sendall(case.request(2))
        end, port = reader.to_end(), s.getsockname()[1]
    if end != "closed" or reader.rest():
        return f"{end} {reader.rest()!r}"
    return case.logged(port, ["closed", "server_reset"])


def early_answer(run, token):
    """The pod answers before it has read the body, and goes on reading: every byte arrives, and the
    connection stays."""
    body = bytes(range(256)) * 4096
    got = bytearray()
    whole = threading.Event()

    def answer(request, s, reader):
        if request.first[1].endswith("/2"):
            return plain_answer(request, s)
        s.sendall(TWO)
        got.extend(reader.take(len(body)))
        whole.set()
        return True

    case = Case(run, token, [])
    run.pod.answers[token] = answer
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1, b"POST", b"Content-Length: %d\r\n" % len(body)) + body[:1])
        if read_response(reader)[0] != 200:
            return "no early answer"
        send(s, [body[1:], case.request(2)])
        if not whole.wait(WAIT_S) or bytes(got) != body:
            return f"{len(got)} bytes of the body arrived"
        status, _, text = read_response(reader)
        port = s.getsockname()[1]
    if (status, text) != (200, f"/{token}/2".encode()):
        return f"{status} {text!r}"
    return case.logged(port, ["closed", "closed"])


def early_refusal(run, token):
    """The pod refuses and closes in the middle of an upload: the client gets the refusal, not a reset, also if
    it has not read it yet while it goes on sending."""
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    case = Case(run, token, [])

    def answer(request, s, reader):
        reader.take(1)
        s.sendall(refusal)
        s.shutdown(socket.SHUT_WR)
        reader.to_end()
        raise Gone(CLOSE)

    run.pod.answers[token] = answer
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1, b"POST", b"Content-Length: 100000000\r\n"))
        sent = []
        feeder = threading.Thread(target=lambda: sent.append(send(s, [b"x" * 30000000])))
        feeder.start()
        feeder.join(0.5)
        if sent == [False]:
            return "the upload failed before the refusal was read"
        status, _, body = read_response(reader)
        feeder.join()
        port = s.getsockname()[1]
    return case.logged(port, ["closed"]) if (status, body) == (413, b"no") else f"{status} {body!r}"


def whole_messages_end_in_order(run, token):
    """Connection: close. The pod, which waits for the client to close first, sees an end and no reset."""
    how = []
    ended = threading.Event()
    case = Case(run, token, [])

    def answer(request, s, reader):
        s.sendall(TWO)
        how.append(reader.to_end())
        ended.set()
        return False

    run.pod.answers[token] = answer
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1, fields=b"Connection: close\r\n"))
        status = read_response(reader)[0]
        end = reader.to_end()
    ended.wait(WAIT_S)
    return None if (status, end, how) == (200, "closed", ["closed"]) else f"{status} {end} {how}"


def half_closed(run, token):
    """A client that has finished still gets its answers, the pod's and ours; one log line each."""
    case = Case(run, token, [TWO])
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(1) + case.request(2).replace(b" /", b" /admin/") + case.request(3))
        s.shutdown(socket.SHUT_WR)
        statuses = [read_response(reader)[0] for _ in range(3)]
        end, port = reader.to_end(), s.getsockname()[1]
    if (statuses, end) != ([200, 403, 200], "closed"):
        return f"{statuses} {end}"
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(case.request(2).replace(b" /", b" /admin/"))
        s.shutdown(socket.SHUT_WR)
        status = read_response(reader)[0]
        end, second = reader.to_end(), s.getsockname()[1]
    if (status, end) != (403, "closed"):
        return f"{status} {end}"
    run.pod.received(token)  # its connections have ended: whatever is logged has been
    return case.logged(port, ["closed", "denied", "closed"]) or case.logged(second, ["denied"])


SPECIAL = [kept_connection_closes, early_answer, early_refusal, whole_messages_end_in_order, half_closed]


def alone(run):
    """Not beside others: every connection is greeted."""
    yield "502: a pod that speaks first", lambda: speaks_first(run, "r9999")


def cases(run):
    rows = []
    for name, script in BAD_GATEWAY:
        rows.append((f"502: {name}", lambda t, s=script: refused(run, t, s, ("bad_response", "server_reset"))))
    for i, chunk in enumerate(BAD_CHUNKS):
        rows.append((f"reset: chunk {i}, {chunk[:24]!r}",
                     lambda t, c=chunk: cut(run, t, [CHUNKED, ANSWERED, c + POISON], b"\r\n\r\n")))
    for name, script in CUT:
        rows.append((f"reset: {name}", lambda t, s=script: cut(run, t, s, b"ok")))
    for row in STAYS:
        rows.append((f"mispairs nothing: {row[0]}", lambda t, r=row: stays(run, t, *r[1:])))
        if ANSWERED not in row[2]:
            rows.append((f"mispairs nothing, pipelined: {row[0]}", lambda t, r=row: pipelined(run, t, *r[1:])))
    for name, text, arrives in HEADS:
        rows.append((f"head: {name}", lambda t, x=text, a=arrives: head(run, t, x, a)))
    for special in SPECIAL:
        rows.append((special.__name__.replace("_", " "), lambda t, f=special: f(run, t)))
    for n, (name, case) in enumerate(rows):
        yield name, (lambda t=f"r{n:04}", c=case: c(t))
