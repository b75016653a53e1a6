// SPDX-License-Identifier: GPL-3.0-or-later
// SPIFFE ids and principals; see identity.h. The SPIFFE-ID specification's rules: segments of letters,
// digits, '.', '-', '_', never empty, "." or ".."; no escapes, no upper case in a trust domain.
#include "core/identity.h"

#include <stdio.h>

#define SPIFFE_SEGMENTS_MAX 5 // trust domain / ns / <namespace> / sa / <account>

static const struct slice scheme = {(const uint8_t *)"spiffe://", 9};

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

// A trust domain has no upper case (SPIFFE-ID 2.1).
static bool domain_is_valid(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
			return false;
	}
	return segment_is_valid(s);
}

// Cuts what follows "spiffe://" at its slashes. -1: not of that form, or too many segments.
static int split(struct slice uri, struct slice segments[SPIFFE_SEGMENTS_MAX])
{
	if (!slice_starts(uri, scheme) || uri.len > SPIFFE_ID_MAX)
		return -1;
	struct slice rest = slice_make(uri.ptr + scheme.len, uri.len - scheme.len);

	for (int i = 0; i < SPIFFE_SEGMENTS_MAX; i++) {
		size_t end = slice_find(rest, '/');

		segments[i] = slice_make(rest.ptr, end);
		if (!(i == 0 ? domain_is_valid(segments[i]) : segment_is_valid(segments[i])))
			return -1;
		if (end == rest.len)
			return i + 1;
		rest = slice_make(rest.ptr + end + 1, rest.len - end - 1);
	}
	return -1;
}

enum err identity_parse_node(struct slice uri, struct slice *trust_domain, struct slice *node)
{
	struct slice s[SPIFFE_SEGMENTS_MAX];

	if (split(uri, s) != 3 || !slice_eq_str(s[1], "node"))
		return ERR_MALFORMED;
	*trust_domain = s[0];
	*node = s[2];
	return ERR_OK;
}

enum err identity_parse_workload(struct slice uri, struct slice *trust_domain,
				 struct slice *namespace, struct slice *account)
{
	struct slice s[SPIFFE_SEGMENTS_MAX];

	if (split(uri, s) != 5 || !slice_eq_str(s[1], "ns") || !slice_eq_str(s[3], "sa"))
		return ERR_MALFORMED;
	*trust_domain = s[0];
	*namespace = s[2];
	*account = s[4];
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

// "spiffe://*", "spiffe://td/*", "spiffe://td/ns/<ns>/*": ids have one shape, so a prefix names
// all workloads, a trust domain's, or a namespace's.
static struct identity_pattern pattern_of_prefix(struct slice id)
{
	struct identity_pattern never = {.kind = PATTERN_NEVER};
	struct slice s[SPIFFE_SEGMENTS_MAX];
	struct slice prefix = slice_make(id.ptr, id.len - 2); // without "/*"

	if (slice_eq_str(id, "spiffe://*"))
		return (struct identity_pattern){.kind = PATTERN_WORKLOAD};
	int count = split(prefix, s);

	if (count < 1 || count > 4 || (count > 1 && !slice_eq_str(s[1], "ns")) ||
	    (count > 3 && !slice_eq_str(s[3], "sa")))
		return never;
	if (count < 3)
		return (struct identity_pattern){.kind = PATTERN_TRUST_DOMAIN,
						 .trust_domain = s[0]};
	return (struct identity_pattern){
		.kind = PATTERN_NAMESPACE,
		.trust_domain = s[0],
		.namespace = s[2],
	};
}

static struct identity_pattern pattern_of_spiffe(struct slice id)
{
	struct identity_pattern p = {.kind = PATTERN_ACCOUNT};

	if (id.len >= 2 && id.ptr[id.len - 1] == '*' && id.ptr[id.len - 2] == '/')
		return pattern_of_prefix(id);
	if (identity_parse_workload(id, &p.trust_domain, &p.namespace, &p.account) != ERR_OK)
		p.kind = PATTERN_NEVER;
	return p;
}

struct identity_pattern identity_pattern_of(const struct ss_source *s)
{
	struct identity_pattern p = {.kind = PATTERN_NEVER};

	switch (s->type) {
	case SOURCE_SERVICE_ACCOUNT:
		p.namespace = s->namespace;
		if (s->namespace.len == 0 || s->name.len == 0)
			break;
		p.kind = slice_eq_str(s->name, "*") ? PATTERN_NAMESPACE : PATTERN_ACCOUNT;
		if (p.kind == PATTERN_ACCOUNT)
			p.account = s->name;
		break;
	case SOURCE_SPIFFE:
		p = pattern_of_spiffe(s->name);
		break;
	case SOURCE_GATEWAY:
		p.kind = PATTERN_GATEWAY;
		break;
	case SOURCE_NODE:
		p.kind = PATTERN_NODE;
		break;
	case SOURCE_UNAUTHENTICATED:
		p.kind = PATTERN_UNAUTHENTICATED;
		break;
	case SOURCE_NONE:
		break;
	}
	return p;
}

// Parts that a pattern leaves open are empty.
static bool pattern_fits_workload(const struct identity_pattern *m, const struct principal *p)
{
	return p->type == PRINCIPAL_WORKLOAD &&
	       (m->trust_domain.len == 0 || slice_eq(m->trust_domain, p->trust_domain)) &&
	       (m->namespace.len == 0 || slice_eq(m->namespace, p->namespace)) &&
	       (m->account.len == 0 || slice_eq(m->account, p->service_account));
}

bool identity_source_matches(const struct ss_source *s, const struct principal *p)
{
	struct identity_pattern m = identity_pattern_of(s);

	switch (m.kind) {
	case PATTERN_WORKLOAD:
	case PATTERN_TRUST_DOMAIN:
	case PATTERN_NAMESPACE:
	case PATTERN_ACCOUNT:
		return pattern_fits_workload(&m, p);
	case PATTERN_NODE:
		return p->type == PRINCIPAL_NODE;
	case PATTERN_GATEWAY:
		return p->type == PRINCIPAL_GATEWAY;
	case PATTERN_UNAUTHENTICATED:
		return p->type == PRINCIPAL_UNAUTHENTICATED;
	case PATTERN_NEVER:
		break;
	}
	return false;
}
