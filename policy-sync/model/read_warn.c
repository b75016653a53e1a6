// SPDX-License-Identifier: GPL-3.0-or-later
// What is well formed and yet says nothing: values that no request, client or workload can have, rules that
// repeat or undo each other. Warnings, at the place where they are written; see read.h.
#include "model/read.h"

#include <stdlib.h>
#include "core/identity.h"
#include "core/match.h"

// Longer lists are compared by nobody's eye either; the bound keeps the work linear.
#define COMPARED_MAX 32

// ---- names -------------------------------------------------------------------------------------

static bool is_lower_or_digit(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// RFC 1123 as Kubernetes has it: labels of lower-case letters, digits and inner dashes; dots between them.
static bool is_dns_name(struct slice s, bool dots)
{
	bool start = true;

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		if (c == '.' && dots && !start && is_lower_or_digit(s.ptr[i - 1])) {
			start = true;
			continue;
		}
		if (!is_lower_or_digit(c) && !(c == '-' && !start))
			return false;
		start = false;
	}
	return s.len > 0 && is_lower_or_digit(s.ptr[s.len - 1]);
}

void warn_source(const struct view *v, const struct ss_source *s)
{
	struct view account = view_get(v, "serviceAccount"), spiffe = view_get(v, "spiffe");
	struct view ns = view_get(&account, "namespace"), name = view_get(&account, "name");
	struct view type = view_get(v, "type");

	if (s->type == SOURCE_SERVICE_ACCOUNT && !is_dns_name(s->namespace, false))
		view_warn(&ns, "matches nobody: no namespace can be called \"%.*s\"",
			  SLICE_ARG(s->namespace));
	if (s->type == SOURCE_SERVICE_ACCOUNT && !slice_eq_str(s->name, "*") &&
	    !is_dns_name(s->name, true))
		view_warn(&name, "matches nobody: no service account can be called \"%.*s\"",
			  SLICE_ARG(s->name));
	if (s->type == SOURCE_SPIFFE && identity_pattern_of(s).kind == PATTERN_NEVER)
		view_warn(&spiffe,
			  "matches nobody: ids are spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT, "
			  "or end in /* behind a whole part of that");
	if (s->type == SOURCE_GATEWAY)
		view_warn(&type, "matches nobody: there are no Gateways yet");
}

// ---- hosts and methods -------------------------------------------------------------------------

bool read_host(const struct view *v, struct slice *host)
{
	bool wildcard = slice_starts(*host, SLICE_LIT("*."));
	struct slice rest = wildcard ? slice_make(host->ptr + 2, host->len - 2) : *host, name;
	size_t room = rest.len > ADDR_TEXT_MAX + 2 ? rest.len : ADDR_TEXT_MAX + 2;
	uint8_t *out = arena_alloc(v->arena, 1, room + 2);

	if (!out || host_canonicalize(rest, out + 2, room, &name) != ERR_OK || name.len == 0) {
		view_error(v, "is no host that a request can have: \"%.*s\"", SLICE_ARG(*host));
		return false;
	}
	if (wildcard) {
		memmove(out + 2, name.ptr, name.len);
		memcpy(out, "*.", 2);
		name = slice_make(out, name.len + 2);
	}
	if (!slice_eq(name, *host))
		view_warn(v, "is compared as \"%.*s\": requests' hosts are, without port",
			  SLICE_ARG(name));
	*host = name;
	return true;
}

// RFC 9110 9.1: methods have case, and those that there are, are in capitals.
static bool is_method(struct slice m)
{
	for (size_t i = 0; i < m.len; i++) {
		uint8_t c = m.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return m.len > 0;
}

bool read_method(const struct view *v, struct slice method)
{
	if (!is_method(method)) {
		view_error(v, "methods are written in capitals: %.*s", SLICE_ARG(method));
		return false;
	}
	if (slice_eq_str(method, "CONNECT") || slice_eq_str(method, "PRI"))
		view_warn(v, "matches nothing: no request with this method is let in");
	return true;
}

void warn_methods(const struct view *v, const struct slice *list, uint32_t count)
{
	uint32_t index = 0;

	for (struct view i = view_first(v); i.tree && index < count; i = view_next(v, &i, &index)) {
		for (uint32_t k = 0; k < index; k++) {
			if (slice_eq(list[k], list[index]))
				view_warn(&i, "%.*s is there twice", SLICE_ARG(list[index]));
		}
	}
}

// RFC 9110 5.6.2.
void warn_header_name(const struct view *v, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("!#$%&'*+-.^_`|~", c))
			continue;
		view_warn(v, "matches nothing: \"%.*s\" is no name that a header field can have",
			  SLICE_ARG(name));
		return;
	}
}

// ---- networks ----------------------------------------------------------------------------------

struct placed_cidr {
	struct cidr net;
	uint32_t index;
};

static int by_net(const void *a, const void *b)
{
	const struct placed_cidr *x = a, *y = b;
	int order = memcmp(x->net.addr.bytes, y->net.addr.bytes, sizeof(x->net.addr.bytes));

	if (order != 0)
		return order;
	if (x->net.bits != y->net.bits)
		return x->net.bits < y->net.bits ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static bool covers_net(const struct cidr *a, const struct cidr *b)
{
	return a->bits <= b->bits && cidr_contains(*a, b->addr);
}

static bool is_no_clients(const struct cidr *c)
{
	bool v4 = addr_is_v4(c->addr);

	if (addr_is_loopback(c->addr))
		return c->bits >= (v4 ? 104 : 128);
	return addr_is_multicast(c->addr) && c->bits >= (v4 ? 100 : 8);
}

// Behind the one that covers it a network comes next in order.
void warn_cidrs(const struct view *v, const struct cidr *list, uint32_t count)
{
	struct placed_cidr *sorted = calloc(count ? count : 1, sizeof(*sorted));
	uint32_t *covered = calloc(count ? count : 1, sizeof(*covered)), index = 0, widest = 0;

	for (uint32_t i = 0; sorted && covered && i < count; i++)
		sorted[i] = (struct placed_cidr){list[i], i};
	if (sorted && covered && count > 0)
		qsort(sorted, count, sizeof(*sorted), by_net);
	for (uint32_t i = 1; sorted && covered && i < count; i++) {
		if (covers_net(&sorted[widest].net, &sorted[i].net))
			covered[sorted[i].index] = sorted[widest].index + 1;
		else
			widest = i;
	}
	for (struct view i = view_first(v); covered && i.tree && index < count;
	     i = view_next(v, &i, &index)) {
		if (covered[index])
			view_warn(&i, "entry %u covers it already", covered[index] - 1);
		if (is_no_clients(&list[index]))
			view_warn(&i, "matches nobody: no client has such an address");
	}
	free(sorted);
	free(covered);
}

// ---- rules -------------------------------------------------------------------------------------

static bool texts_cover(const struct slice *a, uint32_t a_count, const struct slice *b,
			uint32_t b_count)
{
	if (a_count == 0)
		return true;
	if (b_count == 0 || a_count > COMPARED_MAX || b_count > COMPARED_MAX)
		return false;
	for (uint32_t i = 0; i < b_count; i++) {
		bool found = false;

		for (uint32_t k = 0; k < a_count && !found; k++)
			found = slice_eq(a[k], b[i]);
		if (!found)
			return false;
	}
	return true;
}

static bool source_same(const struct ss_source *a, const struct ss_source *b)
{
	return a->type == b->type && slice_eq(a->namespace, b->namespace) &&
	       (slice_eq(a->name, b->name) ||
		(a->type == SOURCE_SERVICE_ACCOUNT && slice_eq_str(a->name, "*")));
}

static bool path_covers(const struct ss_path_match *a, const struct ss_path_match *b)
{
	if (a->type == PATH_EXACT)
		return b->type == PATH_EXACT && slice_eq(a->value, b->value);
	return path_match(a, b->value);
}

static bool header_same(const struct ss_header_match *a, const struct ss_header_match *b)
{
	return slice_eq(a->name, b->name) &&
	       texts_cover(a->values, a->value_count, b->values, b->value_count);
}

static bool claim_same(const struct ss_claim_match *a, const struct ss_claim_match *b)
{
	return slice_eq(a->name, b->name) &&
	       texts_cover(a->values, a->value_count, b->values, b->value_count);
}

// Lists of which any has to match: an open one covers all; else each of b's has one of a's that covers it.
#define COVERS(member, count, same)                                                                \
	do {                                                                                       \
		if (a->count == 0)                                                                 \
			break;                                                                     \
		if (b->count == 0 || a->count > COMPARED_MAX || b->count > COMPARED_MAX)           \
			return false;                                                              \
		for (uint32_t i = 0; i < b->count; i++) {                                          \
			bool found = false;                                                        \
                                                                                                   \
			for (uint32_t k = 0; k < a->count && !found; k++)                          \
				found = same(&a->member[k], &b->member[i]);                        \
			if (!found)                                                                \
				return false;                                                      \
		}                                                                                  \
	} while (0)

// Lists of which all have to match: whoever meets b's meets a's.
#define COVERS_ALL(member, count, same)                                                            \
	do {                                                                                       \
		if (a->count > COMPARED_MAX || b->count > COMPARED_MAX)                            \
			return false;                                                              \
		for (uint32_t i = 0; i < a->count; i++) {                                          \
			bool found = false;                                                        \
                                                                                                   \
			for (uint32_t k = 0; k < b->count && !found; k++)                          \
				found = same(&a->member[i], &b->member[k]);                        \
			if (!found)                                                                \
				return false;                                                      \
		}                                                                                  \
	} while (0)

static bool scope_same(const struct slice *a, const struct slice *b)
{
	return slice_eq(*a, *b);
}

static bool port_same(const uint16_t *a, const uint16_t *b)
{
	return *a == *b;
}

static bool connection_covers(const struct ss_rule *a, const struct ss_rule *b)
{
	COVERS(sources, source_count, source_same);
	COVERS(client_cidrs, client_cidr_count, covers_net);
	COVERS(ports, port_count, port_same);
	return true;
}

// Does a match whatever b matches?
static bool rule_covers(const struct ss_rule *a, const struct ss_rule *b)
{
	if (!connection_covers(a, b))
		return false;
	COVERS(paths, path_count, path_covers);
	COVERS_ALL(headers, header_count, header_same);
	COVERS_ALL(claims, claim_count, claim_same);
	COVERS_ALL(scopes, scope_count, scope_same);
	return texts_cover(a->methods, a->method_count, b->methods, b->method_count) &&
	       texts_cover(a->hosts, a->host_count, b->hosts, b->host_count) &&
	       (a->jwt_provider.len == 0 || slice_eq(a->jwt_provider, b->jwt_provider));
}

static void warn_rule(const struct view *v, const struct ss_rule *r, const struct ss_rule *before,
		      bool earlier)
{
	struct view name = view_get(v, "name");

	if (earlier && slice_eq(r->name, before->name))
		view_warn(view_present(&name) ? &name : v, "another rule is called %.*s too",
			  SLICE_ARG(r->name));
	if (!rule_covers(before, r))
		return;
	if (earlier && before->action == r->action)
		view_warn(v, "rule %.*s says that already", SLICE_ARG(before->name));
	else if (before->action == RULE_DENY && r->action == RULE_ALLOW)
		view_warn(v, "has no effect: rule %.*s denies all of that",
			  SLICE_ARG(before->name));
}

void warn_rules(const struct view *list, const struct policy_spec *spec)
{
	uint32_t index = 0;

	for (struct view v = view_first(list); v.tree && index < spec->rule_count;
	     v = view_next(list, &v, &index)) {
		uint32_t found = v.diagnostics->count;

		for (uint32_t k = 0; k < spec->rule_count && v.diagnostics->count == found; k++) {
			if (k != index)
				warn_rule(&v, &spec->rules[index], &spec->rules[k], k < index);
		}
	}
}
