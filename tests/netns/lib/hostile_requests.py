# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile client sends to a pod whose /admin is denied; see hostile_http.py. A case is (name, bytes,
statuses, what arrives at the pod, how the connection ends). What is refused is followed by a request that
must never arrive and never be answered."""
import threading
import time

from hostile_http import Gone, Reader, WAIT_S, converse, dial, plain_answer, read_response, send, sent

HOST = b"Host: shop\r\n"
ADMIN = b"GET /admin HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
HIDDEN = b"GET /@/hidden HTTP/1.1\r\n" + HOST + b"\r\n"
ENDS = {200: "closed", 400: "bad_request", 403: "denied", 408: "header_timeout", 431: "too_large",
        501: "bad_request", 426: "closed", 417: "closed", 101: "closed"}
MANY = 200

# ---- fields and framing: POST, Host, these, an empty line, the rest ------------------------------

FRAMING = [
    ("length and chunked", b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    ("chunked and length", b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"0\r\n\r\n"),
    ("chunked and length 0", b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", b"0\r\n\r\n"),
    ("two equal lengths", b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"),
    ("two lengths", b"Content-Length: 0\r\nContent-Length: 44\r\n", b""),
    ("a list of lengths", b"Content-Length: 0, 44\r\n", b""),
    ("a list of equal lengths", b"Content-Length: 5, 5\r\n", b"hello"),
    ("length +0", b"Content-Length: +0\r\n", b""),
    ("length -1", b"Content-Length: -1\r\n", b""),
    ("length 0x5", b"Content-Length: 0x5\r\n", b"hello"),
    ("length 0 5", b"Content-Length: 0 5\r\n", b"hello"),
    ("length 5.0", b"Content-Length: 5.0\r\n", b"hello"),
    ("length of nothing", b"Content-Length:\r\n", b""),
    ("length 2^63", b"Content-Length: 9223372036854775808\r\n", b""),
    ("length 2^64", b"Content-Length: 18446744073709551616\r\n", b""),
    ("length 2^64 + 5", b"Content-Length: 18446744073709551621\r\n", b"hello"),
    ("length behind a vertical tab", b"Content-Length: \x0b5\r\n", b"hello"),
    ("length, space, colon", b"Content-Length : 5\r\n", b"hello"),
    ("xchunked", b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    ("chunkedx", b"Transfer-Encoding: chunkedx\r\n", b"0\r\n\r\n"),
    ("chunked twice in one", b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
    ("chunked twice in two", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    ("identity", b"Transfer-Encoding: identity\r\n", b""),
    ("identity, then chunked", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    ("chunked, then identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"0\r\n\r\n"),
    ("chunked, identity", b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
    ("gzip, chunked", b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    ("chunked and a comma", b"Transfer-Encoding: chunked,\r\n", b"0\r\n\r\n"),
    ("a comma and chunked", b"Transfer-Encoding: ,chunked\r\n", b"0\r\n\r\n"),
    ("chunked with a parameter", b"Transfer-Encoding: chunked;a=b\r\n", b"0\r\n\r\n"),
    ("quoted chunked", b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n"),
    ("chunked behind a vertical tab", b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    ("chunked, space, colon", b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    ("chunked, tab, colon", b"Transfer-Encoding\t: chunked\r\n", b"0\r\n\r\n"),
    ("chunked, folded", b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    ("chunked behind a bare CR", b"X: y\rTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    ("chunked behind a bare LF", b"X: y\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    ("a NUL in a name", b"Content-Length\x00: 5\r\n", b"hello"),
    ("a NUL in a value", b"X: a\x00b\r\n", b""),
    ("a control character in a value", b"X: \x01\r\n", b""),
    ("DEL in a value", b"X: \x7f\r\n", b""),
    ("an empty name", b": x\r\n", b""),
    ("no colon", b"X\r\n", b""),
    ("a space in a name", b"X Y: z\r\n", b""),
    ("a high byte in a name", b"X\xe4: z\r\n", b""),
    ("a folded field", b"X: a\r\n b\r\n", b""),
    ("a field folded by a tab", b"X: a\r\n\tb\r\n", b""),
    ("a second Host", b"Host: other\r\n", b""),
    ("the same Host twice", b"hOST: shop\r\n", b""),
    ("two Authorizations", b"Authorization: Basic a\r\nauthorization: Basic b\r\n", b""),
    ("an upgrade with a body", b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", b"hello"),
    ("two Upgrades with a body", b"Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\nContent-Length: 5\r\n", b"hello"),
    ("Connection names Host", b"Connection: close, host\r\n", b""),
    ("Connection names a length", b"Content-Length: 5\r\nConnection: Content-Length\r\n", b"hello"),
    ("Connection names a coding", b"Connection:x,,\tTRANSFER-encoding\t\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
]

# Request lines and hosts that get 400, whole heads.
HEADS = [
    ("a space before the method", b" GET /@ HTTP/1.1\r\n" + HOST),
    ("two spaces before the target", b"GET  /@ HTTP/1.1\r\n" + HOST),
    ("two spaces before the version", b"GET /@  HTTP/1.1\r\n" + HOST),
    ("a space behind the version", b"GET /@ HTTP/1.1 \r\n" + HOST),
    ("a tab for a space", b"GET /@\tHTTP/1.1\r\n" + HOST),
    ("a space in the target", b"GET /@ /admin HTTP/1.1\r\n" + HOST),
    ("a NUL in the target", b"GET /@\x00 HTTP/1.1\r\n" + HOST),
    ("http/1.1", b"GET /@ http/1.1\r\n" + HOST),
    ("HTTP/1.10", b"GET /@ HTTP/1.10\r\n" + HOST),
    ("RTSP", b"GET /@ RTSP/1.0\r\n" + HOST),
    ("ICE", b"SOURCE /@ ICE/1.0\r\n" + HOST),
    ("no version", b"GET /@ \r\n" + HOST),
    ("a bare CR for the first line's end", b"GET /@ HTTP/1.1\r" + HOST),
    ("a bare LF for the first line's end", b"GET /@ HTTP/1.1\n" + HOST),
    ("no Host", b"GET /@ HTTP/1.1\r\n"),
    ("a folded first field", b"GET /@ HTTP/1.1\r\n Host: shop\r\n"),
    ("Host with a space", b"GET /@ HTTP/1.1\r\nHost: shop x\r\n"),
    ("Host with a list", b"GET /@ HTTP/1.1\r\nHost: shop, other\r\n"),
    ("Host with a path", b"GET /@ HTTP/1.1\r\nHost: shop/x\r\n"),
    ("Host with user information", b"GET /@ HTTP/1.1\r\nHost: u@@shop\r\n"),
    ("Host with no port's number", b"GET /@ HTTP/1.1\r\nHost: shop:99999\r\n"),
    ("Host with half an address", b"GET /@ HTTP/1.1\r\nHost: [::1\r\n"),
    ("absolute-form of another host", b"GET http://other/@ HTTP/1.1\r\n" + HOST),
    ("absolute-form with user information", b"GET http://shop@@other/@ HTTP/1.1\r\n" + HOST),
    ("absolute-form of another scheme", b"GET https://shop/@ HTTP/1.1\r\n" + HOST),
    ("absolute-form with a fragment", b"GET http://shop/@#x HTTP/1.1\r\n" + HOST),
    ("authority-form", b"GET shop:80 HTTP/1.1\r\nX: @\r\n" + HOST),
    ("asterisk-form and GET", b"GET * HTTP/1.1\r\nX: @\r\n" + HOST),
    ("no slash", b"GET @ HTTP/1.1\r\n" + HOST),
    ("an LF before the request", b"\nGET /@ HTTP/1.1\r\n" + HOST),
    ("a CR before the request", b"\rGET /@ HTTP/1.1\r\n" + HOST),
    ("CR CR LF before the request", b"\r\r\nGET /@ HTTP/1.1\r\n" + HOST),
    ("many empty lines before the request", b"\r\n" * MANY + b"GET /@ HTTP/1.1\r\n" + HOST),
]

UNKNOWN = [  # 501
    ("CONNECT", b"CONNECT shop:80 HTTP/1.1\r\nX: @\r\n" + HOST),
    ("CONNECT of a path", b"CONNECT /@ HTTP/1.1\r\n" + HOST),
    ("HTTP/1.2", b"GET /@ HTTP/1.2\r\n" + HOST),
    ("HTTP/2.0", b"GET /@ HTTP/2.0\r\n" + HOST),
    ("HTTP/0.9", b"GET /@\r\n"),
    ("PRI", b"PRI /@ HTTP/1.1\r\n" + HOST),
    ("a method of 65 letters", b"M" * 65 + b" /@ HTTP/1.1\r\n" + HOST),
]

NO_HTTP = [  # reset
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ("HTTP/2 with prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ("PostgreSQL", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"),
    ("a method that is no token", b"G(T /@ HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("RESP", b"*1\r\n$4\r\nPING\r\n"),
]

# The head has gone to the pod; the chunk that breaks its grammar does not follow it.
CHUNKS = [b"zz\r\n", b"\r\n", b" 5\r\nhello\r\n", b"5\nhello\r\n", b"5\r\nhello\n0\r\n\r\n",
          b"5\r\nhello0\r\n\r\n", b"5\r\nhello!\r\n", b"0x5\r\nhello\r\n", b"+5\r\nhello\r\n", b"-1\r\n",
          b"8000000000000000\r\n", b"10000000000000005\r\nhello\r\n", b"5;\r\nhello\r\n", b"5;a\nb\r\nhello\r\n",
          b'5;a="b\nc"\r\nhello\r\n', b"5 ;\r\nhello\r\n", b'5;a="b\r\nhello\r\n',
          b"5;a\rb\r\nhello\r\n", b"0\n\r\n", b"0\r\n\n", b"0\r\nX\r\n\r\n",
          b"0\r\nX : y\r\n\r\n", b"0\r\nX: y\r\n z\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n",
          b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nHost: other\r\n\r\n",
          b"0\r\nAuthorization: Basic a\r\n\r\n", b"0\r\nConnection: close\r\n\r\n",
          b"0\r\nX-Role: admin\r\n\r\n", b"0\r\nX: y\r\nx_ROLE: admin\r\n\r\n", b"0\r\nX-Original-URL: /admin\r\n\r\n",
          b"0\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
          b"1;" + b"a" * 20000 + b"\r\nx\r\n", b"0\r\n" + b"X: y\r\n" * 4000 + b"\r\n"]

# ---- paths ---------------------------------------------------------------------------------------

DENIED = [b"/admin", b"/admin/", b"/admin/x", b"//admin", b"///admin///", b"/./admin", b"/.//admin", b"/x/../admin",
          b"/../admin", b"/../../admin", b"/x/y/../../admin", b"/x/./../admin", b"/x//../admin", b"/x/..//admin",
          b"/admin/.", b"/admin/./", b"/admin/x/..", b"/admin/../admin", b"/%61dmin", b"/a%64min",
          b"/%61%64%6d%69%6e", b"/%61%64%6D%69%6E", b"/%2e/admin", b"/%2E/admin", b"/x/%2e%2e/admin",
          b"/x/%2E%2e/admin", b"/x/%2e./admin", b"/x/.%2E/admin", b"/%2e%2e/%61dmin", b"/admin;x", b"/admin;x=1/y",
          b"/admin;", b"/;x/admin", b"/;/admin", b"/x;y/../admin", b"/admin%3bx", b"/admin/;/x",
          # in a reading that some server has
          b"/admin%20", b"/admin%09", b"/admin%0A", b"/admin%0d%0a", b"/admin%1f", b"/admin%85", b"/admin%A0", b"/admin%c2%a0",
          b"/admin%3F", b"/admin%3fx", b"/admin%23", b"/admin%23x", b"/admin.", b"/admin...", b"/admin%20./x", b"/admin%5c",
          b"/admin%2f", b"/admin%252f", b"/Admin", b"/ADMIN/x", b"/%41dmin", b"/%2fadmin", b"/%2Fadmin", b"/x/..%2fadmin",
          b"/x/..%5Cadmin", b"/x/..\\admin", b"/..\\admin", b"/\\admin", b"/%5cadmin", b"/%2561dmin", b"/x/%252e%252e/admin",
          b"/x/..%252fadmin", b"/x/..;/admin", b"/x/..;a=b/admin", b"/..%3b/admin", b"/.;/admin", b"/x/%2e%2e;/admin",
          b"//x/admin", b"//x:80/admin/y", b"/\\x/admin", b"/x/..%20/admin", b"/.../admin", b"/admin/../x", b"/admin/..",
          b"/x/../%61dmin%20;y/"]
BAD_PATHS = [b"/%00", b"/admin%00", b"/admin%2500",
             b"/%00/../admin", b"/%zz", b"/%", b"/%2", b"/%u0061dmin", b"/%%61dmin", b"/#", b"/#/../admin", b"/admin#",
             b"/%c0%ae%c0%ae/admin", b"/%c0%afadmin", b"/x/%C0%AE%c0%ae/admin", b"/%c1%9cadmin", b"/%e0%80%afadmin",
             b"/%e0%9f%81", b"/%f0%80%80%afadmin", b"/%f8%80%80%80%afadmin", b"/%fc%80%80%80%80%afadmin",
             b"/%25c0%25af", b"/\xc3\xa4", b"/\x7f", b"/a\tb", b"/x%2f..%5c;y//%2e%20/" * 350]
# They arrive as they were sent.
OTHER = [b"/administrator", b"/admi", b"/x/admin", b"/x%2Fadmin", b"/x%2fadmin", b"/x%5cadmin", b"/x%5Cadmin", b"/x\\admin",
         b"/%252561dmin", b"/x;y/z", b"/x;admin", b"/.admin", b"/x%23admin", b"/x%3fadmin", b"/x%20admin", b"/100%25",
         b"//x//y", b"/x//y", b"/x/./y", b"/x/../y", b"/%7Eu/%2d", b"/%c3%a4", b"/%e4", b"/", b"/x/.", b"/x/..", b"/:80",
         b"/api/queues/%2F/q", b"/group%2Fproject", b"/@scope%2fname", b"/fetch/http://a/b", b"/x/%2e%2e/%2e%2e/y",
         b"/.well-known/x", b"/caf%c3%a9%20", b"/a[b]{c}|^\"<>`"]

# ---- odd, and plain ------------------------------------------------------------------------------

PASSES = [  # name, bytes, statuses, arrives (None: as sent)
    ("an empty line before the request", b"\r\nGET /@ HTTP/1.1\r\n" + HOST + b"\r\n", [200],
     b"GET /@ HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("empty lines between requests", b"\r\n\r\nGET /@ HTTP/1.1\r\n" + HOST + b"\r\n\r\nPOST /@ HTTP/1.1\r\n" + HOST +
     b"Content-Length: 2\r\n\r\nab\r\n\r\nGET /@ HTTP/1.1\r\n" + HOST + b"\r\n\r\n", [200, 200, 200],
     b"GET /@ HTTP/1.1\r\n" + HOST + b"\r\nPOST /@ HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab" +
     b"GET /@ HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("HTTP/1.0", b"GET /@ HTTP/1.0\r\n\r\n", [200], None),
    ("HTTP/1.0 that stays", b"GET /@ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2, [200, 200], None),
    ("an empty Host", b"GET /@ HTTP/1.1\r\nHost:\r\n\r\n", [200], None),
    ("odd letters and odd names", b"GET /@ HTTP/1.1\r\nhOST:\tshop \t\r\nX-Empty:\r\nX-Empty:\r\n!#$%&'*+-.^_`|~: \xe4\xff\r\n\r\n",
     [200], None),
    ("a request in a body", b"POST /@ HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(ADMIN) + ADMIN +
     HIDDEN, [200, 200], None),
    ("a request in a chunk", b"POST /@ HTTP/1.1\r\n" + HOST + CHUNKED + b"%x\r\n" % len(ADMIN) + ADMIN +
     b"\r\n0\r\n\r\n" + HIDDEN, [200, 200], None),
    ("an end in a chunk", b"POST /@ HTTP/1.1\r\n" + HOST + CHUNKED +
     b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", [200], None),
    ("extensions and trailers", b"POST /@ HTTP/1.1\r\n" + HOST + b"TE: trailers\r\n" + CHUNKED +
     b'005;a;b=c;d="e;f"\r\nhello\r\n00\r\nX-Sum: 1\r\nX-Roles: 2\r\nX-Empty:\r\n\r\n', [200], None),
    ("sizes with blanks behind them", b"POST /@ HTTP/1.1\r\n" + HOST + CHUNKED + b"5  \r\nhello\r\n0 \r\n\r\n", [200], None),
    ("extensions with blanks", b"POST /@ HTTP/1.1\r\n" + HOST + CHUNKED + b'5 ; a\t; b = "c;d" ;e=f\r\nhello\r\n0 ;a\r\n\r\n', [200], None),
    ("absolute-form", b"GET http://shop/@?q HTTP/1.1\r\n" + HOST + b"\r\n", [200],
     b"GET /@?q HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("absolute-form without a path", b"GET HTTP://SHOP HTTP/1.1\r\nX: @\r\n" + HOST + b"\r\n", [200],
     b"GET / HTTP/1.1\r\nX: @\r\n" + HOST + b"\r\n"),
    ("Upgrade in HTTP/1.0", b"GET /@ HTTP/1.0\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
     [200], b"GET /@ HTTP/1.0\r\n" + HOST + b"\r\n"),
    ("Upgrade without Connection", b"GET /@ HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\n\r\n", [200], None),
    # what Connection names is this hop's; what belongs to an offer goes with it
    ("a field that Connection names", b"GET /@ HTTP/1.1\r\n" + HOST + b"X-A: 1\r\nB: 2\r\nConnection: keep-alive, x-a ,close-ish\r\nx-A:\r\n\r\n",
     [200], b"GET /@ HTTP/1.1\r\n" + HOST + b"B: 2\r\nConnection: keep-alive\r\n\r\n"),
    ("TE and Keep-Alive", b"GET /@ HTTP/1.1\r\nTE: trailers\r\nConnection: TE\r\n" + HOST + b"Connection: Keep-Alive\r\nKeep-Alive: 5\r\n\r\n",
     [200], b"GET /@ HTTP/1.1\r\n" + HOST + b"Connection: Keep-Alive\r\n\r\n"),
    ("an offer of h2c, as Java's HttpClient makes it", b"GET /@ HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n"
     b"Content-Length: 0\r\n" + HOST + b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n"
     b"User-Agent: Java-http-client/17.0.17\r\n\r\n", [200],
     b"GET /@ HTTP/1.1\r\nContent-Length: 0\r\n" + HOST + b"User-Agent: Java-http-client/17.0.17\r\n\r\n"),
    ("an offer of h2c with a body", b"POST /@ HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 2\r\n" + HOST +
     b"HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nUpgrade: h2c\r\n\r\nab", [200],
     b"POST /@ HTTP/1.1\r\nContent-Length: 2\r\n" + HOST + b"\r\nab"),
    ("an offer of TLS, as Apache's HttpClient makes it", b"GET /@ HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\nUpgrade: TLS/1.2\r\n"
     b"Connection: Upgrade\r\n\r\n", [200], b"GET /@ HTTP/1.1\r\n" + HOST + b"Connection: keep-alive\r\n\r\n"),
    ("offers in odd case and odd places", b"GET /@ HTTP/1.1\r\nuPGRADE: H2C,,foo/1\r\n" + HOST + b"cONNECTION:\tupGRADE\r\nUpgrade:\r\n\r\n", [200],
     b"GET /@ HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("a websocket's offer that is not taken", b"GET /@ HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
     [200], None),
    ("a websocket's offer among others", b"GET /@ HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\n"
     b"HTTP2-Settings: AAMAAABk\r\n\r\n", [200], b"GET /@ HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
] + [  # methods are any token
    (f"method {m.decode()}", m + b" /@ HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN, [200, 200], None)
    for m in (b"BAN", b"VERSION-CONTROL", b"RPC_IN_DATA", b"get", b"connect", b"MAKECOFFEE", b"SOURCE", b"!#$%&'*+-.^_`|~9z", b"M" * 64)
] + [  # a body that may stay unread is the last of the pod's connection, and not of the client's
    (f"{m.decode()} with {how}", m + b" /@ HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body + HIDDEN, [200, 200],
     m + b" /@ HTTP/1.1\r\n" + HOST + b"".join(f for f in fields.splitlines(True) if not f.startswith(b"Connection")) +
     b"Connection: close\r\n\r\n" + body + HIDDEN)
    for m in (b"GET", b"DELETE", b"OPTIONS", b"BAN", b"COPY", b"post")
    for how, fields, body in (("a body", b"Content-Length: %d\r\n" % len(ADMIN), ADMIN),
                              ("chunks", CHUNKED[:-2], b"%x\r\n" % len(ADMIN) + ADMIN + b"\r\n0\r\n\r\n"),
                              ("a body and Connections", b"Connection: keep-alive\r\nContent-Length: 2\r\nConnection: Keep-Alive, x\r\n", b"ab"))
] + [
    (f"{m.decode()} with a body", m + b" /@ HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nab" + HIDDEN, [200, 200], None)
    for m in (b"POST", b"PUT", b"PATCH", b"QUERY", b"PROPFIND", b"REPORT", b"LOCK", b"MKCOL", b"SEARCH")
] + [
    ("a length of 0 is no body", b"DELETE /@ HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n" + HIDDEN, [200, 200], None),
    ("a hundred fields", b"GET /@ HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 99 + b"\r\n", [200], None),
]




def fill(text, token):
    """'@' stands for the token, '@@' for itself."""
    return b"@".join(part.replace(b"@", token.encode()) for part in text.split(b"@@"))


def wrong_log(run, port, reasons, statuses):
    lines = run.log.wait(port, len(reasons))
    got = [(line["end"], line.get("http.response.status_code")) for line in lines]
    if got != list(zip(reasons, statuses or [None])):
        return f"the log says {got}"
    for line in lines:
        if line["end"] == "denied" and line.get("rule") != "no-admin":
            return "a denial without its rule"
        if line["end"] in ("bad_request", "too_large", "not_http") and not line.get("detail"):
            return "a refusal without a reason"
    return None


def check(run, token, parts, statuses, arrives, end, reasons=None):
    """arrives: the bytes, or all that it may be the beginning of: ("begins", bytes)."""
    out = converse(run.host, run.port, [fill(p, token) for p in parts], len(statuses), end == "open")
    if out.statuses != statuses or out.end != end or out.extra:
        return f"{out.statuses} {out.end} {out.extra[:80]!r}, not {statuses} {end}"
    got = run.pod.received(token)
    if isinstance(arrives, tuple):
        wrong = not fill(arrives[1], token).startswith(got)
    else:
        wrong = got != fill(arrives, token)
    if wrong:
        return f"the pod got {len(got)} bytes: {got[:300]!r}"
    return wrong_log(run, out.port, reasons or [ENDS[s] for s in statuses] or ["not_http"], statuses)


# ---- cases that are more than bytes --------------------------------------------------------------


def waits_for_continue(run, token):
    """A client that holds its body back until it is asked for it."""
    head = fill(b"POST /@ HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", token)
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(head)
        if not reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 "):
            return f"no 100: {bytes(reader.data)!r}"
        s.sendall(b"hello")
        status, _, body = read_response(reader)
        if (status, body) != (200, b"/" + token.encode()):
            return f"{status} {body!r}"
    return None if run.pod.received(token) == head + b"hello" else "other bytes arrived"


def final_for_expect(run, token):
    """The pod refuses instead of asking for the body. What the client sends next is no request: it could
    be the body that was announced, or not."""

    def refuse(request, s, _):
        plain_answer(request, s, b"HTTP/1.1 417 Expectation Failed\r\n")
        return True

    run.pod.answers[token] = refuse
    head = b"POST /@ HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 500\r\n\r\n"
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(fill(head, token))
        if read_response(reader)[0] != 417:
            return "no 417"
        send(s, [fill(ADMIN + HIDDEN, token)])
        end = reader.to_end()
        if end != "closed" or reader.rest():
            return f"{end}, {reader.rest()!r}"
    return None if run.pod.received(token) == fill(head, token) else "more than the head arrived"


def denied_with_a_body(run, token):
    """What follows is a body that nobody wants, never a request."""
    return check(run, token, [b"POST /admin?@ HTTP/1.1\r\n" + HOST + b"Content-Length: 500\r\n\r\n" + HIDDEN], [403],
                 b"", "closed")


def handshake_refused(run, token):
    """The pod does not upgrade: what follows the handshake is judged as a request."""

    def refuse(request, s, reader):
        request.read_body(reader)
        return plain_answer(request, s, b"HTTP/1.1 426 Upgrade Required\r\n")

    run.pod.answers[token] = refuse
    shake = b"GET /@ HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    return check(run, token, [shake + b"GET /admin/@ HTTP/1.1\r\n" + HOST + b"\r\n" + shake], [426, 403, 426],
                 shake + shake, "open")


def slow_head(run, token):
    """A byte every 50 ms, without an end: 408 when the time for a head is over, not when bytes stop."""
    started = time.monotonic()
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        stop = threading.Event()

        def trickle():
            text = fill(b"GET /@ HTTP/1.1\r\nX: ", token) + b"x" * 10000
            for i in range(len(text)):
                if stop.wait(0.05) or not send(s, [text[i:i + 1]]):
                    return

        feeder = threading.Thread(target=trickle)
        feeder.start()
        try:
            status = read_response(reader)[0]
            took = time.monotonic() - started
            end = reader.to_end()
        except Gone as e:
            return f"{e} after {time.monotonic() - started:.1f} s"
        finally:
            stop.set()
            feeder.join()
        port = s.getsockname()[1]
    if status != 408 or end != "closed" or not 1.9 < took < 5:
        return f"{status} {end} after {took:.1f} s"
    return wrong_log(run, port, ["header_timeout"], [408])


def head_cut_off(run, token):
    """The client finishes in the middle of a head: an answer, a log line."""
    with dial(run.host, run.port) as s:
        s.sendall(fill(b"GET /@ HTTP/1.1\r\nHost: sh", token))
        s.shutdown(1)
        reader = Reader(s)
        status = read_response(reader)[0]
        end, port = reader.to_end(), s.getsockname()[1]
    if (status, end) != (400, "closed"):
        return f"{status} {end}"
    return wrong_log(run, port, ["bad_request"], [400])


def empty_lines_only(run, token):
    """No request: no answer, no log line."""
    with dial(run.host, run.port) as s:
        s.sendall(fill(b"GET /@ HTTP/1.1\r\n" + HOST + b"\r\n\r\n\r\n", token))
        s.shutdown(1)
        reader = Reader(s)
        status = read_response(reader)[0]
        end, port = reader.to_end(), s.getsockname()[1]
    if (status, end) != (200, "closed") or reader.rest():
        return f"{status} {end} {reader.rest()!r}"
    run.pod.received(token)
    return wrong_log(run, port, ["closed"], [200])


def denied_flood(run, token):
    """Thousands of denied requests in one go, read late: every one is answered, in bounded memory."""
    count = 20000
    text = fill(b"GET /admin?@ HTTP/1.1\r\nHost:\r\n\r\n", token) * count
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        feeder = threading.Thread(target=send, args=(s, [text, fill(b"GET /@ HTTP/1.1\r\nHost:\r\n\r\n", token)]))
        feeder.start()
        time.sleep(1)  # nothing is read for so long
        for n in range(count):
            if read_response(reader)[0] != 403:
                return f"answer {n} is no 403"
        status, _, body = read_response(reader)
        feeder.join()
    return None if (status, body) == (200, b"/" + token.encode()) else f"{status} {body!r}"


def pipeline_behind_a_slow_answer(run, token, first):
    """Megabytes behind a request whose answer takes its time: they wait, in bounded memory, and all arrive,
    after an upload (by which windows grow) and after a small request (behind which sources run free)."""
    body = bytes(range(251)) * 20000
    waited = threading.Event()

    def slow(request, s, reader):
        if request.first[1].endswith("/slow"):
            waited.wait(WAIT_S)
            return plain_answer(request, s)
        request.read_body(reader)
        return plain_answer(request, s)

    run.pod.answers[token] = slow
    text = fill(b"POST /@ HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body), token) + body
    begin = text if first == "upload" else fill(b"GET /@ HTTP/1.1\r\n" + HOST + b"\r\n", token)
    slow_one = fill(b"GET /@/slow HTTP/1.1\r\n" + HOST + b"\r\n", token)
    with dial(run.host, run.port) as s:
        reader = Reader(s)
        s.sendall(begin)
        statuses = [read_response(reader)[0]]
        feeder = threading.Thread(target=send, args=(s, [slow_one + text + text]))
        feeder.start()
        time.sleep(1)  # as much as can comes
        waited.set()
        statuses += [read_response(reader)[0] for _ in range(3)]
        feeder.join()
    if statuses != [200] * 4:
        return str(statuses)
    got = run.pod.received(token)
    return None if got == begin + slow_one + text + text else f"{len(got)} bytes arrived"


SPECIAL = [waits_for_continue, final_for_expect, denied_with_a_body, handshake_refused, slow_head, head_cut_off,
           empty_lines_only]

PIPELINE = (b"\r\nPOST /@/1 HTTP/1.1\r\n" + HOST + b"Content-Length: 7\r\n\r\nGET /\r\n" + b"GET /admin?@ HTTP/1.1\r\n" + HOST +
            b"X: y\r\n\r\n" + b"POST /@/3 HTTP/1.1\r\n" + HOST + CHUNKED + b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n" +
            b"GET /@/x/../4 HTTP/1.1\r\n" + HOST + b"\r\n")
ARRIVES = (b"POST /@/1 HTTP/1.1\r\n" + HOST + b"Content-Length: 7\r\n\r\nGET /\r\n" + b"POST /@/3 HTTP/1.1\r\n" + HOST + CHUNKED +
           b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n" + b"GET /@/x/../4 HTTP/1.1\r\n" + HOST + b"\r\n")


def rows(run):
    """(name, parts, statuses, arrives, end)"""
    del run
    post = b"POST /@ HTTP/1.1\r\n" + HOST
    for name, fields, body in FRAMING:
        yield f"400: {name}", [post + fields + b"\r\n" + body + HIDDEN], [400], b"", "closed"
    for name, head in HEADS:
        yield f"400: {name}", [head + b"\r\n" + HIDDEN], [400], b"", "closed"
    yield "400: a coding in HTTP/1.0", [b"POST /@ HTTP/1.0\r\n" + HOST + CHUNKED + b"0\r\n\r\n" + HIDDEN], [400], b"", "closed"
    yield "400: an upgrade that is no GET", [post + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + HIDDEN], [400], b"", "closed"
    for name, head in UNKNOWN:
        yield f"501: {name}", [head + b"\r\n" + HIDDEN], [501], b"", "closed"
    for name, text in NO_HTTP:
        yield f"reset: {name}", [text], [], b"", "reset"
    for i, chunk in enumerate(CHUNKS):
        arrives = ("begins", post + CHUNKED + chunk[:-1])
        yield f"400: chunk {i}, {chunk[:24]!r}", [post + CHUNKED + chunk + HIDDEN], [400], arrives, "closed"
        yield f"400: chunk {i} behind a good one", [post + CHUNKED, b"1\r\nx\r\n", chunk + HIDDEN], [400], \
            ("begins", post + CHUNKED + b"1\r\nx\r\n" + chunk[:-1]), "closed"
    last = b"GET /@ HTTP/1.1\r\n" + HOST + b"\r\n"
    for path in DENIED:
        yield f"403: {path.decode()}", [b"GET %s?@ HTTP/1.1\r\n" % path + HOST + b"\r\n" + last], [403, 200], last, "open"
    yield "403: absolute-form", [b"GET http://shop/x/../admin?@ HTTP/1.1\r\n" + HOST + b"\r\n" + last], [403, 200], last, "open"
    for name, target in (("asterisk-form", b"*"), ("absolute-form of a server's options", b"http://shop")):  # no path: unknown
        yield f"403: {name}", [b"OPTIONS %s HTTP/1.1\r\nX: @\r\n" % target + HOST + b"\r\n" + last], [403, 200], last, "open"
    for path in BAD_PATHS:
        yield f"400: {path[:40]!r}", [b"GET %s?@ HTTP/1.1\r\n" % path + HOST + b"\r\n" + HIDDEN], [400], b"", "closed"
    for path in OTHER:
        text = b"GET %s?@ HTTP/1.1\r\n" % path + HOST + b"\r\n"
        yield f"200: {path.decode()}", [text], [200], text, "open"
    for field in (b"X-Original-URL: /admin", b"x-rewrite-url: /x/..%2fadmin?y", b"X_Original_URL: http://shop/admin"):
        yield f"403: {field.decode()}", [b"GET /?@ HTTP/1.1\r\n" + HOST + field + b"\r\n\r\n" + last], [403, 200], last, "open"
    for name, text, statuses, arrives in PASSES:
        end = "closed" if b"HTTP/1.0" in text and b"keep-alive" not in text else "open"
        yield f"200: {name}", [text], statuses, text if arrives is None else arrives, end
    for name, text in [("a target of 9,000 bytes", b"GET /@/" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
                       ("a field of 100,000 bytes", b"GET /@ HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 100000 + b"\r\n\r\n"),
                       ("a line without an end", b"GET /@" + b"a" * 200000),
                       ("101 fields", b"GET /@ HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n"),
                       ("20,000 fields", b"GET /@ HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 20000 + b"\r\n")]:
        yield f"431: {name}", [text + HIDDEN], [431], b"", "closed"
    byte_by_byte = [PIPELINE[i:i + 1] for i in range(len(PIPELINE))]
    yield "a pipeline, byte by byte", byte_by_byte, [200, 403, 200, 200], ARRIVES, "open"
    for cut in range(1, len(PIPELINE)):
        yield f"a pipeline, cut at {cut}", [PIPELINE[:cut], PIPELINE[cut:]], [200, 403, 200, 200], ARRIVES, "open"


def cases(run):
    n = 0
    for name, parts, statuses, arrives, end in rows(run):
        n += 1
        token = f"c{n:04}"
        yield name, (lambda t=token, p=parts, s=statuses, a=arrives, e=end: check(run, t, p, s, a, e))
    for special in SPECIAL:
        n += 1
        yield special.__name__.replace("_", " "), (lambda t=f"c{n:04}", f=special: f(run, t))


def alone(run):
    yield "denied flood", lambda: denied_flood(run, "c9999")
    for n, first in enumerate(("upload", "small request")):
        yield f"pipeline behind a slow answer, after {first}", \
            lambda f=first, t=f"c{9990 + n}": pipeline_behind_a_slow_answer(run, t, f)
