// SPDX-License-Identifier: GPL-3.0-or-later
// What one policy or one limit says, shown to the nodes' reader by itself: what is refused there breaks that
// object, not the joined policy of everybody whom it concerns.
#include <stdio.h>
#include "common/snapshot_codec.h"
#include "compile/compile.h"
#include "core/snapshot.h"

static bool check_provider(const struct ss_provider *p, struct reason *why)
{
	enum err err;
	struct buf b;

	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_provider(&b, p);
	err = b.err ? err_because(b.err, why, "is larger than %u bytes", SNAPSHOT_RECORD_BYTES_MAX)
		    : snapshot_check_record(SECTION_PROVIDERS, buf_slice(&b), why);
	buf_deinit(&b);
	return err == ERR_OK;
}

static enum err check_set(struct ss_rule *rules, uint32_t count, struct reason *why)
{
	struct ss_rule_set alone = {.id = SLICE_LIT("alone"), .rules = rules, .rule_count = count};
	enum err err;
	struct buf b;

	*why = (struct reason){0};
	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_rule_set(&b, &alone);
	err = b.err ? err_because(b.err, why, "is larger than %u bytes", SNAPSHOT_RECORD_BYTES_MAX)
		    : snapshot_check_record(SECTION_RULE_SETS, buf_slice(&b), why);
	buf_deinit(&b);
	return err;
}

// Which rule it is: the last of the fewest that are refused.
static void name_rule(struct ss_rule *rules, uint32_t refused, struct reason *why)
{
	uint32_t taken = 0;
	struct reason what = *why;
	enum err err;

	while (refused - taken > 1) {
		uint32_t middle = taken + (refused - taken) / 2;

		if (check_set(rules, middle, &what) == ERR_OK)
			taken = middle;
		else
			refused = middle;
	}
	err = check_set(rules, refused, &what);
	if (err == ERR_OK || refused == 0)
		return;
	struct slice name = rules[refused - 1].name;
	bool large = err == ERR_TOO_LARGE || err == ERR_NOMEM || err == ERR_FULL;

	*why = (struct reason){0};
	(void)err_because(err, why, "rule %.*s: %s%s", SLICE_ARG(name), what.text,
			  large ? "; write it, or a part of it, in another policy" : "");
}

// The rules as they would stand if nobody else said anything.
static bool check_rules(struct compiler *c, const struct security_policy *p,
			const struct policy_spec *spec, struct reason *why)
{
	struct ss_rule *rules = arena_alloc(c->arena, spec->rule_count, sizeof(*rules));

	if (!rules) {
		c->err = ERR_NOMEM;
		return true;
	}
	for (uint32_t i = 0; i < spec->rule_count; i++) {
		rules[i] = spec->rules[i];
		rules[i].policy = p->title;
	}
	if (check_set(rules, spec->rule_count, why) == ERR_OK)
		return true;
	name_rule(rules, spec->rule_count, why);
	return false;
}

static void break_policy(struct compiler *c, struct security_policy *p, const char *field,
			 const struct reason *why)
{
	char text[REASON_BYTES_MAX + 64];

	snprintf(text, sizeof(text), "no node would take its %s: %s", field, why->text);
	compile_say(c, SEVERITY_ERROR, &p->origin, field, "no node would take it: %s", why->text);
	p->broken = arena_copy(c->arena, slice_str(text));
	if (!p->broken.ptr)
		c->err = ERR_NOMEM;
}

static void check_policy(struct compiler *c, struct security_policy *p)
{
	const struct policy_spec *specs[] = {&p->overrides, &p->spec};
	struct reason why = {0};

	for (int s = 0; s < 2 && p->broken.len == 0; s++) {
		for (uint32_t i = 0; i < specs[s]->provider_count && p->broken.len == 0; i++) {
			if (!check_provider(&specs[s]->providers[i], &why))
				break_policy(c, p, "spec.jwt.providers", &why);
		}
		if (p->broken.len == 0 && !check_rules(c, p, specs[s], &why))
			break_policy(c, p, "spec.authorization.rules", &why);
	}
}

static bool check_limit(const struct ss_limit *l, struct reason *why)
{
	enum err err;
	struct buf b;

	buf_init_growing(&b, SNAPSHOT_RECORD_BYTES_MAX);
	snapshot_encode_limit(&b, l);
	err = b.err ? err_because(b.err, why, "is larger than %u bytes", SNAPSHOT_RECORD_BYTES_MAX)
		    : snapshot_check_record(SECTION_LIMITS, buf_slice(&b), why);
	buf_deinit(&b);
	return err == ERR_OK;
}

void compile_check_records(struct compiler *c)
{
	for (uint32_t i = 0; i < c->model->policies.count && c->err == ERR_OK; i++)
		check_policy(c, c->model->policies.items[i]);
	for (uint32_t i = 0; i < c->model->limits.count && c->err == ERR_OK; i++) {
		const struct rate_limit_policy *p = c->model->limits.items[i];
		struct reason why = {0};

		for (uint32_t k = 0; k < p->limit_count && !c->limit_refused[i]; k++)
			c->limit_refused[i] = !check_limit(&p->limits[k], &why);
		if (c->limit_refused[i])
			compile_say(c, SEVERITY_ERROR, &p->origin, "spec.rules",
				    "no node would take it, and it limits nothing: %s", why.text);
	}
}
