// SPDX-License-Identifier: GPL-3.0-or-later
// A directory of which anything may be expected: what lies there that is no text, what is half written, too
// large, too many, twice, or does not say what it is. Each is one finding, nothing opens, and what
// does not concern it goes on. Real files in a directory of the test's own.
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

static void shell(const struct test *t, const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && %s", t->dir, command);
	if (system(line) != 0)
		fail_msg("%s", command);
}

static void put_bytes(const struct test *t, const char *name, const void *bytes, size_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", t->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put(const struct test *t, const char *name, const char *text)
{
	put_bytes(t, name, text, strlen(text));
}

static void load(struct test *t)
{
	model_free(t->model);
	t->model = NULL;
	diagnostics_deinit(&t->findings);
	diagnostics_init(&t->findings);
	t->err = source_load(t->source, &t->findings, &t->model);
}

// Exactly one finding, an error in this file that says so.
static void expect_one(struct test *t, const char *file, const char *part)
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

static bool refuses(const struct test *t, const char *name)
{
	const struct security_policy *p = policy(t, name);

	return p && p->broken.len > 0 && p->target_count > 0;
}

static bool in_force(const struct test *t, const char *name)
{
	const struct security_policy *p = policy(t, name);

	return p && p->broken.len == 0;
}

static const struct service_object *service(const struct test *t, const char *name)
{
	return model_service(t->model, SLICE_LIT("shop"), slice_str(name));
}

static bool service_at(const struct test *t, const char *name, uint32_t v4)
{
	const struct service_object *s = service(t, name);

	return s && addr_eq(s->addrs[0], addr_from_v4(v4));
}

static uint64_t requests(const struct test *t)
{
	assert_int_equal(t->model->limits.count, 1);
	return ((const struct rate_limit_policy *)t->model->limits.items[0])->limits[0].requests;
}

// serve's: asked after a file was read.
static bool is_written(void *context, const struct stat *st)
{
	struct test *t = context;
	uint64_t now_ns = clock_monotonic_ns();

	(void)watch_read(t->watch, now_ns);
	return watch_is_written(t->watch, st, now_ns);
}

static int setup(void **state)
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

static int teardown(void **state)
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

// ---- what is no text ---------------------------------------------------------------------------

static void no_regular_file(void **state)
{
	struct test *t = *state;

	// A new one: nobody knows what it asks for, and nobody waits for its writer.
	shell(t, "mkfifo pipe.yaml");
	load(t);
	expect_one(t, "pipe.yaml", "not a regular file");
	assert_true(t->model->incomplete && in_force(t, "deny"));
	shell(t, "rm pipe.yaml && rm policy.yaml && mkfifo policy.yaml");
	load(t);
	expect_one(t, "policy.yaml", "not a regular file");
	assert_true(refuses(t, "deny") && service_at(t, "web", 0x0a610001));
	shell(t, "rm policy.yaml");
	put(t, "policy.yaml", POLICY("deny", "Deny"));
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(in_force(t, "deny"));
}

static void links_that_lead_nowhere(void **state)
{
	struct test *t = *state;

	shell(t, "rm policy.yaml && ln -s gone.yaml policy.yaml");
	load(t);
	expect_one(t, "policy.yaml", "link to nothing");
	assert_true(refuses(t, "deny"));
	shell(t, "ln -sf policy.yaml policy.yaml");
	load(t);
	expect_one(t, "policy.yaml", "symbolic links");
	assert_true(refuses(t, "deny"));
	// Other names may lead where they like.
	shell(t, "rm policy.yaml && ln -s gone note");
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_null(policy(t, "deny"));
}

static void a_file_that_is_too_large(void **state)
{
	struct test *t = *state;

	shell(t, "truncate -s 65M service.yaml");
	load(t);
	expect_one(t, "service.yaml", "larger than 64 MiB");
	assert_true(service_at(t, "web", 0x0a610001)); // what it said before
	assert_true(in_force(t, "deny"));
}

static void five_megabytes_are_read(void **state)
{
	struct test *t = *state;
	struct buf b;

	buf_init_growing(&b, 8u << 20);
	for (int i = 0; b.len < 5u << 20; i++)
		buf_printf(&b, NEXT SERVICE("s%d", "10.98.%d.%d"), i, i >> 8 & 255, i & 255);
	put_bytes(t, "large.yaml", b.ptr, b.len);
	buf_deinit(&b);
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(t->model->services.count > 20000);
	assert_true(service_at(t, "s300", 0x0a62012c));
}

static void text_that_is_none(void **state)
{
	static const char bytes[] = "# caf\xe9\n";
	struct test *t = *state;

	put_bytes(t, "service.yaml", "a: 1\nb: \xff\xfe\n", 11);
	load(t);
	expect_one(t, "service.yaml", "UTF-8");
	assert_int_equal(t->findings.list[0].line, 2);
	assert_int_equal(t->findings.list[0].column, 4);
	assert_true(service_at(t, "web", 0x0a610001));
	put_bytes(t, "service.yaml", bytes, sizeof(bytes) - 1); // in a comment too
	load(t);
	expect_one(t, "service.yaml", "UTF-8");
	put_bytes(t, "service.yaml", "a: \0\n", 5);
	load(t);
	expect_one(t, "service.yaml", "control characters");
	assert_true(in_force(t, "deny"));
}

static void bombs(void **state)
{
	struct test *t = *state;
	struct buf b;

	buf_init_growing(&b, 1u << 20);
	buf_put_str(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 30; i++)
		buf_printf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
			   i - 1);
	put_bytes(t, "policy.yaml", b.ptr, b.len);
	buf_deinit(&b);
	load(t);
	expect_one(t, "policy.yaml", "aliases are not supported");
	assert_true(refuses(t, "deny"));
}

// ---- directories -------------------------------------------------------------------------------

static void too_many_files(void **state)
{
	struct test *t = *state;

	shell(t, "seq -f '%.0f.yaml' 1 10000 | xargs touch");
	load(t);
	assert_int_equal(t->err, ERR_TOO_LARGE);
	assert_null(t->model); // whichever were left out, something would be missing
	expect_one(t, "", "more than 10000 files");
	shell(t, "rm 1.yaml 2.yaml");
	load(t);
	assert_int_equal(t->err, ERR_OK);
	assert_true(in_force(t, "deny"));
}

static void a_directory_that_is_not_there(void **state)
{
	struct test *t = *state;
	char away[80];

	snprintf(away, sizeof(away), "%s.away", t->dir);
	assert_int_equal(rename(t->dir, away), 0);
	load(t);
	assert_int_equal(t->err, ERR_IO);
	assert_null(t->model);
	expect_one(t, "", "cannot be listed");
	assert_int_equal(rename(away, t->dir), 0);
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(in_force(t, "deny"));
}

static void directories_that_are_too_deep(void **state)
{
	struct test *t = *state;

	shell(t, "mkdir -p 1/2/3/4/5/6/7/8/9/10/11/12/13/14/15");
	put(t, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/deep.yaml", POLICY("deep", "Deny"));
	load(t);
	assert_true(in_force(t, "deep"));
	shell(t, "mkdir 1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16");
	load(t);
	assert_int_equal(t->err, ERR_TOO_LARGE);
	assert_int_equal(t->findings.errors, 1);
}

// ---- documents ---------------------------------------------------------------------------------

static void forms_of_documents(void **state)
{
	struct test *t = *state;

	put(t, "list.yaml",
	    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n"
	    "  metadata: {name: a, namespace: shop}\n  spec: {clusterIP: 10.97.1.1}\n"
	    "- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: d}\n"
	    "- " OURS "  kind: SecurityPolicy\n  metadata: {name: listed, namespace: shop}\n"
	    "  spec: {targetRefs: [{group: \"\", kind: Namespace, name: shop}], authorization: "
	    "{defaultAction: Deny}}\n");
	// As the API's own lists are: items do not say what they are.
	put(t, "typed.json",
	    "{\"apiVersion\":\"v1\",\"kind\":\"ServiceList\",\"items\":[{\"metadata\":{\"name\":"
	    "\"b\",\"namespace\":\"shop\"},\"spec\":{\"clusterIP\":\"10.97.1.2\"}}]}");
	put(t, "many.yml",
	    "# nothing\n---\n---\n" SERVICE("c", "10.97.1.3") NEXT
	    "null\n" NEXT SERVICE("d", "10.97.1.4") "...\n");
	put(t, "foreign.yaml",
	    "apiVersion: gateway.example/v1\nkind: BlockList\nmetadata: {name: x}\n"
	    "items: [one, two]\n");
	put(t, "empty.yaml", "");
	put(t, "note.txt", "kind: [");
	put(t, ".hidden.yaml", "kind: [");
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(service_at(t, "a", 0x0a610101) && service_at(t, "b", 0x0a610102));
	assert_true(service_at(t, "c", 0x0a610103) && service_at(t, "d", 0x0a610104));
	assert_true(in_force(t, "listed"));
}

// A slip of the pen that hides what a document is must not take the policy away.
static void documents_that_do_not_say_what_they_are(void **state)
{
	static const struct {
		const char *text, *part;
	} rows[] = {
		{"apiVersion: policy.portcullis.dev/v1alpha1\nknd: SecurityPolicy\n",
		 "is required"},
		{OURS "kind: SecurtyPolicy\nmetadata: {name: deny, namespace: shop}\n",
		 "there is no kind"},
		{OURS "kind: SecurityPolicy\nmetadata: {nme: deny, namespace: shop}\n",
		 "is required"},
		{OURS "kind: SecurityPolicy\nmetadata: {name: a/b, namespace: shop}\n",
		 "is no name"},
		{"- a\n- b\n", "has to be a map"},
		{"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: []}]\n",
		 "a List in a List"},
		{"apiVersion: v1\nkind: List\nitems: {a: b}\n", "has to be a list"},
	};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put(t, "policy.yaml", rows[i].text);
		load(t);
		expect_one(t, "policy.yaml", rows[i].part);
		if (!refuses(t, "deny"))
			fail_msg("row %zu: %s", i, rows[i].text);
		load(t); // and again, with nothing new
		assert_true(refuses(t, "deny"));
		put(t, "policy.yaml", POLICY("deny", "Deny"));
		load(t);
		assert_true(in_force(t, "deny"));
	}
	// Taken away in a file that is whole, it is gone.
	put(t, "policy.yaml", "# no policy\n");
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_null(policy(t, "deny"));
}

// What stands behind an error is not known; what stands before it is.
static void a_text_that_breaks_off(void **state)
{
	struct test *t = *state;

	put(t, "policy.yaml", POLICY("first", "Deny") NEXT POLICY("deny", "Deny"));
	load(t);
	put(t, "policy.yaml",
	    POLICY("first", "Allow") NEXT "apiVersion: [\n" POLICY("deny", "Deny"));
	load(t);
	assert_int_equal(t->findings.errors, 1);
	assert_true(in_force(t, "first"));
	assert_int_equal(policy(t, "first")->spec.default_action, RULE_ALLOW);
	assert_true(refuses(t, "deny"));
	// A policy that is cut in the middle refuses, whom it names or its whole namespace.
	put(t, "policy.yaml",
	    OURS "kind: SecurityPolicy\nmetadata: {name: cut, namespace: shop}\n"
		 "spec:\n  authorization:\n    defaultAction: Allow\n    rules: [\n");
	load(t);
	assert_int_equal(t->findings.errors, 1);
	assert_true(refuses(t, "cut") && refuses(t, "deny"));
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
		TEST(no_regular_file),
		TEST(links_that_lead_nowhere),
		TEST(a_file_that_is_too_large),
		TEST(five_megabytes_are_read),
		TEST(text_that_is_none),
		TEST(bombs),
		TEST(too_many_files),
		TEST(a_directory_that_is_not_there),
		TEST(directories_that_are_too_deep),
		TEST(forms_of_documents),
		TEST(documents_that_do_not_say_what_they_are),
		TEST(a_text_that_breaks_off),
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
