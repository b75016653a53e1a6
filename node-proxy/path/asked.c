// SPDX-License-Identifier: GPL-3.0-or-later
// The request as policy is asked about it; see asked.h.
#include "path/asked.h"

#include "core/match.h"
#include "decide/decide_fields.h"
#include "path/enforce.h"

// absolute-form (RFC 9112 3.2.2): its authority has to be the Host field's; it goes on as origin-form (3.2.1),
// or as "*" (3.2.4).
static enum err target_split_absolute(struct slice target, struct slice host, bool options,
				      struct slice *origin, struct asked_target *out)
{
	static const struct slice scheme = {(const uint8_t *)"http://", 7};
	struct slice rest, authority;

	if (target.len <= scheme.len ||
	    !slice_eq_nocase(slice_make(target.ptr, scheme.len), scheme))
		return ERR_MALFORMED;
	rest = slice_make(target.ptr + scheme.len, target.len - scheme.len);
	authority = slice_make(rest.ptr, slice_find(rest, '/'));
	if (!slice_eq_nocase(authority, host))
		return ERR_MALFORMED;
	*origin = slice_make(rest.ptr + authority.len, rest.len - authority.len);
	out->skipped = scheme.len + authority.len;
	if (origin->len == 0)
		*origin = out->instead = options ? SLICE_LIT("*") : SLICE_LIT("/");
	return ERR_OK;
}

// What no server may be asked for. The rest is judged in every reading that servers have (decide), and goes
// on as it came.
enum err asked_target_parse(const struct http1_message *m, struct arena *scratch,
			    struct asked_target *out)
{
	struct slice origin = m->target, query;
	size_t room = m->host.len > ADDR_TEXT_MAX ? m->host.len : ADDR_TEXT_MAX;
	uint8_t *host = arena_alloc(scratch, 1, room + 2);
	bool options = slice_eq_str(m->method, "OPTIONS");
	enum err err;

	if (!host)
		return ERR_TOO_LARGE;
	err = host_canonicalize(m->host, host, room + 2, &out->host);
	if (err == ERR_OK && origin.ptr[0] != '/' && !slice_eq_str(origin, "*"))
		err = target_split_absolute(m->target, m->host, options, &origin, out);
	if (err != ERR_OK)
		return err;
	if (options && slice_eq_str(origin, "*"))
		return ERR_OK; // of no path
	out->path = slice_make(origin.ptr, slice_find(origin, '?'));
	query = slice_make(origin.ptr + out->path.len, origin.len - out->path.len);
	if (out->path.len > PATH_BYTES_MAX)
		return ERR_TOO_LARGE;
	out->form = path_form(out->path);
	return out->form != PATH_MALFORMED && query_is_plain(query) ? ERR_OK : ERR_MALFORMED;
}

static bool asked_header(const void *headers, struct slice lower_name, struct slice *value)
{
	const struct asked_fields *f = headers;

	if (!http1_find(f->message, lower_name, value))
		return false;
	if (http1_count(f->message, lower_name) > 1)
		*f->repeated |= !f->policy ||
				decide_reads_field(f->snapshot, f->policy, http1_name(lower_name));
	return true;
}

static bool asked_field(const void *headers, uint32_t i, struct slice *name, struct slice *value)
{
	const struct http1_message *m = ((const struct asked_fields *)headers)->message;

	if (i >= m->header_count)
		return false;
	*name = m->headers[i].name;
	*value = m->headers[i].value;
	return true;
}

void asked_input(const struct exchange *x, const struct asked_fields *fields,
		 const struct asked_target *t, struct policy_input *in)
{
	enforce_input(x, in);
	in->l7 = true;
	in->method = fields->message->method;
	in->path = t->path; // "*" is none: it is unknown
	in->path_ordinary = t->form == PATH_ORDINARY;
	in->host = t->host;
	in->headers = fields;
	in->header = asked_header;
	in->field = asked_field;
}
