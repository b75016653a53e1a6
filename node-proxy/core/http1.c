// SPDX-License-Identifier: GPL-3.0-or-later
// Heads of HTTP/1.1 messages over llhttp; see http1.h. llhttp runs strict; the checks added here are those
// which it leaves to its user: the request line's form, methods, Host, Connection, versions, transfer
// codings other than chunked, bounds.
#include "core/http1.h"

#include <llhttp.h>

static const char other_version[] = "version other than HTTP/1.0 and HTTP/1.1";

// A head on its way through llhttp.
struct head_parse {
	llhttp_t llhttp;
	struct http1_message *message;
	bool too_many;
	bool in_field;
	bool done;
};

// A span that goes on where the last one ended extends it; llhttp may report one value in parts.
static void span_extend(struct slice *s, const char *at, size_t len)
{
	if (s->ptr && s->ptr + s->len == (const uint8_t *)at)
		s->len += len;
	else
		*s = slice_make(at, len);
}

static int on_url(llhttp_t *l, const char *at, size_t len)
{
	struct head_parse *h = l->data;

	span_extend(&h->message->target, at, len);
	return 0;
}

static int on_header_field(llhttp_t *l, const char *at, size_t len)
{
	struct head_parse *h = l->data;
	struct http1_message *m = h->message;

	if (!h->in_field) {
		h->too_many = m->header_count == HTTP1_HEADERS_MAX;
		if (h->too_many)
			return HPE_USER;
		m->headers[m->header_count++] = (struct http1_header){0};
		h->in_field = true;
	}
	span_extend(&m->headers[m->header_count - 1].name, at, len);
	return 0;
}

static int on_header_value(llhttp_t *l, const char *at, size_t len)
{
	struct head_parse *h = l->data;

	span_extend(&h->message->headers[h->message->header_count - 1].value, at, len);
	return 0;
}

static int on_header_value_complete(llhttp_t *l)
{
	struct head_parse *h = l->data;
	struct http1_header *field = &h->message->headers[h->message->header_count - 1];

	field->value = slice_trim_ows(field->value);
	h->in_field = false;
	return 0;
}

// The body is http1_body.c's: here every message ends with its head.
static int on_headers_complete(llhttp_t *l)
{
	struct head_parse *h = l->data;

	h->done = true;
	return 1;
}

static int on_message_complete(llhttp_t *l)
{
	(void)l;
	return HPE_PAUSED;
}

static const llhttp_settings_t http1_settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
	.on_message_complete = on_message_complete,
};

void http1_init_request(struct http1 *p)
{
	memset(p, 0, sizeof(*p));
}

void http1_init_response(struct http1 *p, bool to_head)
{
	memset(p, 0, sizeof(*p));
	p->is_response = true;
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

static enum err check_framing(struct http1 *p, const llhttp_t *l, struct http1_message *m)
{
	m->chunked = false;
	m->has_length = (l->flags & F_CONTENT_LENGTH) != 0;
	m->content_length = m->has_length ? l->content_length : 0;
	if (m->content_length > INT64_MAX) // negative to a signed reader
		return http1_reject(p, ERR_MALFORMED, "Content-Length is too large");
	if (p->is_response && http1_is_bodiless(m->status)) {
		m->chunked = http1_count(m, SLICE_LIT("transfer-encoding")) > 0;
		return ERR_OK; // it frames nothing, whatever it says
	}
	for (uint32_t i = 0; i < m->header_count; i++) {
		const struct http1_header *h = &m->headers[i];

		if (!slice_eq_nocase(h->name, SLICE_LIT("transfer-encoding")))
			continue;
		// One coding, chunked: anything else is where proxies and servers disagree.
		if (m->chunked || !slice_eq_nocase(h->value, SLICE_LIT("chunked")))
			return http1_reject(p, ERR_MALFORMED, "transfer coding other than chunked");
		if (m->minor == 0)
			return http1_reject(p, ERR_MALFORMED, "transfer coding in HTTP/1.0");
		m->chunked = true;
	}
	// llhttp cuts no tab off, and a client does.
	if (m->chunked != ((l->flags & F_CHUNKED) != 0))
		return http1_reject(p, ERR_MALFORMED, "transfer coding that is read in two ways");
	if (m->chunked && m->has_length)
		return http1_reject(p, ERR_MALFORMED, "both Content-Length and Transfer-Encoding");
	return ERR_OK;
}

// ---- fields that say how a message goes on ----------------------------------------------------

bool http1_is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i], letter = c | 0x20;

		if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') &&
		    (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.len > 0;
}

bool http1_next_element(struct slice *rest, struct slice *element)
{
	while (rest->len > 0) {
		size_t comma = slice_find(*rest, ',');
		size_t taken = comma < rest->len ? comma + 1 : comma;

		*element = slice_trim_ows(slice_make(rest->ptr, comma));
		*rest = slice_make(rest->ptr + taken, rest->len - taken);
		if (element->len > 0)
			return true;
	}
	return false;
}

static uint8_t option_bit(struct slice option)
{
	if (slice_eq_nocase(option, SLICE_LIT("close")))
		return HTTP1_OPTION_CLOSE;
	if (slice_eq_nocase(option, SLICE_LIT("keep-alive")))
		return HTTP1_OPTION_KEEP_ALIVE;
	if (slice_eq_nocase(option, SLICE_LIT("upgrade")))
		return HTTP1_OPTION_UPGRADE;
	return HTTP1_OPTION_OTHER;
}

// What Connection names is taken out on the way. A message without what frames or routes it is another one.
static bool note_options(struct http1_message *m, struct slice value)
{
	struct slice option;

	while (http1_next_element(&value, &option)) {
		m->options |= option_bit(option);
		if (slice_eq_nocase(option, SLICE_LIT("content-length")) ||
		    slice_eq_nocase(option, SLICE_LIT("transfer-encoding")) ||
		    slice_eq_nocase(option, SLICE_LIT("host")))
			return false;
	}
	return true;
}

struct field_counts {
	uint32_t hosts, authorizations, upgrades;
};

static bool note_field(struct http1_message *m, const struct http1_header *h,
		       struct field_counts *n)
{
	switch (h->name.len) { // few fields are looked at twice
	case 4:
		if (slice_eq_nocase(h->name, SLICE_LIT("host"))) {
			m->host = h->value;
			n->hosts++;
		}
		break;
	case 5:
		m->hop_field |= slice_eq_nocase(h->name, SLICE_LIT("close"));
		break;
	case 6:
		if (slice_eq_nocase(h->name, SLICE_LIT("expect")))
			m->expects_continue = slice_eq_nocase(h->value, SLICE_LIT("100-continue"));
		break;
	case 7:
		n->upgrades += slice_eq_nocase(h->name, SLICE_LIT("upgrade"));
		break;
	case 10:
		m->hop_field |= slice_eq_nocase(h->name, SLICE_LIT("keep-alive"));
		return !slice_eq_nocase(h->name, SLICE_LIT("connection")) ||
		       note_options(m, h->value);
	case 13:
		n->authorizations += slice_eq_nocase(h->name, SLICE_LIT("authorization"));
		break;
	default:
		break;
	}
	return true;
}

static enum err note_fields(struct http1 *p, struct http1_message *m, struct field_counts *n)
{
	for (uint32_t i = 0; i < m->header_count; i++) {
		if (!note_field(m, &m->headers[i], n))
			return http1_reject(p, ERR_MALFORMED,
					    "Connection names what frames or routes the message");
	}
	m->upgrade = m->minor == 1 && n->upgrades > 0 &&
		     (m->options & HTTP1_OPTION_UPGRADE); // RFC 9110 7.8
	// RFC 9112 9.3
	m->keep_alive = !(m->options & HTTP1_OPTION_CLOSE) &&
			(m->minor == 1 || (m->options & HTTP1_OPTION_KEEP_ALIVE));
	return ERR_OK;
}

// ---- requests ----------------------------------------------------------------------------------

// METHOD SP TARGET SP HTTP/1.x CRLF and nothing else (RFC 9112 3). llhttp takes several spaces, and
// other protocols' names.
static bool request_line_is_plain(struct slice head, const struct http1_message *m)
{
	static const struct slice version = {(const uint8_t *)" HTTP/1.", 8};
	const uint8_t *end = m->target.ptr + m->target.len;

	return m->target.ptr == head.ptr + m->method.len + 1 &&
	       slice_starts(slice_make(end, (size_t)(head.ptr + head.len - end)), version);
}

// A method is any token (RFC 9110 9.1), but for two that would make the connection another protocol's.
static enum err check_method(struct http1 *p, struct slice head, struct http1_message *m)
{
	struct slice rest;

	m->method = slice_make(head.ptr, slice_find(head, ' '));
	if (!http1_is_token(m->method))
		return http1_reject(p, ERR_MALFORMED, "method that is no token");
	if (m->method.len <= HTTP1_METHOD_MAX && !slice_eq_str(m->method, "CONNECT") &&
	    !slice_eq_str(m->method, "PRI"))
		return ERR_OK;
	rest = slice_make(head.ptr + m->method.len + 1, head.len - m->method.len - 1);
	m->target = slice_make(rest.ptr, slice_find(rest, ' '));
	return http1_reject(p, ERR_UNSUPPORTED,
			    m->method.len > HTTP1_METHOD_MAX ? "method is too long"
							     : "CONNECT or PRI");
}

static enum err check_request(struct http1 *p, struct slice head, struct http1_message *m)
{
	struct field_counts n = {0};
	enum err err;

	if (!request_line_is_plain(head, m))
		return http1_reject(p, ERR_MALFORMED, "request line of other than three parts");
	err = note_fields(p, m, &n);
	if (err != ERR_OK)
		return err;
	if (n.hosts > 1)
		return http1_reject(p, ERR_MALFORMED, "two Host fields");
	// One would be verified here and the other believed behind us.
	if (n.authorizations > 1)
		return http1_reject(p, ERR_MALFORMED, "two Authorization fields");
	if (n.hosts == 0 && m->minor == 1)
		return http1_reject(p, ERR_MALFORMED, "no Host field");
	http1_body_init(p, m->chunked ? HTTP1_CHUNKED : HTTP1_LENGTH, m->content_length);
	return ERR_OK;
}

// ---- responses ---------------------------------------------------------------------------------

bool http1_is_bodiless(uint16_t status)
{
	return status < 200 || status == 204;
}

static enum err check_response(struct http1 *p, struct slice head, struct http1_message *m)
{
	struct field_counts n = {0};
	enum http1_framing framing = m->chunked	     ? HTTP1_CHUNKED
				     : m->has_length ? HTTP1_LENGTH
						     : HTTP1_UNTIL_CLOSE;

	if (!slice_starts(head, SLICE_LIT("HTTP/1."))) // RTSP and ICE, to llhttp
		return http1_reject(p, ERR_MALFORMED, "no HTTP response");
	for (size_t i = strlen("HTTP/1.1 200"); i < head.len && head.ptr[i] != '\r'; i++) {
		if ((head.ptr[i] < ' ' && head.ptr[i] != '\t') || head.ptr[i] == 0x7f)
			return http1_reject(p, ERR_MALFORMED, "control character in the reason");
	}
	if (m->status < 100)
		return http1_reject(p, ERR_MALFORMED, "no such status");
	enum err err = note_fields(p, m, &n);

	if (p->skip_body || http1_is_bodiless(m->status) || m->status == 304)
		framing = HTTP1_NO_BODY;
	m->until_close = framing == HTTP1_UNTIL_CLOSE;
	m->keep_alive = m->keep_alive && !m->until_close;
	http1_body_init(p, framing, m->content_length);
	return err;
}

// ---- the head ----------------------------------------------------------------------------------

// "HTTP/1.2": well-formed, and not spoken here.
static bool is_other_version(struct slice at)
{
	return at.len > 8 && memcmp(at.ptr, "HTTP/", 5) == 0 && at.ptr[5] >= '0' &&
	       at.ptr[5] <= '9' && at.ptr[6] == '.' && at.ptr[7] >= '0' && at.ptr[7] <= '9' &&
	       memcmp(at.ptr + 5, "1.0", 3) != 0 && memcmp(at.ptr + 5, "1.1", 3) != 0;
}

// What llhttp refuses: malformed, or well-formed and unknown to it?
static enum err head_refused(struct http1 *p, struct slice head, llhttp_errno_t e,
			     const struct head_parse *h)
{
	const char *why = llhttp_get_error_reason(&h->llhttp);
	const struct http1_message *m = h->message;
	const uint8_t *version = head.ptr;

	if (h->too_many)
		return http1_reject(p, ERR_TOO_LARGE, "too many header fields");
	if (!p->is_response && m->target.len > 0)
		version = m->target.ptr + m->target.len + 1;
	if (e == HPE_INVALID_VERSION &&
	    is_other_version(slice_make(version, (size_t)(head.ptr + head.len - version))))
		return http1_reject(p, ERR_UNSUPPORTED, other_version);
	return http1_reject(p, ERR_MALFORMED, why && *why ? why : llhttp_errno_name(e));
}

// llhttp knows a closed list of methods: it reads every request line with the same one of them in front.
static llhttp_errno_t head_execute(struct http1 *p, struct slice head, struct head_parse *h)
{
	static const char known_method[] = "POST";
	size_t method_bytes = p->is_response ? 0 : h->message->method.len;
	const char *rest = (const char *)head.ptr + method_bytes;
	llhttp_t *l = &h->llhttp;
	llhttp_errno_t e = HPE_OK;

	llhttp_init(l, p->is_response ? HTTP_RESPONSE : HTTP_REQUEST, &http1_settings);
	l->data = h;
	llhttp_set_lenient_chunked_length(l, 1); // check_framing is not
	if (!p->is_response)
		e = llhttp_execute(l, known_method, strlen(known_method));
	return e == HPE_OK ? llhttp_execute(l, rest, head.len - method_bytes) : e;
}

enum err http1_head(struct http1 *p, struct slice head, struct http1_message *out)
{
	struct head_parse h = {.message = out};
	enum err err = ERR_OK;

	out->header_count = 0;
	out->method = out->target = out->host = (struct slice){0};
	out->expects_continue = out->until_close = out->hop_field = false;
	out->options = 0;
	if (!p->is_response)
		err = check_method(p, head, out);
	if (err != ERR_OK)
		return err;
	llhttp_errno_t e = head_execute(p, head, &h);

	if (e != HPE_OK && e != HPE_PAUSED && e != HPE_PAUSED_UPGRADE)
		return head_refused(p, head, e, &h);
	if (!h.done)
		return http1_reject(p, ERR_MALFORMED, "head ends early");
	if (h.llhttp.http_major != 1 || h.llhttp.http_minor > 1)
		return http1_reject(p, ERR_UNSUPPORTED, other_version);
	out->minor = h.llhttp.http_minor;
	out->status = (uint16_t)h.llhttp.status_code;
	err = check_framing(p, &h.llhttp, out);
	if (err != ERR_OK)
		return err;
	return p->is_response ? check_response(p, head, out) : check_request(p, head, out);
}

// ---- look-ups ---------------------------------------------------------------------------------

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

bool http1_method_has_body(struct slice method)
{
	static const char *const methods[] = {
		"POST",
		"PUT",
		"PATCH",
		"QUERY",
		// RFC 4918, 5689
		"PROPFIND",
		"PROPPATCH",
		"LOCK",
		"MKCOL",
		// RFC 3253, 3648, 3744, 4437, 4791, 5323, 5842
		"REPORT",
		"VERSION-CONTROL",
		"CHECKOUT",
		"CHECKIN",
		"UNCHECKOUT",
		"MKWORKSPACE",
		"UPDATE",
		"LABEL",
		"MERGE",
		"BASELINE-CONTROL",
		"MKACTIVITY",
		"ORDERPATCH",
		"ACL",
		"MKREDIRECTREF",
		"UPDATEREDIRECTREF",
		"MKCALENDAR",
		"SEARCH",
		"BIND",
		"UNBIND",
		"REBIND",
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (slice_eq_str(method, methods[i]))
			return true;
	}
	return false;
}
