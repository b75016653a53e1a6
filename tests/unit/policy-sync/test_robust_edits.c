// SPDX-License-Identifier: GPL-3.0-or-later
// A directory that is edited while it is watched: the last good object stays, what did not change is kept, what
// is being written is waited for. Real files in a directory of the test's own.
#include "policy-sync/directory.h"

// serve's: asked after a file was read.
static bool is_written(void *context, const struct stat *st)
{
	struct test *t = context;
	uint64_t now_ns = clock_monotonic_ns();

	(void)watch_read(t->watch, now_ns);
	return watch_is_written(t->watch, st, now_ns);
}

static void twice(void **state)
{
	struct test *t = *state;

	put(t, "other.yaml", SERVICE("web", "10.97.0.2"));
	load(t);
	expect_one(t, "service.yaml", "other.yaml:1 already, and says something else");
	assert_true(service_at(t, "web", 0x0a610002));
	shell(t, "cp service.yaml other.yaml");
	load(t);
	assert_true(t->findings.errors == 0 && t->findings.count == 1); // a file being moved
	shell(t, "rm other.yaml");
	put(t, "second.yaml", POLICY("deny", "Allow"));
	load(t);
	expect_one(t, "second.yaml", "the targets of both refuse");
	assert_int_equal(t->model->policies.count, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_true(
			((const struct security_policy *)t->model->policies.items[i])->broken.len >
			0);
	shell(t, "cp policy.yaml second.yaml");
	load(t);
	assert_int_equal(t->findings.errors, 0);
	assert_int_equal(t->model->policies.count, 1);
	assert_true(in_force(t, "deny"));
	// A cluster-wide policy of the same name is another one.
	put(t, "second.yaml",
	    OURS "kind: ClusterSecurityPolicy\nmetadata: {name: deny}\n"
		 "spec: {defaults: {authorization: {defaultAction: Deny}}}\n");
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_int_equal(t->model->policies.count, 2);
}

// ---- what was good -----------------------------------------------------------------------------

// By object: an error in one does not hold up its neighbours, and takes away nothing.
static void the_last_good_object_stays(void **state)
{
	struct test *t = *state;

	put(t, "mixed.yaml",
	    LIMIT("l", "10") NEXT SERVICE("a", "10.97.1.1") NEXT SERVICE("b", "10.97.1.2"));
	load(t);
	assert_int_equal(requests(t), 10);
	put(t, "mixed.yaml",
	    LIMIT("l", "0") NEXT SERVICE("a", "10.97.1.256") NEXT SERVICE("b", "10.97.1.3"));
	load(t);
	assert_int_equal(t->findings.errors, 2);
	assert_int_equal(requests(t), 10);
	assert_true(service_at(t, "a", 0x0a610101) && service_at(t, "b", 0x0a610103));
	// Also when it moved to another file meanwhile, and when nothing changed.
	shell(t, "mv mixed.yaml moved.yaml");
	load(t);
	load(t);
	assert_int_equal(requests(t), 10);
	assert_true(service_at(t, "a", 0x0a610101));
	put(t, "moved.yaml", LIMIT("l", "7") NEXT SERVICE("a", "10.97.1.9"));
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_int_equal(requests(t), 7);
	assert_true(service_at(t, "a", 0x0a610109) && !service(t, "b"));
	// One that never was good is not there.
	put(t, "moved.yaml", LIMIT("m", "0"));
	load(t);
	assert_int_equal(t->model->limits.count, 0);
}

static void a_mesh_config_that_turns_invalid(void **state)
{
#define MESH(rest)                                                                                 \
	OURS "kind: MeshConfig\nmetadata: {name: default}\nspec: {trustDomain: prod.example" rest  \
	     "}\n"
	struct test *t = *state;

	put(t, "mesh.yaml", MESH(", tunnelPort: 14444"));
	load(t);
	assert_true(slice_eq_str(t->model->meta.trust_domain, "prod.example"));
	put(t, "mesh.yaml", MESH(", tunnelPort: 0"));
	load(t);
	assert_int_equal(t->findings.errors, 1);
	assert_true(slice_eq_str(t->model->meta.trust_domain, "prod.example"));
	assert_int_equal(t->model->tunnel_port, 14444);
}

static void keys_follow_their_secret(void **state)
{
#define SET(kid)                                                                                   \
	"'{\"keys\":[{\"kid\":\"" kid "\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"              \
	"\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}'"
#define SECRET(kid)                                                                                \
	"apiVersion: v1\nkind: Secret\nmetadata: {name: keys, namespace: shop}\n"                  \
	"stringData: {jwks: " SET(kid) "}\n"
	struct test *t = *state;

	put(t, "policy.yaml",
	    OURS "kind: SecurityPolicy\nmetadata: {name: jwt, namespace: shop}\nspec:\n"
		 "  targetRefs: [{group: \"\", kind: Namespace, name: shop}]\n"
		 "  jwt: {providers: [{name: p, localJWKS: {type: ValueRef, valueRef: {kind: "
		 "Secret, name: keys}}}]}\n");
	load(t);
	assert_true(refuses(t, "jwt")); // there is no such Secret yet
	put(t, "secret.yaml", SECRET("one"));
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(slice_eq_str(policy(t, "jwt")->spec.providers[0].keys[0].kid, "one"));
	put(t, "secret.yaml", SECRET("two")); // the policy's file does not change
	load(t);
	assert_true(slice_eq_str(policy(t, "jwt")->spec.providers[0].keys[0].kid, "two"));
	put(t, "secret.yaml", "kind: [\n"); // "a referenced object that vanishes keeps its content"
	load(t);
	assert_int_equal(t->findings.errors, 1);
	assert_true(in_force(t, "jwt"));
	// "A referenced object that vanishes keeps its last resolved content": also when other data changes.
	shell(t, "rm secret.yaml");
	for (int i = 0; i < 3; i++) {
		load(t);
		assert_true(t->findings.errors == 0 && t->findings.count == 1);
		assert_true(in_force(t, "jwt"));
		assert_true(slice_eq_str(policy(t, "jwt")->spec.providers[0].keys[0].kid, "two"));
		if (i == 1)
			put(t, "map.yaml",
			    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, "
			    "namespace: shop}\n");
	}
	put(t, "secret.yaml", SECRET("three"));
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(slice_eq_str(policy(t, "jwt")->spec.providers[0].keys[0].kid, "three"));
}

// ---- changes -----------------------------------------------------------------------------------

// What did not change is not read again: its objects are those of before.
static void what_did_not_change_is_kept(void **state)
{
	struct test *t = *state;
	const void *before = service(t, "web");

	put(t, "policy.yaml", POLICY("deny", "Allow"));
	load(t);
	assert_ptr_equal(service(t, "web"), before);
	shell(t, "touch -d 2020-01-01 service.yaml"); // nor is what says the same
	load(t);
	assert_ptr_equal(service(t, "web"), before);
	shell(t, "cp service.yaml x && rm service.yaml && mv x service.yaml"); // gone and back
	load(t);
	assert_ptr_equal(service(t, "web"), before);
}

// Two edits of equal length within one tick of the file system's clock bear one date. Newer kernels tell them
// apart; a store into a page that is mapped and dirty already leaves no date on any.
static void edits_of_one_date(void **state)
{
	static const char text[] = SERVICE("web", "10.97.0.1");
	struct test *t = *state;
	struct stat before, after;
	char path[128], *page, *digit;
	int fd;

	snprintf(path, sizeof(path), "%s/service.yaml", t->dir);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	page = mmap(NULL, sizeof(text), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	digit = memmem(page, sizeof(text) - 1, "10.97.0.1", 9);
	assert_non_null(digit);
	digit[8] = '2';
	load(t);
	assert_true(service_at(t, "web", 0x0a610002));
	assert_int_equal(fstat(fd, &before), 0);
	digit[8] = '3';
	assert_int_equal(fstat(fd, &after), 0);
	assert_memory_equal(&before.st_ctim, &after.st_ctim, sizeof(before.st_ctim));
	load(t);
	assert_true(service_at(t, "web", 0x0a610003));
	munmap(page, sizeof(text));
	close(fd);
}

// Truncated, and not written yet: what it said before holds until its writer is done.
static void a_file_that_is_being_written(void **state)
{
	struct test *t = *state;
	char path[128];
	FILE *f;

	source_set_busy(t->source, is_written, t);
	watch_rescan(t->watch);
	snprintf(path, sizeof(path), "%s/policy.yaml", t->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(in_force(t, "deny"));
	fputs(OURS "kind: SecurityPolicy\n", f); // half of it
	fflush(f);
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(in_force(t, "deny"));
	fputs("metadata: {name: written, namespace: shop}\nspec: {targetRefs: [{group: \"\", kind: "
	      "Namespace, name: shop}], authorization: {defaultAction: Deny}}\n",
	      f);
	assert_int_equal(fclose(f), 0);
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(in_force(t, "written") && !policy(t, "deny"));
}

// Who keeps a file open does not hold it up for ever: the watch says when to look again.
static void a_writer_that_does_not_end(void **state)
{
	struct test *t = *state;
	struct stat st;
	char path[128];
	FILE *f;

	watch_rescan(t->watch);
	snprintf(path, sizeof(path), "%s/policy.yaml", t->dir);
	f = fopen(path, "a");
	assert_non_null(f);
	fputs("# more\n", f);
	fflush(f);
	uint64_t now_ns = clock_monotonic_ns();

	assert_true(watch_read(t->watch, now_ns));
	assert_int_equal(stat(path, &st), 0);
	assert_true(watch_is_written(t->watch, &st, now_ns));
	watch_rescan(t->watch);
	assert_in_range(watch_due_ns(t->watch), now_ns, now_ns + 2000 * NS_PER_MS);
	assert_true(watch_is_written(t->watch, &st, now_ns + 1999 * NS_PER_MS));
	assert_false(watch_is_written(t->watch, &st, now_ns + 2000 * NS_PER_MS));
	fclose(f);
	assert_true(watch_read(t->watch, now_ns));
	assert_false(watch_is_written(t->watch, &st, now_ns));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(twice),
		TEST(the_last_good_object_stays),
		TEST(a_mesh_config_that_turns_invalid),
		TEST(keys_follow_their_secret),
		TEST(what_did_not_change_is_kept),
		TEST(edits_of_one_date),
		TEST(a_file_that_is_being_written),
		TEST(a_writer_that_does_not_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
