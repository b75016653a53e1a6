// SPDX-License-Identifier: GPL-3.0-or-later
// SPIFFE ids and principals; see identity.h. The SPIFFE-ID specification's path rules: segments of
// letters, digits, '.', '-', '_', never empty, "." or "..".
#include "core/identity.h"

#include <stdio.h>

static bool segment_is_valid(struct slice s)
{
	if (s.len == 0 || slice_eq_str(s, ".") || slice_eq_str(s, ".."))
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '.' || c == '-' || c == '_'))
			return false;
	}
	return true;
}

// Cuts "spiffe://td/a/b/..." into trust domain and exactly count segments.
static enum err split(struct slice uri, struct slice *domain, struct slice *segments, int count)
{
	static const struct slice scheme = {(const uint8_t *)"spiffe://", 9};

	if (!slice_starts(uri, scheme) || uri.len > SPIFFE_ID_MAX)
		return ERR_MALFORMED;
	struct slice rest = slice_make(uri.ptr + scheme.len, uri.len - scheme.len);

	for (int i = -1; i < count; i++) {
		size_t end = slice_find(rest, '/');
		struct slice part = slice_make(rest.ptr, end);

		if (!segment_is_valid(part) || (end == rest.len) != (i == count - 1))
			return ERR_MALFORMED;
		if (i < 0)
			*domain = part;
		else
			segments[i] = part;
		if (end < rest.len)
			rest = slice_make(rest.ptr + end + 1, rest.len - end - 1);
	}
	return ERR_OK;
}

enum err identity_parse_node(struct slice uri, struct slice *trust_domain, struct slice *node)
{
	struct slice s[2];
	enum err err = split(uri, trust_domain, s, 2);

	if (err != ERR_OK || !slice_eq_str(s[0], "node"))
		return ERR_MALFORMED;
	*node = s[1];
	return ERR_OK;
}

enum err identity_parse_workload(struct slice uri, struct slice *trust_domain,
				 struct slice *namespace, struct slice *account)
{
	struct slice s[4];
	enum err err = split(uri, trust_domain, s, 4);

	if (err != ERR_OK || !slice_eq_str(s[0], "ns") || !slice_eq_str(s[2], "sa"))
		return ERR_MALFORMED;
	*namespace = s[1];
	*account = s[3];
	return ERR_OK;
}

struct slice principal_format(const struct principal *p, char text[SPIFFE_ID_MAX])
{
	int n = 0;

	switch (p->type) {
	case PRINCIPAL_WORKLOAD:
		n = snprintf(text, SPIFFE_ID_MAX, "spiffe://%.*s/ns/%.*s/sa/%.*s",
			     SLICE_ARG(p->trust_domain), SLICE_ARG(p->namespace),
			     SLICE_ARG(p->service_account));
		break;
	case PRINCIPAL_NODE:
		n = snprintf(text, SPIFFE_ID_MAX, "node");
		break;
	case PRINCIPAL_GATEWAY:
		n = snprintf(text, SPIFFE_ID_MAX, "gateway");
		break;
	case PRINCIPAL_UNAUTHENTICATED:
		n = snprintf(text, SPIFFE_ID_MAX, "unauthenticated");
		break;
	case PRINCIPAL_UNKNOWN:
		n = snprintf(text, SPIFFE_ID_MAX, "unknown");
		break;
	}
	return slice_make(text, n < SPIFFE_ID_MAX ? (size_t)n : SPIFFE_ID_MAX - 1);
}

// The pattern is an id, or a prefix that ends in "/*" and covers everything below it.
static bool spiffe_matches(struct slice pattern, const struct principal *p)
{
	char text[SPIFFE_ID_MAX];
	struct slice id = principal_format(p, text);

	if (pattern.len >= 2 && pattern.ptr[pattern.len - 1] == '*' &&
	    pattern.ptr[pattern.len - 2] == '/') {
		struct slice prefix = slice_make(pattern.ptr, pattern.len - 1);

		return id.len > prefix.len && slice_starts(id, prefix);
	}
	return slice_eq(id, pattern);
}

bool identity_source_matches(const struct ss_source *s, const struct principal *p)
{
	switch (s->type) {
	case SOURCE_SERVICE_ACCOUNT:
		return p->type == PRINCIPAL_WORKLOAD && slice_eq(s->namespace, p->namespace) &&
		       (slice_eq_str(s->name, "*") || slice_eq(s->name, p->service_account));
	case SOURCE_SPIFFE:
		return p->type == PRINCIPAL_WORKLOAD && spiffe_matches(s->name, p);
	case SOURCE_GATEWAY:
		return p->type == PRINCIPAL_GATEWAY;
	case SOURCE_NODE:
		return p->type == PRINCIPAL_NODE;
	case SOURCE_UNAUTHENTICATED:
		return p->type == PRINCIPAL_UNAUTHENTICATED;
	case SOURCE_NONE:
		break;
	}
	return false;
}
