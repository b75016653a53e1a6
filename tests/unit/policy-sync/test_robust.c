// SPDX-License-Identifier: GPL-3.0-or-later
// A directory of which anything may be expected: what lies there that is no text, what is half written, too
// large, too many, twice, or does not say what it is. Each is one finding, nothing opens, and what
// does not concern it goes on. Real files in a directory of the test's own.
#include "policy-sync/directory.h"

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
		{"apiVersion: v1\nkind: List\n", "is required"},
		{"apiVersion: v1\nkind: List\nitems:\n", "is required"},
		{"apiVersion: v1\nkind: List\nitems: none\n", "has to be a list"},
		{"{\"apiVersion\": \"v1\", \"kind\": \"SecretList\"}\n", "is required"},
		{"apiVersion: v1\nkind: List\nitem: []\nitems: []\n", "unknown field"},
		{"apiVersion: v1\nkind: list\nitems: []\n", "write List"},
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
	put(t, "policy.yaml", "apiVersion: v1\nkind: List\nitem: []\n");
	load(t);
	assert_int_equal(t->findings.errors, 2);
	assert_true(refuses(t, "deny"));
	put(t, "policy.yaml", POLICY("deny", "Deny"));
	load(t);
	put(t, "policy.yaml", "apiVersion: v1\nkind: List\nitems: []\n");
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_null(policy(t, "deny"));
	// Taken away in a file that is whole, it is gone.
	put(t, "policy.yaml", SERVICE("other", "10.97.0.2"));
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_null(policy(t, "deny"));
}

// Nobody knows what an empty file is on its way to: only its removal takes objects away.
static void an_empty_file_is_an_unreadable_one(void **state)
{
	static const char *const texts[] = {
		"",	  "\n \n", "# no policy\n",	  "---\n---\n# none\n...\n",
		"null\n", "{}\n",  "---\n{}\n---\nnull\n"};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(t, "policy.yaml", texts[i]);
		put(t, "service.yaml", texts[i]);
		load(t);
		assert_int_equal(t->findings.errors, 2);
		assert_true(refuses(t, "deny") && service_at(t, "web", 0x0a610001));
		put(t, "policy.yaml", POLICY("deny", "Deny"));
		put(t, "service.yaml", SERVICE("web", "10.97.0.1"));
		load(t);
		assert_true(in_force(t, "deny"));
	}
	shell(t, "rm policy.yaml");
	load(t);
	assert_null(policy(t, "deny"));
}

// Truncated, half written, and kept open: nothing of it is gone before its writer is.
static void a_file_that_is_being_written(void **state)
{
	static const char *const texts[] = {"", "# soon\n", SERVICE("web", "10.97.0.1"),
					    SERVICE("web", "10.97.0.1") NEXT "kind: Sec"};
	struct test *t = *state;
	char path[128];

	put(t, "both.yaml", SERVICE("web", "10.97.0.1") NEXT POLICY("last", "Deny"));
	shell(t, "rm policy.yaml service.yaml");
	load(t);
	snprintf(path, sizeof(path), "%s/both.yaml", t->dir);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

		assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
		for (int k = 0; k < 2; k++) {
			load(t);
			assert_true(policy(t, "last") && service_at(t, "web", 0x0a610001));
		}
		close(fd);
		put(t, "both.yaml", SERVICE("web", "10.97.0.1") NEXT POLICY("last", "Deny"));
		load(t);
		assert_true(in_force(t, "last"));
		assert_int_equal(t->findings.count, 0);
	}
	// At a start nobody knows what it is going to be.
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	source_free(t->source);
	assert_int_equal(source_new(t->dir, &t->source), ERR_OK);
	load(t);
	assert_true(t->model->incomplete);
	assert_int_equal(write(fd, texts[2], strlen(texts[2])), strlen(texts[2]));
	load(t);
	assert_true(t->model->incomplete);
	close(fd);
	load(t); // the very same bytes, and nobody behind them
	assert_false(t->model->incomplete);
	assert_null(policy(t, "last"));
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

// A request gets its 500 from a policy that read requests, wherever its new text breaks off.
static void what_it_reads_is_kept(void **state)
{
	static const char *const texts[] = {
		OURS "kind: SecurityPolicy\nmetadata: {name: deny, namespace: shop}\nspec: [\n",
		OURS "kind: SecurityPolicy\nmetadata: {name: deny, namespace: shop}\nspec:\n"
		     "  authorization: {rules: {{ .x }} }\n",
		"{{ .x }}\n" POLICY("deny", "Deny"),
		"",
	};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put(t, "policy.yaml",
		    OURS "kind: SecurityPolicy\nmetadata: {name: deny, namespace: shop}\nspec:\n"
			 "  targetRefs: [{group: \"\", kind: Namespace, name: shop}]\n"
			 "  authorization: {rules: [{name: r, action: Deny, operation: {methods: "
			 "[GET]}}]}\n");
		load(t);
		assert_true(in_force(t, "deny") && policy(t, "deny")->means_requests);
		for (int k = 0; k < 2; k++) {
			put(t, "policy.yaml", texts[i]);
			load(t);
			if (!refuses(t, "deny") || !policy(t, "deny")->means_requests)
				fail_msg("row %zu: %s", i, texts[i]);
		}
	}
	// One that never did, does not.
	put(t, "policy.yaml", POLICY("deny", "Deny"));
	load(t);
	put(t, "policy.yaml", texts[0]);
	load(t);
	assert_true(refuses(t, "deny"));
	assert_false(policy(t, "deny")->means_requests);
}

// What no API server would take: the Service stays as it was.
static void words_of_a_service(void **state)
{
	static const char *const rows[] = {
		"externalTrafficPolicy: local", "internalTrafficPolicy: Nearby",
		"sessionAffinity: clientIP",	"type: Clusterip",
		"type: externalName",		"externalTrafficPolicy: [Local]",
	};
	struct test *t = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
			 "spec: {clusterIP: 10.97.0.9, %s}\n",
			 rows[i]);
		put(t, "service.yaml", text);
		load(t);
		expect_one(t, "service.yaml", "has to be");
		assert_true(service_at(t, "web", 0x0a610001));
	}
	put(t, "service.yaml",
	    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: "
	    "{clusterIP: "
	    "10.97.0.9, type: LoadBalancer, sessionAffinity: \"\", externalTrafficPolicy: "
	    "Local}\n");
	load(t);
	assert_int_equal(t->findings.count, 0);
	assert_true(service(t, "web")->external_local);
}

// A guardrail covers by labels: a value that came out empty takes nobody out of it.
static void labels_of_a_namespace(void **state)
{
	struct test *t = *state;
	const struct namespace_object *n;

	put(t, "namespace.yaml",
	    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}\n");
	load(t);
	put(t, "namespace.yaml",
	    "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: }}\n");
	load(t);
	expect_one(t, "namespace.yaml", "must not be null");
	assert_int_equal(t->model->namespaces.count, 1);
	n = t->model->namespaces.items[0];
	struct slice value;

	assert_true(labels_get(&n->labels, "team", &value) && slice_eq_str(value, "a"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(no_regular_file),
		TEST(what_it_reads_is_kept),
		TEST(words_of_a_service),
		TEST(labels_of_a_namespace),
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
		TEST(an_empty_file_is_an_unreadable_one),
		TEST(a_file_that_is_being_written),
		TEST(a_text_that_breaks_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
