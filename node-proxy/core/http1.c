// SPDX-License-Identifier: GPL-3.0-or-later
// HTTP/1.1 framing over llhttp; see http1.h. llhttp runs strict; the checks added here are those
// which it leaves to its user: the request line's form, Host, versions, transfer codings other than
// chunked, what a trailer must not be, bounds.
#include "core/http1.h"

#include <llhttp.h>

#define CHUNK_OVERHEAD_MAX 16384 // chunk extensions and trailers of one message

static const char other_version[] = "version other than HTTP/1.0 and HTTP/1.1";

_Static_assert(sizeof(llhttp_t) <= sizeof(uint64_t[HTTP1_STATE_WORDS]), "llhttp_t has grown");

static llhttp_t *http1_parser(struct http1 *p)
{
	return (llhttp_t *)p->state;
}

static int http1_fail(struct http1 *p, const char *error)
{
	p->error = error;
	return HPE_USER;
}

// A span that goes on where the last one ended extends it; llhttp may report one value in parts.
static void span_extend(struct slice *s, const char *at, size_t len)
{
	if (s->ptr && s->ptr + s->len == (const uint8_t *)at)
		s->len += len;
	else
		*s = slice_make(at, len);
}

static int on_method(llhttp_t *l, const char *at, size_t len)
{
	struct http1 *p = l->data;

	if (p->message)
		span_extend(&p->message->method, at, len);
	return 0;
}

static int on_url(llhttp_t *l, const char *at, size_t len)
{
	struct http1 *p = l->data;

	if (p->message)
		span_extend(&p->message->target, at, len);
	return 0;
}

static int http1_count_overhead(struct http1 *p, size_t len)
{
	p->overhead_bytes += (uint32_t)len;
	if (p->overhead_bytes > CHUNK_OVERHEAD_MAX)
		return http1_fail(p, "chunk extensions or trailers are too long");
	return 0;
}

static int on_chunk_extension(llhttp_t *l, const char *at, size_t len)
{
	(void)at;
	return http1_count_overhead(l->data, len);
}

// Chunk sizes that a signed reader takes for negative.
static int on_chunk_header(llhttp_t *l)
{
	return l->content_length > INT64_MAX ? http1_fail(l->data, "chunk size is too large") : 0;
}

// Of a trailer's name as much is kept as tells whether it may be one.
static int trailer_name(struct http1 *p, const char *at, size_t len)
{
	size_t room;

	if (!p->in_field)
		p->trailer_bytes = 0;
	p->in_field = true;
	room = sizeof(p->trailer) - p->trailer_bytes;
	memcpy(p->trailer + p->trailer_bytes, at, len < room ? len : room);
	p->trailer_bytes += (uint8_t)(len < room ? len : room);
	return http1_count_overhead(p, len + 4);
}

// What frames, routes or authenticates a message stands in its head (RFC 9110 6.5.1): a server that
// joins trailers to the head would go by what was never judged, and llhttp begins a body anew.
static int trailer_check(struct http1 *p)
{
	static const char *const names[] = {"content-length",
					    "transfer-encoding",
					    "host",
					    "authorization",
					    "proxy-authorization",
					    "cookie",
					    "connection",
					    "upgrade",
					    "expect",
					    "te",
					    "trailer"};
	struct slice name = slice_make(p->trailer, p->trailer_bytes);

	p->in_field = false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (slice_eq_nocase(name, slice_str(names[i])))
			return http1_fail(p, "a trailer that belongs in the head");
	}
	return 0;
}

static int on_header_field(llhttp_t *l, const char *at, size_t len)
{
	struct http1 *p = l->data;
	struct http1_message *m = p->message;

	if (!m)
		return trailer_name(p, at, len);
	if (!p->in_field) {
		if (m->header_count == HTTP1_HEADERS_MAX)
			return http1_fail(p, "too many header fields");
		m->headers[m->header_count++] = (struct http1_header){0};
		p->in_field = true;
	}
	span_extend(&m->headers[m->header_count - 1].name, at, len);
	return 0;
}

static int on_header_value(llhttp_t *l, const char *at, size_t len)
{
	struct http1 *p = l->data;
	struct http1_message *m = p->message;

	if (!m)
		return http1_count_overhead(p, len);
	span_extend(&m->headers[m->header_count - 1].value, at, len);
	return 0;
}

static int on_header_value_complete(llhttp_t *l)
{
	struct http1 *p = l->data;
	struct http1_message *m = p->message;

	if (!m)
		return trailer_check(p);
	struct http1_header *h = &m->headers[m->header_count - 1];

	h->value = slice_trim_ows(h->value);
	p->in_field = false;
	return 0;
}

static int on_headers_complete(llhttp_t *l)
{
	struct http1 *p = l->data;
	struct http1_message *m = p->message;

	p->head_done = true;
	m->minor = l->http_minor;
	m->status = (uint16_t)l->status_code;
	m->upgrade = l->upgrade && l->http_minor == 1; // RFC 9110 7.8
	m->chunked = (l->flags & F_CHUNKED) != 0;
	m->has_length = (l->flags & F_CONTENT_LENGTH) != 0;
	m->content_length = m->has_length ? l->content_length : 0;
	p->message = NULL; // header callbacks from here on are trailers
	return p->skip_body ? 1 : 0;
}

static int on_message_complete(llhttp_t *l)
{
	struct http1 *p = l->data;

	p->complete = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t http1_settings = {
	.on_method = on_method,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_chunk_header = on_chunk_header,
	.on_chunk_extension_name = on_chunk_extension,
	.on_chunk_extension_value = on_chunk_extension,
	.on_message_complete = on_message_complete,
};

static void http1_init(struct http1 *p, llhttp_type_t type)
{
	memset(p, 0, sizeof(*p));
	p->is_response = type == HTTP_RESPONSE;
	llhttp_init(http1_parser(p), type, &http1_settings);
	http1_parser(p)->data = p;
}

void http1_init_request(struct http1 *p)
{
	http1_init(p, HTTP_REQUEST);
}

void http1_init_response(struct http1 *p, bool to_head)
{
	http1_init(p, HTTP_RESPONSE);
	p->skip_body = to_head;
}

enum err http1_find_head(struct slice in, size_t *scanned, size_t *head_bytes)
{
	size_t at = *scanned;

	for (;;) {
		const uint8_t *lf = memchr(in.ptr + at, '\n', in.len - at);

		if (!lf)
			break;
		size_t i = (size_t)(lf - in.ptr);

		if (i == 0 || in.ptr[i - 1] != '\r')
			return ERR_MALFORMED; // bare LF
		if (i >= 3 && in.ptr[i - 2] == '\n') {
			*head_bytes = i + 1;
			return ERR_OK;
		}
		if (i == 1)
			return ERR_MALFORMED; // empty first line: llhttp would skip it, servers differ
		*scanned = i;		      // looked at again when the next line has begun
		at = i + 1;
		if (at < in.len && (in.ptr[at] == ' ' || in.ptr[at] == '\t'))
			return ERR_MALFORMED; // obs-fold, RFC 9112 5.2
	}
	return ERR_AGAIN;
}

static enum err http1_reject(struct http1 *p, enum err e, const char *error)
{
	p->error = error;
	return e;
}

static enum err http1_check_framing(struct http1 *p, const struct http1_message *m)
{
	bool seen = false;

	for (uint32_t i = 0; i < m->header_count; i++) {
		const struct http1_header *h = &m->headers[i];

		if (!slice_eq_nocase(h->name, SLICE_LIT("transfer-encoding")))
			continue;
		// One coding, chunked: anything else is where proxies and servers disagree.
		if (seen || !slice_eq_nocase(h->value, SLICE_LIT("chunked")))
			return http1_reject(p, ERR_MALFORMED, "transfer coding other than chunked");
		if (m->minor == 0)
			return http1_reject(p, ERR_MALFORMED, "transfer coding in HTTP/1.0");
		seen = true;
	}
	// llhttp cuts no tab off: it would end such a response with the connection, and a client with a chunk.
	if (seen != m->chunked)
		return http1_reject(p, ERR_MALFORMED, "transfer coding that is read in two ways");
	if (seen && m->has_length)
		return http1_reject(p, ERR_MALFORMED, "both Content-Length and Transfer-Encoding");
	if (m->content_length > INT64_MAX) // negative to a signed reader
		return http1_reject(p, ERR_MALFORMED, "Content-Length is too large");
	return ERR_OK;
}

// METHOD SP TARGET SP HTTP/1.x CRLF and nothing else (RFC 9112 3). llhttp takes several spaces, and
// other protocols' names.
static bool request_line_is_plain(struct slice head, const struct http1_message *m)
{
	static const struct slice version = {(const uint8_t *)" HTTP/1.", 8};
	const uint8_t *end = m->target.ptr + m->target.len;

	return m->method.ptr == head.ptr && m->target.ptr == head.ptr + m->method.len + 1 &&
	       slice_starts(slice_make(end, (size_t)(head.ptr + head.len - end)), version);
}

static void http1_note(struct http1_message *m, const struct http1_header *h, uint32_t *hosts,
		       uint32_t *authorizations, uint32_t *upgrades)
{
	if (slice_eq_nocase(h->name, SLICE_LIT("host"))) {
		m->host = h->value;
		++*hosts;
	} else if (slice_eq_nocase(h->name, SLICE_LIT("authorization"))) {
		++*authorizations;
	} else if (slice_eq_nocase(h->name, SLICE_LIT("expect"))) {
		m->expects_continue = slice_eq_nocase(h->value, SLICE_LIT("100-continue"));
	} else if (slice_eq_nocase(h->name, SLICE_LIT("upgrade"))) {
		m->upgrade_token = h->value;
		++*upgrades;
	}
}

static enum err http1_check_request(struct http1 *p, struct slice head, struct http1_message *m)
{
	uint32_t hosts = 0, authorizations = 0, upgrades = 0;

	if (!request_line_is_plain(head, m))
		return http1_reject(p, ERR_MALFORMED, "request line of other than three parts");
	for (uint32_t i = 0; i < m->header_count; i++)
		http1_note(m, &m->headers[i], &hosts, &authorizations, &upgrades);
	if (hosts > 1)
		return http1_reject(p, ERR_MALFORMED, "two Host fields");
	// One would be verified here and the other believed behind us.
	if (authorizations > 1)
		return http1_reject(p, ERR_MALFORMED, "two Authorization fields");
	if (m->upgrade && upgrades > 1)
		return http1_reject(p, ERR_MALFORMED, "two Upgrade fields");
	if (hosts == 0 && m->minor == 1)
		return http1_reject(p, ERR_MALFORMED, "no Host field");
	if (slice_eq_str(m->method, "CONNECT"))
		return http1_reject(p, ERR_UNSUPPORTED, "CONNECT");
	return ERR_OK;
}

// Where no body can be, a field that says otherwise is read in two ways (RFC 9110 8.6, RFC 9112 6.1).
static enum err http1_check_response(struct http1 *p, struct slice head,
				     const struct http1_message *m)
{
	bool no_body = m->status < 200 || m->status == 204;

	if (!slice_starts(head, SLICE_LIT("HTTP/1."))) // RTSP and ICE, to llhttp
		return http1_reject(p, ERR_MALFORMED, "no HTTP response");
	for (size_t i = strlen("HTTP/1.1 200"); i < head.len && head.ptr[i] != '\r'; i++) {
		if ((head.ptr[i] < ' ' && head.ptr[i] != '\t') || head.ptr[i] == 0x7f)
			return http1_reject(p, ERR_MALFORMED, "control character in the reason");
	}
	if (m->status < 100)
		return http1_reject(p, ERR_MALFORMED, "no such status");
	if (no_body && (m->chunked || m->content_length > 0))
		return http1_reject(p, ERR_MALFORMED, "a body where none can be");
	return ERR_OK;
}

static bool is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i], letter = c | 0x20;

		if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') &&
		    (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.len > 0;
}

// "HTTP/1.2": well-formed, and not spoken here.
static bool is_other_version(struct slice at)
{
	return at.len > 8 && memcmp(at.ptr, "HTTP/", 5) == 0 && at.ptr[5] >= '0' &&
	       at.ptr[5] <= '9' && at.ptr[6] == '.' && at.ptr[7] >= '0' && at.ptr[7] <= '9' &&
	       memcmp(at.ptr + 5, "1.0", 3) != 0 && memcmp(at.ptr + 5, "1.1", 3) != 0;
}

// What llhttp refuses: malformed, or well-formed and unknown to it?
static enum err http1_refused(struct http1 *p, struct slice head, llhttp_errno_t e,
			      struct http1_message *m)
{
	const char *why = llhttp_get_error_reason(http1_parser(p));
	struct slice method = slice_make(head.ptr, slice_find(head, ' '));
	const uint8_t *version = head.ptr;

	if (e == HPE_USER && p->error)
		return ERR_TOO_LARGE;
	if (e == HPE_INVALID_METHOD && m->method.len == 0 && is_token(method)) {
		m->method = method;
		return http1_reject(p, ERR_UNSUPPORTED, "unknown method");
	}
	if (!p->is_response && m->target.len > 0)
		version = m->target.ptr + m->target.len + 1;
	if (e == HPE_INVALID_VERSION &&
	    is_other_version(slice_make(version, (size_t)(head.ptr + head.len - version))))
		return http1_reject(p, ERR_UNSUPPORTED, other_version);
	return http1_reject(p, ERR_MALFORMED, why && *why ? why : llhttp_errno_name(e));
}

enum err http1_head(struct http1 *p, struct slice head, struct http1_message *out)
{
	llhttp_t *l = http1_parser(p);

	out->header_count = 0;
	out->method = out->target = out->host = out->upgrade_token = (struct slice){0};
	out->expects_continue = false;
	p->message = out;
	llhttp_errno_t e = llhttp_execute(l, (const char *)head.ptr, head.len);

	p->message = NULL;
	if (e != HPE_OK && e != HPE_PAUSED && e != HPE_PAUSED_UPGRADE)
		return http1_refused(p, head, e, out);
	if (!p->head_done)
		return http1_reject(p, ERR_MALFORMED, "head ends early");
	if (l->http_major != 1 || l->http_minor > 1)
		return http1_reject(p, ERR_UNSUPPORTED, other_version);
	out->keep_alive = llhttp_should_keep_alive(l);
	enum err err = http1_check_framing(p, out);

	if (err != ERR_OK)
		return err;
	return p->is_response ? http1_check_response(p, head, out)
			      : http1_check_request(p, head, out);
}

enum err http1_body(struct http1 *p, struct slice in, size_t *used, bool *complete)
{
	llhttp_t *l = http1_parser(p);

	*used = 0;
	*complete = p->complete;
	if (p->complete || in.len == 0)
		return ERR_OK;
	llhttp_errno_t e = llhttp_execute(l, (const char *)in.ptr, in.len);

	if (e == HPE_OK) {
		*used = in.len;
	} else if ((e == HPE_PAUSED || e == HPE_PAUSED_UPGRADE) && p->complete) {
		*used = (size_t)((const uint8_t *)llhttp_get_error_pos(l) - in.ptr);
		*complete = true;
	} else {
		const char *why = llhttp_get_error_reason(l);

		if (!p->error)
			p->error = why && *why ? why : llhttp_errno_name(e);
		return ERR_MALFORMED;
	}
	return ERR_OK;
}

bool http1_is_complete(const struct http1 *p)
{
	return p->complete;
}

bool http1_finish(struct http1 *p)
{
	if (p->complete)
		return true;
	llhttp_errno_t e = llhttp_finish(http1_parser(p));

	return (e == HPE_OK || e == HPE_PAUSED) && p->complete;
}

bool http1_find(const struct http1_message *m, struct slice lower_name, struct slice *value)
{
	for (uint32_t i = 0; i < m->header_count; i++) {
		if (!slice_eq_nocase(m->headers[i].name, lower_name))
			continue;
		*value = m->headers[i].value;
		return true;
	}
	return false;
}

uint32_t http1_count(const struct http1_message *m, struct slice lower_name)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->header_count; i++)
		count += slice_eq_nocase(m->headers[i].name, lower_name);
	return count;
}
