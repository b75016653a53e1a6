// SPDX-License-Identifier: GPL-3.0-or-later
// For the tests of the directory source: a real directory of the test's own, its watch, and what was read.
#pragma once

#include <sys/mman.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "policy-sync/texts.h"

#include "common/clock.h"
#include "model/source.h"
#include "publish/watch.h"

struct test {
	char dir[64];
	struct source *source;
	struct watch *watch;
	struct model *model;
	struct diagnostics findings;
	enum err err;
};

#define SERVICE(name, ip)                                                                          \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name                                    \
	", namespace: shop}\nspec: {clusterIP: " ip ", selector: {app: a}, ports: [{port: 80}]}\n"
#define POLICY(name, action)                                                                       \
	OURS "kind: SecurityPolicy\nmetadata: {name: " name ", namespace: shop}\nspec:\n"          \
	     "  targetRefs: [{group: \"\", kind: Namespace, name: shop}]\n"                        \
	     "  authorization: {defaultAction: " action "}\n"
#define LIMIT(name, requests)                                                                      \
	OURS "kind: RateLimitPolicy\nmetadata: {name: " name ", namespace: shop}\nspec:\n"         \
	     "  targetRefs: [{group: \"\", kind: Namespace, name: shop}]\n  scope: Node\n"         \
	     "  rules: [{name: r, limit: {requests: " requests ", unit: Minute}}]\n"
#define NEXT "---\n"

static inline void shell(const struct test *t, const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && %s", t->dir, command);
	if (system(line) != 0)
		fail_msg("%s", command);
}

static inline void put_bytes(const struct test *t, const char *name, const void *bytes, size_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void put(const struct test *t, const char *name, const char *text)
{
	put_bytes(t, name, text, strlen(text));
}

static inline void load(struct test *t)
{
	model_free(t->model);
	t->model = NULL;
	diagnostics_deinit(&t->findings);
	diagnostics_init(&t->findings);
	t->err = source_load(t->source, &t->findings, &t->model);
}

// Exactly one finding, an error in this file that says so.
static inline void expect_one(struct test *t, const char *file, const char *part)
{
	char path[128], message[512] = "";

	snprintf(path, sizeof(path), "%s%s%s", t->dir, file[0] ? "/" : "", file);
	if (t->findings.count == 1)
		snprintf(message, sizeof(message), "%.*s", SLICE_ARG(t->findings.list[0].message));
	if (t->findings.count == 1 && t->findings.errors == 1 && strstr(message, part) &&
	    strcmp(t->findings.list[0].file, path) == 0)
		return;
	for (uint32_t i = 0; i < t->findings.count; i++)
		print_message("%s:%u: %.*s\n", t->findings.list[i].file, t->findings.list[i].line,
			      SLICE_ARG(t->findings.list[i].message));
	fail_msg("not one finding in %s that says \"%s\"", path, part);
}

static const struct security_policy *policy(const struct test *t, const char *name)
{
	for (uint32_t i = 0; i < t->model->policies.count; i++) {
		const struct security_policy *p = t->model->policies.items[i];

		if (slice_eq_str(p->name, name))
			return p;
	}
	return NULL;
}

static inline bool refuses(const struct test *t, const char *name)
{
	const struct security_policy *p = policy(t, name);

	return p && p->broken.len > 0 && p->target_count > 0;
}

static inline bool in_force(const struct test *t, const char *name)
{
	const struct security_policy *p = policy(t, name);

	return p && p->broken.len == 0;
}

static const struct service_object *service(const struct test *t, const char *name)
{
	return model_service(t->model, SLICE_LIT("shop"), slice_str(name));
}

static inline bool service_at(const struct test *t, const char *name, uint32_t v4)
{
	const struct service_object *s = service(t, name);

	return s && addr_eq(s->addrs[0], addr_from_v4(v4));
}

static inline uint64_t requests(const struct test *t)
{
	assert_int_equal(t->model->limits.count, 1);
	return ((const struct rate_limit_policy *)t->model->limits.items[0])->limits[0].requests;
}

static inline int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(t->dir, sizeof(t->dir), "/tmp/portcullis-robust-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	diagnostics_init(&t->findings);
	put(t, "service.yaml", SERVICE("web", "10.97.0.1"));
	put(t, "policy.yaml", POLICY("deny", "Deny"));
	assert_int_equal(source_new(t->dir, &t->source), ERR_OK);
	assert_int_equal(watch_new(t->dir, &t->watch), ERR_OK);
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(in_force(t, "deny") && service_at(t, "web", 0x0a610001));
	assert_false(t->model->incomplete);
	*state = t;
	return 0;
}

static inline int teardown(void **state)
{
	struct test *t = *state;
	char line[192];

	model_free(t->model);
	diagnostics_deinit(&t->findings);
	source_free(t->source);
	watch_free(t->watch);
	snprintf(line, sizeof(line), "chmod -R u+rwX %s; rm -rf %s", t->dir, t->dir);
	assert_int_equal(system(line), 0);
	free(t);
	return 0;
}
