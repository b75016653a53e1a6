// SPDX-License-Identifier: GPL-3.0-or-later
// Where the body of an HTTP/1.1 message ends; see http1.h. The chunked coding is read here and not by llhttp,
// which refuses the blanks that RFC 9112 7.1.1 allows in extensions. A table says all of the grammar:
// what it does not name is refused, since another reader could end it elsewhere.
#include "core/http1.h"

#define CHUNK_OVERHEAD_MAX 16384 // chunk extensions and trailers of one message

enum chunk_state {
	CHUNK_BAD = 0,
	CHUNK_SIZE, // its first digit
	CHUNK_SIZE_MORE,
	// chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
	EXT_BLANK, // before ';'
	EXT_NAME,
	EXT_NAME_MORE,
	EXT_NAME_BLANK, // before '=' or ';'
	EXT_VALUE,
	EXT_VALUE_MORE,
	EXT_QUOTED,
	EXT_QUOTED_PAIR,
	EXT_QUOTED_END,
	CHUNK_LF,
	CHUNK_DATA,
	CHUNK_DATA_CR,
	CHUNK_DATA_LF,
	TRAILER, // a field, or the empty line
	TRAILER_NAME,
	TRAILER_COLON,
	TRAILER_BLANK,
	TRAILER_VALUE,
	TRAILER_LF,
	TRAILERS_LF,
	CHUNKS_END,
	CHUNK_STATE_COUNT
};

enum byte_class {
	BYTE_BAD = 0,
	BYTE_CR,
	BYTE_LF,
	BYTE_BLANK, // from here on: what a field's value may have
	BYTE_HEX,
	BYTE_TOKEN,
	BYTE_SEMICOLON,
	BYTE_EQUALS,
	BYTE_QUOTE,
	BYTE_BACKSLASH,
	BYTE_COLON,
	BYTE_TEXT,
	BYTE_CLASS_COUNT
};

static const uint8_t byte_class[256] = {
	['\t'] = BYTE_BLANK,	     ['\n'] = BYTE_LF,		 ['\r'] = BYTE_CR,
	[' '] = BYTE_BLANK,	     ['!'] = BYTE_TOKEN,	 ['"'] = BYTE_QUOTE,
	['#' ... '\''] = BYTE_TOKEN, ['(' ... ')'] = BYTE_TEXT,	 ['*' ... '+'] = BYTE_TOKEN,
	[','] = BYTE_TEXT,	     ['-' ... '.'] = BYTE_TOKEN, ['/'] = BYTE_TEXT,
	['0' ... '9'] = BYTE_HEX,    [':'] = BYTE_COLON,	 [';'] = BYTE_SEMICOLON,
	['<'] = BYTE_TEXT,	     ['='] = BYTE_EQUALS,	 ['>' ... '@'] = BYTE_TEXT,
	['A' ... 'F'] = BYTE_HEX,    ['G' ... 'Z'] = BYTE_TOKEN, ['['] = BYTE_TEXT,
	['\\'] = BYTE_BACKSLASH,     [']'] = BYTE_TEXT,		 ['^' ... '`'] = BYTE_TOKEN,
	['a' ... 'f'] = BYTE_HEX,    ['g' ... 'z'] = BYTE_TOKEN, ['{'] = BYTE_TEXT,
	['|'] = BYTE_TOKEN,	     ['}'] = BYTE_TEXT,		 ['~'] = BYTE_TOKEN,
	[0x80 ... 0xff] = BYTE_TEXT,
};

static const uint8_t next_state[CHUNK_STATE_COUNT][BYTE_CLASS_COUNT] = {
	[CHUNK_SIZE] = {[BYTE_HEX] = CHUNK_SIZE_MORE},
	[CHUNK_SIZE_MORE] = {[BYTE_HEX] = CHUNK_SIZE_MORE,
			     [BYTE_BLANK] = EXT_BLANK,
			     [BYTE_SEMICOLON] = EXT_NAME,
			     [BYTE_CR] = CHUNK_LF},
	// Blanks before the line's end are no extension's; servers that pad sizes write them, and all read the same.
	[EXT_BLANK] = {[BYTE_BLANK] = EXT_BLANK, [BYTE_SEMICOLON] = EXT_NAME, [BYTE_CR] = CHUNK_LF},
	[EXT_NAME] = {[BYTE_BLANK] = EXT_NAME, [BYTE_HEX... BYTE_TOKEN] = EXT_NAME_MORE},
	[EXT_NAME_MORE] = {[BYTE_HEX... BYTE_TOKEN] = EXT_NAME_MORE,
			   [BYTE_BLANK] = EXT_NAME_BLANK,
			   [BYTE_EQUALS] = EXT_VALUE,
			   [BYTE_SEMICOLON] = EXT_NAME,
			   [BYTE_CR] = CHUNK_LF},
	[EXT_NAME_BLANK] = {[BYTE_BLANK] = EXT_NAME_BLANK,
			    [BYTE_EQUALS] = EXT_VALUE,
			    [BYTE_SEMICOLON] = EXT_NAME,
			    [BYTE_CR] = CHUNK_LF},
	[EXT_VALUE] = {[BYTE_BLANK] = EXT_VALUE,
		       [BYTE_HEX... BYTE_TOKEN] = EXT_VALUE_MORE,
		       [BYTE_QUOTE] = EXT_QUOTED},
	[EXT_VALUE_MORE] = {[BYTE_HEX... BYTE_TOKEN] = EXT_VALUE_MORE,
			    [BYTE_BLANK] = EXT_BLANK,
			    [BYTE_SEMICOLON] = EXT_NAME,
			    [BYTE_CR] = CHUNK_LF},
	[EXT_QUOTED] = {[BYTE_BLANK... BYTE_EQUALS] = EXT_QUOTED,
			[BYTE_QUOTE] = EXT_QUOTED_END,
			[BYTE_BACKSLASH] = EXT_QUOTED_PAIR,
			[BYTE_COLON... BYTE_TEXT] = EXT_QUOTED},
	[EXT_QUOTED_PAIR] = {[BYTE_BLANK... BYTE_TEXT] = EXT_QUOTED},
	[EXT_QUOTED_END] =
		{[BYTE_BLANK] = EXT_BLANK, [BYTE_SEMICOLON] = EXT_NAME, [BYTE_CR] = CHUNK_LF},
	[CHUNK_LF] = {[BYTE_LF] = CHUNK_DATA}, // or, behind size 0, TRAILER
	[CHUNK_DATA_CR] = {[BYTE_CR] = CHUNK_DATA_LF},
	[CHUNK_DATA_LF] = {[BYTE_LF] = CHUNK_SIZE},
	[TRAILER] = {[BYTE_HEX... BYTE_TOKEN] = TRAILER_NAME, [BYTE_CR] = TRAILERS_LF},
	[TRAILER_NAME] = {[BYTE_HEX... BYTE_TOKEN] = TRAILER_NAME, [BYTE_COLON] = TRAILER_COLON},
	[TRAILER_COLON] = {[BYTE_BLANK] = TRAILER_BLANK,
			   [BYTE_HEX... BYTE_TEXT] = TRAILER_VALUE,
			   [BYTE_CR] = TRAILER_LF},
	[TRAILER_BLANK] = {[BYTE_BLANK] = TRAILER_BLANK,
			   [BYTE_HEX... BYTE_TEXT] = TRAILER_VALUE,
			   [BYTE_CR] = TRAILER_LF},
	[TRAILER_VALUE] = {[BYTE_BLANK... BYTE_TEXT] = TRAILER_VALUE, [BYTE_CR] = TRAILER_LF},
	[TRAILER_LF] = {[BYTE_LF] = TRAILER},
	[TRAILERS_LF] = {[BYTE_LF] = CHUNKS_END},
};

static bool chunk_fail(struct http1 *p, const char *error)
{
	p->error = error;
	return false;
}

static bool chunk_count(struct http1 *p, uint32_t bytes)
{
	p->overhead_bytes += bytes;
	return p->overhead_bytes <= CHUNK_OVERHEAD_MAX ||
	       chunk_fail(p, "chunk extensions or trailers are too long");
}

static bool chunk_digit(struct http1 *p, uint8_t c)
{
	if (p->left > INT64_MAX >> 4) // negative to a signed reader
		return chunk_fail(p, "chunk size is too large");
	p->left = p->left << 4 | (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
	return true;
}

// ---- trailers ----------------------------------------------------------------------------------

static void name_add(struct http1_name *n, uint8_t c)
{
	uint8_t folded = c == '_' ? '-' : c >= 'A' && c <= 'Z' ? c | 0x20 : c;

	n->hash = (n->hash ^ folded) * 0x100000001b3; // FNV-1a
	n->bytes++;
}

struct http1_name http1_name(struct slice text)
{
	struct http1_name n = {0};

	for (size_t i = 0; i < text.len; i++)
		name_add(&n, text.ptr[i]);
	return n;
}

bool http1_name_is(struct http1_name name, struct slice text)
{
	return name.bytes == text.len && name.hash == http1_name(text).hash;
}

static bool trailer_name(struct http1 *p, bool first, uint8_t c)
{
	if (first) {
		if (p->trailers == HTTP1_TRAILERS_MAX)
			return chunk_fail(p, "too many trailers");
		p->trailers++;
		p->trailer = (struct http1_name){0};
	}
	name_add(&p->trailer, c);
	return chunk_count(p, first ? 5 : 1); // with colon, blank and line end
}

// What frames, routes or authenticates a message stands in its head (RFC 9110 6.5.1), and what policy reads: a
// server that joins trailers to the head would go by what was never judged.
static bool trailer_check(struct http1 *p)
{
	static const char *const names[] = {"content-length",
					    "transfer-encoding",
					    "host",
					    "authorization",
					    "cookie",
					    "proxy-authorization",
					    "connection",
					    "upgrade",
					    "expect",
					    "te",
					    "trailer",
					    "x-original-url",
					    "x-rewrite-url",
					    "x-http-method",
					    "x-method-override",
					    "x-http-method-override"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (http1_name_is(p->trailer, slice_str(names[i])))
			return chunk_fail(p, "a trailer that belongs in the head");
	}
	if (p->refuses && p->refuses(p->context, p->trailer))
		return chunk_fail(p, "a trailer that a rule reads in the head");
	return true;
}

// One byte that is no data. False: refused.
static bool chunk_step(struct http1 *p, uint8_t c)
{
	uint8_t from = p->chunk, to = next_state[from][byte_class[c]];

	p->chunk = to;
	switch ((enum chunk_state)to) {
	case CHUNK_BAD:
		return chunk_fail(p, from < TRAILER ? "chunked body is malformed"
						    : "trailer is malformed");
	case CHUNK_SIZE_MORE:
		return chunk_digit(p, c);
	case CHUNK_DATA:
		if (p->left == 0)
			p->chunk = TRAILER;
		return true;
	case TRAILER_NAME:
		return trailer_name(p, from == TRAILER, c);
	case TRAILER_COLON:
		return trailer_check(p);
	case TRAILER_BLANK:
		return chunk_count(p, from == TRAILER_BLANK);
	case CHUNKS_END:
		p->complete = true;
		return true;
	case EXT_BLANK:
	case EXT_NAME:
	case EXT_NAME_MORE:
	case EXT_NAME_BLANK:
	case EXT_VALUE:
	case EXT_VALUE_MORE:
	case EXT_QUOTED:
	case EXT_QUOTED_PAIR:
	case EXT_QUOTED_END:
	case TRAILER_VALUE:
		return chunk_count(p, 1);
	case CHUNK_SIZE:
	case CHUNK_LF:
	case CHUNK_DATA_CR:
	case CHUNK_DATA_LF:
	case TRAILER:
	case TRAILER_LF:
	case TRAILERS_LF:
	case CHUNK_STATE_COUNT:
		break;
	}
	return true;
}

static size_t body_take(struct http1 *p, size_t bytes)
{
	if (bytes > p->left)
		bytes = (size_t)p->left;
	p->left -= bytes;
	return bytes;
}

static enum err body_chunks(struct http1 *p, struct slice in, size_t *used)
{
	size_t at = 0;

	while (at < in.len && !p->complete) {
		if (p->chunk == CHUNK_DATA) {
			at += body_take(p, in.len - at);
			if (p->left == 0)
				p->chunk = CHUNK_DATA_CR;
		} else if (!chunk_step(p, in.ptr[at++])) {
			p->chunk = CHUNK_BAD;
			return ERR_MALFORMED;
		}
	}
	*used = at;
	return ERR_OK;
}

void http1_body_init(struct http1 *p, enum http1_framing framing, uint64_t length)
{
	p->framing = (uint8_t)framing;
	p->left = length;
	p->chunk = CHUNK_SIZE;
	p->complete = framing == HTTP1_NO_BODY || (framing == HTTP1_LENGTH && length == 0);
}

enum err http1_body(struct http1 *p, struct slice in, size_t *used, bool *complete)
{
	enum err err = ERR_OK;

	*used = 0;
	switch (p->complete ? HTTP1_NO_BODY : (enum http1_framing)p->framing) {
	case HTTP1_NO_BODY:
		break;
	case HTTP1_LENGTH:
		*used = body_take(p, in.len);
		p->complete = p->left == 0;
		break;
	case HTTP1_CHUNKED:
		err = body_chunks(p, in, used);
		break;
	case HTTP1_UNTIL_CLOSE:
		*used = in.len;
		break;
	}
	*complete = p->complete;
	return err;
}

bool http1_is_complete(const struct http1 *p)
{
	return p->complete;
}

bool http1_finish(struct http1 *p)
{
	if (p->framing == HTTP1_UNTIL_CLOSE)
		p->complete = true;
	return p->complete;
}
