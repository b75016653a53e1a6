// SPDX-License-Identifier: GPL-3.0-or-later
// HTTP/1.1 framing over llhttp; see http1.h. llhttp runs strict; the checks added here are those
// which it leaves to its user: Host, versions, transfer codings other than chunked, bounds.
#include "core/http1.h"

#include <llhttp.h>

#define CHUNK_OVERHEAD_MAX 16384 // chunk extensions and trailers of one message

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

static int on_header_field(llhttp_t *l, const char *at, size_t len)
{
	struct http1 *p = l->data;
	struct http1_message *m = p->message;

	if (!m)
		return http1_count_overhead(p, len + 4);
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
		return 0;
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
	m->upgrade = l->upgrade;
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
	p->keep_alive = llhttp_should_keep_alive(l);
	return HPE_PAUSED;
}

static const llhttp_settings_t http1_settings = {
	.on_method = on_method,
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
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
		if (i + 1 < in.len && (in.ptr[i + 1] == ' ' || in.ptr[i + 1] == '\t'))
			return ERR_MALFORMED; // obs-fold, RFC 9112 5.2
		if (i == 1)
			return ERR_MALFORMED; // empty first line: llhttp would skip it, servers differ
		at = i + 1;
		*scanned = at;
	}
	return ERR_AGAIN;
}

static enum err http1_reject(struct http1 *p, enum err e, const char *error)
{
	p->error = error;
	return e;
}

static enum err http1_check_codings(struct http1 *p, const struct http1_message *m)
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
	if (seen && m->has_length)
		return http1_reject(p, ERR_MALFORMED, "both Content-Length and Transfer-Encoding");
	return ERR_OK;
}

static enum err http1_check_request(struct http1 *p, struct http1_message *m)
{
	uint32_t hosts = 0, authorizations = 0;

	for (uint32_t i = 0; i < m->header_count; i++) {
		const struct http1_header *h = &m->headers[i];

		if (slice_eq_nocase(h->name, SLICE_LIT("host"))) {
			m->host = h->value;
			hosts++;
		} else if (slice_eq_nocase(h->name, SLICE_LIT("authorization"))) {
			authorizations++;
		} else if (slice_eq_nocase(h->name, SLICE_LIT("expect"))) {
			m->expects_continue = slice_eq_nocase(h->value, SLICE_LIT("100-continue"));
		} else if (slice_eq_nocase(h->name, SLICE_LIT("upgrade"))) {
			m->upgrade_token = h->value;
		}
	}
	if (hosts > 1)
		return http1_reject(p, ERR_MALFORMED, "two Host fields");
	// One would be verified here and the other believed behind us.
	if (authorizations > 1)
		return http1_reject(p, ERR_MALFORMED, "two Authorization fields");
	if (hosts == 0 && m->minor == 1)
		return http1_reject(p, ERR_MALFORMED, "no Host field");
	if (slice_eq_str(m->method, "CONNECT"))
		return http1_reject(p, ERR_UNSUPPORTED, "CONNECT");
	return ERR_OK;
}

enum err http1_head(struct http1 *p, struct slice head, struct http1_message *out)
{
	llhttp_t *l = http1_parser(p);

	out->header_count = 0;
	out->method = out->target = out->host = out->upgrade_token = (struct slice){0};
	out->expects_continue = false;
	p->message = out;
	if (memchr(head.ptr, 0, head.len))
		return http1_reject(p, ERR_MALFORMED, "NUL byte in the head");
	llhttp_errno_t e = llhttp_execute(l, (const char *)head.ptr, head.len);

	p->message = NULL;
	if (e == HPE_USER && p->error)
		return ERR_TOO_LARGE;
	if (e != HPE_OK && e != HPE_PAUSED && e != HPE_PAUSED_UPGRADE) {
		const char *why = llhttp_get_error_reason(l);

		return http1_reject(p, ERR_MALFORMED, why && *why ? why : llhttp_errno_name(e));
	}
	if (!p->head_done)
		return http1_reject(p, ERR_MALFORMED, "head ends early");
	if (l->http_major != 1 || l->http_minor > 1)
		return http1_reject(p, ERR_UNSUPPORTED, "version other than HTTP/1.0 and HTTP/1.1");
	out->keep_alive = llhttp_should_keep_alive(l);
	enum err err = http1_check_codings(p, out);

	if (err == ERR_OK && !p->is_response)
		err = http1_check_request(p, out);
	return err;
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
