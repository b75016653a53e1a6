// SPDX-License-Identifier: GPL-3.0-or-later
// Tables of what is not ours; see strangers.h.
#include "model/strangers.h"

#include <strings.h>

#define GROUP_BYTES_MAX 64
// So many letters may be wrong, missing or too many.
#define MISSPELT_MAX 4

// ---- meant to be ours --------------------------------------------------------------------------

// Levenshtein's, row by row.
static uint32_t edits(struct slice a, struct slice b)
{
	uint32_t row[GROUP_BYTES_MAX + 1];

	for (uint32_t k = 0; k <= b.len; k++)
		row[k] = k;
	for (uint32_t i = 1; i <= a.len; i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (uint32_t k = 1; k <= b.len; k++) {
			uint32_t best = diagonal + ((a.ptr[i - 1] | 0x20) != (b.ptr[k - 1] | 0x20));

			if (row[k] + 1 < best)
				best = row[k] + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			diagonal = row[k];
			row[k] = best;
		}
	}
	return row[b.len];
}

static bool has_word(struct slice s, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= s.len; i++) {
		if (strncasecmp((const char *)s.ptr + i, word, len) == 0)
			return true;
	}
	return false;
}

bool stranger_is_misspelt(struct slice group, bool is_kind_of_ours)
{
	if (group.len == 0)
		return is_kind_of_ours;
	if (group.len > GROUP_BYTES_MAX)
		return false;
	return has_word(group, "portcullis") || edits(group, SLICE_LIT(OUR_GROUP)) <= MISSPELT_MAX;
}

// ---- other projects' ---------------------------------------------------------------------------

#define ELSEWHERE "is not enforced here"
#define LATER	  "is not there yet: nothing of it is enforced here"

// kind NULL: each of the group.
static const struct {
	const char *group, *kind, *why;
} strangers[] = {
	{"networking.k8s.io", "NetworkPolicy", ELSEWHERE},
	{"extensions", "NetworkPolicy", ELSEWHERE},
	{"policy.networking.k8s.io", NULL, ELSEWHERE},
	{"gateway.networking.k8s.io", NULL, LATER},
	{"gateway.networking.x-k8s.io", NULL, LATER},
	{"security.istio.io", NULL, ELSEWHERE},
	{"authentication.istio.io", NULL, ELSEWHERE},
	{"rbac.istio.io", NULL, ELSEWHERE},
	{"networking.istio.io", NULL, ELSEWHERE},
	{"cilium.io", "CiliumNetworkPolicy", ELSEWHERE},
	{"cilium.io", "CiliumClusterwideNetworkPolicy", ELSEWHERE},
	{"cilium.io", "CiliumEnvoyConfig", ELSEWHERE},
	{"cilium.io", "CiliumClusterwideEnvoyConfig", ELSEWHERE},
	{"cilium.io", "CiliumLocalRedirectPolicy", ELSEWHERE},
	{"cilium.io", "CiliumEgressGatewayPolicy", ELSEWHERE},
	{"projectcalico.org", "NetworkPolicy", ELSEWHERE},
	{"projectcalico.org", "GlobalNetworkPolicy", ELSEWHERE},
	{"projectcalico.org", "StagedNetworkPolicy", ELSEWHERE},
	{"projectcalico.org", "StagedGlobalNetworkPolicy", ELSEWHERE},
	{"crd.projectcalico.org", "NetworkPolicy", ELSEWHERE},
	{"crd.projectcalico.org", "GlobalNetworkPolicy", ELSEWHERE},
	{"crd.antrea.io", "NetworkPolicy", ELSEWHERE},
	{"crd.antrea.io", "ClusterNetworkPolicy", ELSEWHERE},
	{"k8s.ovn.org", "AdminPolicyBasedExternalRoute", ELSEWHERE},
	{"k8s.ovn.org", "EgressFirewall", ELSEWHERE},
	{"gateway.envoyproxy.io", NULL, ELSEWHERE},
	{"gateway.kgateway.dev", NULL, ELSEWHERE},
	{"policy.linkerd.io", NULL, ELSEWHERE},
	{"configuration.konghq.com", NULL, ELSEWHERE},
	{"traefik.io", NULL, ELSEWHERE},
	{"traefik.containo.us", NULL, ELSEWHERE},
	{"kuadrant.io", NULL, ELSEWHERE},
	{"kuma.io", NULL, ELSEWHERE},
	{"consul.hashicorp.com", NULL, ELSEWHERE},
	{"gateway.nginx.org", NULL, ELSEWHERE},
	{"k8s.nginx.org", NULL, ELSEWHERE},
	{"projectcontour.io", NULL, ELSEWHERE},
	{"policy.openservicemesh.io", NULL, ELSEWHERE},
	{"config.openservicemesh.io", NULL, ELSEWHERE},
	{"access.smi-spec.io", NULL, ELSEWHERE},
	{"specs.smi-spec.io", NULL, ELSEWHERE},
};

// What others call theirs.
static const char *const endings[] = {
	"NetworkPolicy",   "SecurityPolicy", "AuthorizationPolicy", "AuthPolicy",
	"RateLimitPolicy", "TrafficPolicy",  "AccessPolicy",	    "PeerAuthentication",
};

static bool ends_with(struct slice s, const char *end)
{
	size_t len = strlen(end);

	return s.len >= len && slice_eq_str(slice_make(s.ptr + s.len - len, len), end);
}

const char *stranger_policy(struct slice group, struct slice kind, bool is_kind_of_ours)
{
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		if (slice_eq_str(group, strangers[i].group) &&
		    (!strangers[i].kind || slice_eq_str(kind, strangers[i].kind)))
			return strangers[i].why;
	}
	if (is_kind_of_ours)
		return ELSEWHERE ": ours is of " OUR_GROUP "/" OUR_VERSION;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (ends_with(kind, endings[i]))
			return ELSEWHERE;
	}
	return NULL;
}

// ---- no objects --------------------------------------------------------------------------------

// By their names; each may hold words that objects have too.
static bool is_named_so(const char *file)
{
	const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;

	return strncasecmp(name, "kustomization.", 14) == 0 ||
	       strncasecmp(name, "values", 6) == 0 || strncasecmp(name, "chart.", 6) == 0;
}

// RFC 6902: a list of operations.
static bool is_patch(const struct tree *document)
{
	const struct tree *t = document->kind == TREE_LIST ? document->first : NULL;

	if (!t)
		return false;
	for (; t; t = t->next) {
		if (!tree_get(t, "op") || !tree_get(t, "path"))
			return false;
	}
	return true;
}

bool stranger_is_no_object(const struct view *document)
{
	static const char *const words[] = {"apiVersion", "kind", "metadata", "spec"};
	const struct tree *t = document->tree;
	uint32_t found = 0;

	// Items of a list are what the list says.
	if (t->parent || t->cut)
		return false;
	if (t->kind != TREE_MAP)
		return is_patch(t);
	if (is_named_so(document->file) && !(tree_get(t, "apiVersion") && tree_get(t, "kind")))
		return true;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		found += tree_get(t, words[i]) != NULL;
	return found == 0;
}

bool stranger_is_template(struct slice text)
{
	bool begins = true; // nothing but what may stand before a value

	for (size_t i = 0; i + 1 < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (begins && c == '{' && text.ptr[i + 1] == '{')
			return true;
		begins = c == '\n' || (c == ':' && text.ptr[i + 1] == ' ') ||
			 (begins && (c == ' ' || c == '\t' || c == '-'));
	}
	return false;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '"' || c == '\'';
}

// The next value behind "word:", wherever it stands; ptr NULL: there is none any more.
static struct slice next_value(struct slice text, const char *word, size_t *at)
{
	size_t len = strlen(word);

	for (size_t i = *at; i + len < text.len; i++) {
		size_t end = i + len;

		if (memcmp(text.ptr + i, word, len) != 0 ||
		    (i > 0 && !strchr(" \t\r\n{,-\"'", text.ptr[i - 1])))
			continue;
		while (end < text.len && is_blank(text.ptr[end]))
			end++;
		if (end == text.len || text.ptr[end++] != ':')
			continue;
		while (end < text.len && is_blank(text.ptr[end]))
			end++;
		for (i = end; i < text.len && !strchr(" \t\r\n,}\"'", text.ptr[i]);)
			i++;
		*at = i;
		return slice_make(text.ptr + end, i - end);
	}
	return (struct slice){0};
}

static bool is_open(struct slice value)
{
	return value.len == 0 || slice_starts(value, SLICE_LIT("{{"));
}

bool stranger_may_be_ours(struct slice text, bool (*is_kind_of_ours)(struct slice kind))
{
	bool foreign = false, ours = false;
	struct slice value;

	for (size_t at = 0; (value = next_value(text, "apiVersion", &at)).ptr;) {
		size_t group = slice_find(value, '/');

		if (stranger_is_misspelt(slice_make(value.ptr, group), false))
			return true;
		foreign |= !is_open(value) && group < value.len;
	}
	for (size_t at = 0; (value = next_value(text, "kind", &at)).ptr;)
		ours |= is_open(value) || is_kind_of_ours(value);
	return ours && !foreign;
}
