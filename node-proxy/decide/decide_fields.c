// SPDX-License-Identifier: GPL-3.0-or-later
// Which fields of a request decide about it; see decide_fields.h. What is in Audit or shadow mode changes no
// answer, so it reads nothing here.
#include "decide/decide_fields.h"

static bool names_field(const struct ss_header_match *list, uint32_t count, struct http1_name name)
{
	for (uint32_t i = 0; i < count; i++) {
		if (http1_name_is(name, list[i].name))
			return true;
	}
	return false;
}

static bool limits_read(const struct snapshot *s, const struct ss_policy *p, struct http1_name name)
{
	for (uint32_t i = 0; i < p->limit_count; i++) {
		const struct limit *l = snapshot_limit(s, p->limit_ids[i]);

		if (l && !l->record.shadow &&
		    names_field(l->record.headers, l->record.header_count, name))
			return true;
	}
	return false;
}

// Providers that something is refused by, a bit each.
static uint32_t enforced_providers(const struct ss_policy *p)
{
	uint32_t enforced = 0;
	bool by_group = false;

	for (uint32_t i = 0; i < p->group_count; i++) {
		by_group |= p->groups[i].providers != 0;
		if (p->groups[i].default_mode != MODE_AUDIT)
			enforced |= p->groups[i].providers;
	}
	return by_group ? enforced : UINT32_MAX;
}

static bool providers_read(const struct snapshot *s, const struct ss_policy *p,
			   struct http1_name name)
{
	uint32_t enforced = enforced_providers(p);

	for (uint32_t i = 0; i < p->provider_count && i < POLICY_PROVIDERS_MAX; i++) {
		const struct ss_provider *provider =
			enforced & (1u << i) ? snapshot_provider(s, p->provider_ids[i]) : NULL;

		for (uint32_t k = 0; provider && k < provider->header_count; k++) {
			if (http1_name_is(name, provider->headers[k].name))
				return true;
		}
	}
	return false;
}

bool decide_reads_field(const struct snapshot *s, const struct policy *p, struct http1_name name)
{
	return p && (policy_reads_field(p, name) || limits_read(s, policy_source(p), name) ||
		     providers_read(s, policy_source(p), name));
}
