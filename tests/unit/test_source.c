// SPDX-License-Identifier: GPL-3.0-or-later
// publish/source and publish/watch: what an edit does to what is in force, and that every way of
// editing is noticed. Real files in a directory of the test's own.
#include <setjmp.h>
#include <stdarg.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/clock.h"
#include "model/source.h"
#include "publish/watch.h"

struct test {
	char dir[64];
	struct source *source;
	struct watch *watch;
	struct model *model;
	struct diagnostics findings;
	bool incomplete;
};

static void shell(const struct test *t, const char *command)
{
	char line[2048];

	snprintf(line, sizeof(line), "cd %s && %s", t->dir, command);
	if (system(line) != 0)
		fail_msg("%s", command);
}

static void put(const struct test *t, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static void load(struct test *t)
{
	model_free(t->model);
	t->model = NULL;
	diagnostics_deinit(&t->findings);
	diagnostics_init(&t->findings);
	assert_int_equal(source_load(t->source, &t->findings, &t->model), ERR_OK);
	t->incomplete = t->model->incomplete;
}

#define SERVICE(name, ip)                                                                          \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name                                    \
	", namespace: shop}\nspec:\n  clusterIP: " ip                                              \
	"\n  selector: {app: a}\n  ports: [{port: 80}]\n"
#define POLICY(name, action)                                                                       \
	"apiVersion: policy.portcullis.dev/v1alpha1\nkind: SecurityPolicy\n"                       \
	"metadata: {name: " name ", namespace: shop}\nspec:\n"                                     \
	"  targetRefs: [{group: \"\", kind: Namespace, name: shop}]\n"                             \
	"  authorization: {defaultAction: " action "}\n"
#define NO_YAML "spec: {a: [\n"

static int setup(void **state)
{
	struct test *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(t->dir, sizeof(t->dir), "/tmp/portcullis-source-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	diagnostics_init(&t->findings);
	put(t, "service.yaml", SERVICE("web", "10.97.0.1"));
	put(t, "policy.yaml", POLICY("deny", "Deny"));
	assert_int_equal(source_new(t->dir, &t->source), ERR_OK);
	assert_int_equal(watch_new(t->dir, &t->watch), ERR_OK);
	load(t);
	assert_int_equal(t->findings.errors, 0);
	assert_int_equal(t->model->services.count, 1);
	assert_int_equal(t->model->policies.count, 1);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct test *t = *state;
	char line[128];

	model_free(t->model);
	diagnostics_deinit(&t->findings);
	source_free(t->source);
	watch_free(t->watch);
	snprintf(line, sizeof(line), "rm -r %s", t->dir);
	assert_int_equal(system(line), 0);
	free(t);
	return 0;
}

static const struct security_policy *policy(const struct test *t, uint32_t index)
{
	assert_true(index < t->model->policies.count);
	return t->model->policies.items[index];
}

static void a_service_that_does_not_parse_stays(void **state)
{
	struct test *t = *state;
	const struct service_object *s;

	put(t, "service.yaml", NO_YAML);
	load(t);
	assert_true(t->findings.errors > 0);
	assert_false(t->incomplete); // what it said before is known
	assert_int_equal(t->model->services.count, 1);
	s = t->model->services.items[0];
	assert_true(addr_eq(s->addrs[0], addr_from_v4(0x0a610001)));
	load(t); // and again, with nothing new
	assert_int_equal(t->model->services.count, 1);
	put(t, "service.yaml", SERVICE("web", "10.97.0.2"));
	load(t);
	assert_int_equal(t->findings.errors, 0);
	s = t->model->services.items[0];
	assert_true(addr_eq(s->addrs[0], addr_from_v4(0x0a610002)));
}

static void a_service_that_makes_no_sense_stays(void **state)
{
	struct test *t = *state;
	const struct service_object *s;

	put(t, "service.yaml", SERVICE("web", "10.97.0.999"));
	load(t);
	assert_true(t->findings.errors > 0);
	assert_int_equal(t->model->services.count, 1);
	s = t->model->services.items[0];
	assert_true(addr_eq(s->addrs[0], addr_from_v4(0x0a610001)));
}

static void a_policy_that_does_not_parse_refuses(void **state)
{
	struct test *t = *state;

	put(t, "policy.yaml", NO_YAML);
	load(t);
	assert_int_equal(t->model->policies.count, 1);
	assert_true(policy(t, 0)->broken.len > 0);
	assert_non_null(
		memmem(policy(t, 0)->broken.ptr, policy(t, 0)->broken.len, "policy.yaml", 11));
	assert_int_equal(policy(t, 0)->target_count, 1); // and it is known whom it protects
	put(t, "policy.yaml", POLICY("deny", "Deny"));
	load(t);
	assert_int_equal(policy(t, 0)->broken.len, 0);
}

static void a_policy_that_makes_no_sense_refuses(void **state)
{
	struct test *t = *state;

	put(t, "policy.yaml", POLICY("deny", "Perhaps"));
	load(t);
	assert_true(t->findings.errors > 0);
	assert_int_equal(t->model->policies.count, 1);
	assert_true(policy(t, 0)->broken.len > 0);
}

// In one file, an error in one kind must not hold up the other's change.
static void a_policy_is_not_held_up_by_its_neighbour(void **state)
{
	struct test *t = *state;

	put(t, "service.yaml", SERVICE("web", "10.97.0.999") "---\n" POLICY("second", "Allow"));
	load(t);
	assert_int_equal(t->model->services.count, 1);
	assert_int_equal(t->model->policies.count, 2);
	assert_int_equal(policy(t, 1)->broken.len, 0);
}

static void what_is_removed_is_gone(void **state)
{
	struct test *t = *state;

	shell(t, "rm policy.yaml");
	load(t);
	assert_int_equal(t->findings.errors, 0);
	assert_int_equal(t->model->policies.count, 0);
	assert_int_equal(t->model->services.count, 1);
}

static void what_never_could_be_read_is_unknown(void **state)
{
	struct test *t = *state;

	put(t, "new.yaml", NO_YAML);
	load(t);
	assert_true(t->incomplete);
	assert_int_equal(t->model->services.count, 1); // the rest is there
	shell(t, "rm new.yaml");
	load(t);
	assert_false(t->incomplete);
}

// ---- watch -------------------------------------------------------------------------------------

// The change is noticed, and looked at no later than 100 ms after it.
static void expect_change(struct test *t, const char *command)
{
	uint64_t started_ns;
	bool seen = false;

	watch_rescan(t->watch);
	(void)watch_read(t->watch, clock_monotonic_ns());
	watch_rescan(t->watch); // of what lay there before
	assert_int_equal(watch_due_ns(t->watch), UINT64_MAX);
	shell(t, command);
	started_ns = clock_monotonic_ns();
	while (!seen) {
		struct pollfd p = {.fd = watch_fd(t->watch), .events = POLLIN};

		if (poll(&p, 1, 2000) != 1)
			fail_msg("not noticed: %s", command);
		seen = watch_read(t->watch, clock_monotonic_ns());
	}
	assert_in_range(watch_due_ns(t->watch), started_ns, started_ns + 150 * NS_PER_MS);
}

static void every_way_of_editing_is_noticed(void **state)
{
	struct test *t = *state;

	expect_change(t, "echo '# in place' >>service.yaml");
	expect_change(t, "cp service.yaml x && mv x service.yaml"); // as editors do
	expect_change(t, "rm policy.yaml");
	expect_change(t, "mkdir -p sub/deep");
	expect_change(t, "echo a >sub/deep/new.yaml"); // in what was made just now
	expect_change(t, "echo b >>sub/deep/new.yaml");
	expect_change(t, "mv sub other");
	expect_change(t, "echo c >>other/deep/new.yaml");
	expect_change(t, "rm -r other");
}

// A ConfigMap volume: ..data is a link to a directory that is swapped by rename.
static void configmap_volumes_are_followed(void **state)
{
	struct test *t = *state;
	const struct service_object *s;

	shell(t, "rm service.yaml && mkdir ..one && ln -s ..one ..data && "
		 "ln -s ..data/service.yaml service.yaml");
	put(t, "..one/service.yaml", SERVICE("web", "10.97.0.1"));
	load(t);
	assert_int_equal(t->model->services.count, 1); // once, by its visible name
	shell(t, "mkdir ..two");
	put(t, "..two/service.yaml", SERVICE("web", "10.97.0.7"));
	expect_change(t, "ln -s ..two ..data_tmp && mv -T ..data_tmp ..data");
	load(t);
	s = t->model->services.items[0];
	assert_true(addr_eq(s->addrs[0], addr_from_v4(0x0a610007)));
	shell(t, "rm -r ..one");
	expect_change(t, "mkdir ..three && cp ..two/service.yaml ..three/ && "
			 "ln -s ..three ..data_tmp && mv -T ..data_tmp ..data");
}

// A file elsewhere that a name in the directory leads to.
static void files_elsewhere_are_followed(void **state)
{
	struct test *t = *state;
	char path[96];

	shell(t,
	      "mkdir -p far watched && ln -s ../far/a.yaml watched/a.yaml && echo a >far/a.yaml");
	watch_free(t->watch);
	snprintf(path, sizeof(path), "%s/watched", t->dir);
	assert_int_equal(watch_new(path, &t->watch), ERR_OK);
	expect_change(t, "echo b >>far/a.yaml");
	expect_change(t, "cp far/a.yaml far/x && mv far/x far/a.yaml");
}

// The directory itself may be a link, or be replaced.
static void the_directory_may_be_swapped(void **state)
{
	struct test *t = *state;
	char path[96];

	shell(t, "mkdir -p real next && ln -s real link");
	put(t, "real/a.yaml", SERVICE("a", "10.97.0.1"));
	put(t, "next/a.yaml", SERVICE("a", "10.97.0.2"));
	watch_free(t->watch);
	snprintf(path, sizeof(path), "%s/link", t->dir);
	assert_int_equal(watch_new(path, &t->watch), ERR_OK);
	expect_change(t, "echo '# more' >>real/a.yaml");
	expect_change(t, "ln -s next l && mv -T l link");
	expect_change(t, "echo '# more' >>next/a.yaml");
}

// A writer that has truncated and not yet written must not be read as "nothing there any more".
static void an_open_file_is_waited_for(void **state)
{
	struct test *t = *state;
	uint64_t changed_ns;
	char path[128];
	FILE *f;

	watch_rescan(t->watch);
	snprintf(path, sizeof(path), "%s/policy.yaml", t->dir);
	f = fopen(path, "w"); // truncates
	assert_non_null(f);
	changed_ns = clock_monotonic_ns();
	assert_true(watch_read(t->watch, changed_ns));
	assert_int_equal(watch_due_ns(t->watch), changed_ns + 100 * NS_PER_MS);
	fputs(POLICY("deny", "Deny"), f);
	fclose(f);
	assert_true(watch_read(t->watch, changed_ns + NS_PER_MS));
	assert_int_equal(watch_due_ns(t->watch), changed_ns + 21 * NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_service_that_does_not_parse_stays, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_service_that_makes_no_sense_stays, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_policy_that_does_not_parse_refuses, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_policy_that_makes_no_sense_refuses, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_policy_is_not_held_up_by_its_neighbour, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_is_removed_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(what_never_could_be_read_is_unknown, setup,
						teardown),
		cmocka_unit_test_setup_teardown(every_way_of_editing_is_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(configmap_volumes_are_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(files_elsewhere_are_followed, setup, teardown),
		cmocka_unit_test_setup_teardown(the_directory_may_be_swapped, setup, teardown),
		cmocka_unit_test_setup_teardown(an_open_file_is_waited_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
