// SPDX-License-Identifier: GPL-3.0-or-later
// model/source over time and over restarts: what a policy protects stays closed when its target goes, and what
// cannot be read now is what it was (design: policy.md "Truth").
#include "policy-sync/directory.h"

#define POD                                                                                        \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: z, namespace: shop, uid: u-z, labels: {app: " \
	"a}}\nspec: {nodeName: n1, containers: [{ports: [{name: web, containerPort: 8080}]}]}\n"   \
	"status: {podIPs: [{ip: 10.1.2.1}]}\n"
#define NODE "apiVersion: v1\nkind: Node\nmetadata: {name: n1}\n"
#define SERVICE_OF(name, rest)                                                                     \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name                                    \
	", namespace: shop}\nspec: {clusterIP: 10.97.0.9, " rest "}\n"
#define ONE_PORT "selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}]"
#define TARGETS(name, target)                                                                      \
	OURS "kind: SecurityPolicy\nmetadata: {name: " name                                        \
	     ", namespace: shop}\nspec: {targetRefs: [{group: \"\", " target                       \
	     "}], authorization: {defaultAction: Deny}}\n"
#define NO_YAML "a: [\n"

static char memory[96];

static int begin(void **state)
{
	struct test *t;

	assert_int_equal(setup(state), 0);
	t = *state;
	shell(t, "rm service.yaml policy.yaml && mkdir .state && chmod 700 .state");
	snprintf(memory, sizeof(memory), "%s/.state", t->dir);
	source_free(t->source);
	assert_int_equal(source_new(t->dir, &t->source), ERR_OK);
	assert_int_equal(source_remember(t->source, memory), ERR_OK);
	assert_false(source_remembers(t->source));
	put(t, "pod.yaml", POD NEXT NODE);
	return 0;
}

static void save(struct test *t)
{
	bool more = true;

	while (more)
		assert_int_equal(source_save(t->source, &more), ERR_OK);
}

static void restart(struct test *t)
{
	save(t);
	source_free(t->source);
	assert_int_equal(source_new(t->dir, &t->source), ERR_OK);
	assert_int_equal(source_remember(t->source, memory), ERR_OK);
	assert_true(source_remembers(t->source));
	load(t);
}

// Who comes from outside to the pod's port, by what would be published.
static enum verdict asked(struct test *t, uint16_t port)
{
	struct texts x;
	enum verdict v;

	assert_int_equal(t->err, ERR_OK);
	texts_open(&x);
	model_free(x.model);
	x.model = model_ref(t->model);
	texts_compile(&x);
	assert_non_null(texts_pod(&x, "10.1.2.1"));
	v = texts_verdict(&x, "198.51.100.1", "10.1.2.1", port);
	texts_close(&x);
	return v;
}

static void expect_closed(struct test *t, uint16_t port)
{
	load(t);
	assert_int_equal(asked(t, port), VERDICT_DENY);
	load(t);
	assert_int_equal(asked(t, port), VERDICT_DENY);
	restart(t);
	assert_int_equal(asked(t, port), VERDICT_DENY);
	restart(t);
	assert_int_equal(asked(t, port), VERDICT_DENY);
}

static void expect_open_without(struct test *t, const char *file, uint16_t port)
{
	char command[64];

	snprintf(command, sizeof(command), "rm %s", file);
	shell(t, command);
	load(t);
	assert_int_equal(asked(t, port), VERDICT_ALLOW);
	restart(t);
	assert_int_equal(asked(t, port), VERDICT_ALLOW);
}

static void a_service_that_goes_is_still_covered(void **state)
{
	struct test *t = *state;

	put(t, "s.yaml", SERVICE_OF("z", ONE_PORT));
	put(t, "p.yaml", TARGETS("p", "kind: Service, name: z"));
	load(t);
	assert_int_equal(asked(t, 8080), VERDICT_DENY);
	assert_int_equal(asked(t, 9090), VERDICT_ALLOW);
	shell(t, "rm s.yaml");
	expect_closed(t, 8080);
	assert_int_equal(asked(t, 9090), VERDICT_ALLOW);
	// It is not published, and what comes by its name takes its place.
	put(t, "s.yaml",
	    SERVICE_OF("z", "selector: {app: a}, ports: [{name: http, port: 80, "
			    "targetPort: 9090}]"));
	load(t);
	assert_int_equal(asked(t, 8080), VERDICT_ALLOW);
	assert_int_equal(asked(t, 9090), VERDICT_DENY);
	shell(t, "rm s.yaml");
	restart(t); // gone while nobody ran
	assert_int_equal(asked(t, 9090), VERDICT_DENY);
	expect_open_without(t, "p.yaml", 9090);
}

static void a_port_that_goes_is_still_covered(void **state)
{
	struct test *t = *state;

	put(t, "s.yaml", SERVICE_OF("z", ONE_PORT));
	put(t, "p.yaml", TARGETS("p", "kind: Service, name: z, sectionName: http"));
	load(t);
	put(t, "s.yaml",
	    SERVICE_OF("z", "selector: {app: a}, ports: [{name: other, port: 81, "
			    "targetPort: 9090}]"));
	expect_closed(t, 8080);
	assert_int_equal(asked(t, 9090), VERDICT_ALLOW);
	// Then the whole of it.
	shell(t, "rm s.yaml");
	expect_closed(t, 8080);
	assert_int_equal(asked(t, 9090), VERDICT_ALLOW);
	expect_open_without(t, "p.yaml", 8080);
}

static void a_service_without_a_selector_has_its_endpoints(void **state)
{
	struct test *t = *state;

	put(t, "s.yaml",
	    SERVICE_OF("z", "ports: [{name: http, port: 80}]") NEXT
	    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e, "
	    "namespace: shop, labels: {kubernetes.io/service-name: z}}\nports: [{name: http, "
	    "port: 8080}]\nendpoints: [{addresses: [10.1.2.1]}]\n");
	put(t, "p.yaml", TARGETS("p", "kind: Service, name: z"));
	load(t);
	assert_int_equal(asked(t, 8080), VERDICT_DENY);
	shell(t, "rm s.yaml");
	expect_closed(t, 8080);
	expect_open_without(t, "p.yaml", 8080);
}

static void labels_of_a_namespace_that_goes_hold(void **state)
{
	struct test *t = *state;

	put(t, "n.yaml",
	    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n");
	put(t, "p.yaml",
	    OURS "kind: ClusterSecurityPolicy\nmetadata: {name: g}\nspec: {"
		 "namespaceSelector: {matchLabels: {team: a}}, overrides: {authorization: "
		 "{defaultAction: Deny}}}\n");
	load(t);
	assert_int_equal(asked(t, 8080), VERDICT_DENY);
	shell(t, "rm n.yaml");
	expect_closed(t, 8080);
	expect_open_without(t, "p.yaml", 8080);
}

// ---- restarts ----------------------------------------------------------------------------------

static void a_restart_has_what_cannot_be_read(void **state)
{
	static const char *const ways[] = {
		"printf 'a: [' > s.yaml && cp s.yaml p.yaml", // no YAML
		"rm s.yaml p.yaml && ln -s nothing s.yaml && ln -s nothing p.yaml",
		"rm s.yaml p.yaml && mkfifo s.yaml p.yaml",
		": > s.yaml && : > p.yaml", // an editor, or a full disk
		"printf '# nothing\\n---\\n---\\n' > s.yaml && cp s.yaml p.yaml",
	};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		shell(t, "rm -f s.yaml p.yaml");
		put(t, "s.yaml", SERVICE_OF("z", ONE_PORT));
		put(t, "p.yaml", TARGETS("p", "kind: Service, name: z"));
		load(t);
		shell(t, ways[i]);
		put(t, "new.yaml", SERVICE("fresh", "10.97.0.7"));
		restart(t);
		assert_false(t->model->incomplete);
		assert_true(service_at(t, "z", 0x0a610009)); // as it was
		assert_true(service_at(t, "fresh", 0x0a610007));
		assert_true(t->findings.errors > 0);
		assert_true(refuses(t, "p"));
		assert_int_equal(asked(t, 8080), VERDICT_BROKEN);
		// Deleted is deleted, also while nobody looks.
		shell(t, "rm -f s.yaml p.yaml new.yaml");
		restart(t);
		assert_null(service(t, "z"));
		assert_null(policy(t, "p"));
		assert_int_equal(asked(t, 8080), VERDICT_ALLOW);
	}
}

static void an_object_that_turned_invalid_meanwhile(void **state)
{
	struct test *t = *state;

	put(t, "s.yaml", SERVICE("a", "10.97.0.1") NEXT SERVICE("b", "10.97.0.2"));
	load(t);
	put(t, "s.yaml", SERVICE("a", "nowhere") NEXT SERVICE("b", "10.97.0.3"));
	restart(t);
	assert_true(service_at(t, "a", 0x0a610001));
	assert_true(service_at(t, "b", 0x0a610003));
	restart(t);
	assert_true(service_at(t, "a", 0x0a610001));
	put(t, "s.yaml", SERVICE("b", "10.97.0.3"));
	restart(t);
	assert_null(service(t, "a"));
}

static void a_first_start_knows_nothing(void **state)
{
	struct test *t = *state;

	put(t, "p.yaml", NO_YAML);
	load(t);
	assert_true(t->model->incomplete);
}

static void damage_is_as_if_nothing_were_remembered(void **state)
{
	struct test *t = *state;

	put(t, "s.yaml", SERVICE("a", "10.97.0.1"));
	load(t);
	save(t);
	shell(t, "for f in .state/*; do head -c 40 $f > x && cat x > $f; done; rm x; "
		 "echo no > .state/0123456789abcdef; printf 'a: [' > s.yaml");
	source_free(t->source);
	assert_int_equal(source_new(t->dir, &t->source), ERR_OK);
	assert_int_equal(source_remember(t->source, memory), ERR_OK);
	assert_false(source_remembers(t->source));
	load(t);
	assert_true(t->model->incomplete);
}

// Of two claims the older counts, and without a date the one that was there first.
static void who_came_first_is_remembered(void **state)
{
	struct test *t = *state;

	put(t, "b.yaml", SERVICE_OF("late-name", "ports: [{port: 80}]"));
	load(t);
	usleep(2000);
	put(t, "a.yaml", SERVICE_OF("early-name", "ports: [{port: 80}]"));
	for (int i = 0; i < 3; i++) {
		const struct ss_service *of = NULL;
		struct texts x;

		load(t);
		if (i > 0)
			restart(t);
		texts_open(&x);
		model_free(x.model);
		x.model = model_ref(t->model);
		texts_compile(&x);
		assert_non_null(
			snapshot_service_port(x.snapshot, addr_from_v4(0x0a610009), 80, &of));
		assert_true(slice_eq_str(of->name, "late-name"));
		assert_int_equal(x.findings.errors, 1);
		texts_close(&x);
	}
}

static void expect_holder(struct test *t, const char *name)
{
	const struct ss_service *of = NULL;
	struct texts x;

	texts_open(&x);
	model_free(x.model);
	x.model = model_ref(t->model);
	texts_compile(&x);
	assert_non_null(snapshot_service_port(x.snapshot, addr_from_v4(0x0a610009), 80, &of));
	assert_true(slice_eq_str(of->name, name));
	texts_close(&x);
}

#define DATED                                                                                      \
	"apiVersion: v1\nkind: Service\nmetadata: {name: dated, namespace: evil, "                 \
	"creationTimestamp: \"2001-01-01T00:00:00Z\"}\nspec: {clusterIPs: [10.97.0.66, "           \
	"10.97.0.9], ports: [{port: 80}]}\n"

// A file's date is its writer's word; a name that moves to another file stays as old as it is, and one that
// went comes anew.
static void a_date_in_a_file_makes_nobody_older(void **state)
{
	struct test *t = *state;

	put(t, "b.yaml", SERVICE_OF("owner", "ports: [{port: 80}]"));
	put(t, "a.yaml",
	    "apiVersion: v1\nkind: Service\nmetadata: {name: dated, namespace: evil}\nspec: "
	    "{clusterIP: 10.97.0.66, ports: [{port: 80}]}\n");
	load(t);
	restart(t);
	put(t, "a.yaml", DATED);
	load(t);
	expect_holder(t, "owner");
	restart(t);
	expect_holder(t, "owner");
	shell(t, "mv b.yaml c.yaml && mv a.yaml 0.yaml");
	load(t);
	expect_holder(t, "owner");
	shell(t, "mv c.yaml d.yaml");
	restart(t);
	expect_holder(t, "owner");
	shell(t, "rm d.yaml");
	load(t);
	expect_holder(t, "dated");
	put(t, "d.yaml", SERVICE_OF("owner", "ports: [{port: 80}]"));
	load(t);
	expect_holder(t, "dated");
	restart(t);
	expect_holder(t, "dated");
}

// Objects come back as they were written.
static void every_writing_comes_back(void **state)
{
	struct test *t = *state;
	const struct service_object *s;
	struct slice value;

	put(t, "s.yaml",
	    "apiVersion: v1\nkind: ServiceList\nitems:\n- metadata: {name: z, namespace: shop, "
	    "annotations: {\"a\\0\\u202e\\\"b\": \"x\\ny\", plain: 'it''s', n: ~, e: \"\"}}\n"
	    "  spec: {clusterIP: \"10.97.0.9\", selector: {app: a, v: \"1\", \"true\": 'null'}, "
	    "ports: [{name: http, port: 80, targetPort: web}, {name: n, port: 81, targetPort: "
	    "8081}]}\n");
	load(t);
	assert_int_equal(t->findings.errors, 0);
	save(t);
	put(t, "s.yaml", NO_YAML);
	restart(t);
	s = service(t, "z");
	assert_true(s && s->selector.count == 3 && s->port_count == 2);
	assert_true(slice_eq_str(s->ports[0].target_name, "web"));
	assert_int_equal(s->ports[1].target, 8081);
	assert_true(labels_get(&s->selector, "v", &value) && slice_eq_str(value, "1"));
	assert_true(labels_get(&s->selector, "true", &value) && slice_eq_str(value, "null"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_service_that_goes_is_still_covered),
		TEST(a_port_that_goes_is_still_covered),
		TEST(a_service_without_a_selector_has_its_endpoints),
		TEST(labels_of_a_namespace_that_goes_hold),
		TEST(a_restart_has_what_cannot_be_read),
		TEST(an_object_that_turned_invalid_meanwhile),
		TEST(a_first_start_knows_nothing),
		TEST(damage_is_as_if_nothing_were_remembered),
		TEST(who_came_first_is_remembered),
		TEST(a_date_in_a_file_makes_nobody_older),
		TEST(every_writing_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
