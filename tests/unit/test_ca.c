// SPDX-License-Identifier: GPL-3.0-or-later
// policy-sync/ca: the real process behind its real socket. What it signs is judged by openssl; what
// it must not do is tried.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ca/ca_client.h"
#include "ca/ca_process.h"
#include "ca/ca_store.h"

struct world {
	char dir[64];
	char keys[80];
	int fd;
	pid_t pid;
	struct x509_key key;
	struct ca_request request;
	struct ca_reply reply;
};

static void write_file(const struct world *w, const char *name, const void *bytes, size_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static int run(const struct world *w, const char *command, char *out, size_t cap)
{
	char line[1024];
	size_t len;
	FILE *f;

	snprintf(line, sizeof(line), "cd %s && %s 2>&1", w->dir, command);
	f = popen(line, "r");
	assert_non_null(f);
	len = fread(out, 1, cap - 1, f);
	out[len] = 0;
	return pclose(f);
}

static void start(struct world *w)
{
	assert_int_equal(ca_process_start(w->keys, &w->fd, &w->pid), ERR_OK);
}

// Closing our end is all it takes; returns its exit status.
static int stop(struct world *w)
{
	int status;

	close(w->fd);
	assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
	return status;
}

static void sign_request(struct world *w, enum ca_verb verb, const char *node, uint32_t lifetime_s)
{
	memset(&w->request, 0, sizeof(w->request));
	w->request.verb = verb;
	w->request.lifetime_s = lifetime_s;
	snprintf(w->request.trust_domain, sizeof(w->request.trust_domain), "cluster.local");
	snprintf(w->request.node, sizeof(w->request.node), "%s", node);
	memcpy(w->request.public_der, w->key.public_der, sizeof(w->request.public_der));
}

static enum err ask(struct world *w, enum ca_verb verb, const char *node, uint32_t lifetime_s)
{
	sign_request(w, verb, node, lifetime_s);
	return ca_client_ask(w->fd, &w->request, &w->reply);
}

// Does the last reply's chain verify against this bundle?
static bool verifies(struct world *w, const struct ca_reply *signed_by,
		     const struct ca_reply *trust)
{
	char out[2048];

	write_file(w, "leaf.pem", signed_by->chain_pem, signed_by->chain_bytes);
	write_file(w, "trust.pem", trust->trust_pem, trust->trust_bytes);
	return run(w, "openssl verify -x509_strict -CAfile trust.pem leaf.pem", out, sizeof(out)) ==
	       0;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	snprintf(w->dir, sizeof(w->dir), "/tmp/portcullis-ca-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->keys, sizeof(w->keys), "%s/ca", w->dir);
	assert_int_equal(x509_key_generate(&w->key), ERR_OK);
	start(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char line[128];

	assert_int_equal(stop(w), 0);
	snprintf(line, sizeof(line), "rm -r %s", w->dir);
	assert_int_equal(system(line), 0);
	free(w);
	return 0;
}

static void signs_for_a_node(void **state)
{
	struct world *w = *state;
	struct x509_info info;
	char out[8192];
	int64_t now = (int64_t)time(NULL);

	assert_int_equal(ask(w, CA_SIGN_NODE, "worker-1.example", 3600), ERR_OK);
	assert_true(verifies(w, &w->reply, &w->reply));
	assert_int_equal(x509_read(slice_make(w->reply.chain_pem, w->reply.chain_bytes), &info),
			 ERR_OK);
	assert_string_equal(info.uri, "spiffe://cluster.local/node/worker-1.example");
	assert_in_range(info.not_after_unix_s, now + 3600, now + 3605);
	assert_int_equal(info.not_after_unix_s, w->reply.not_after_unix_s);
	assert_int_equal(run(w, "openssl x509 -in leaf.pem -noout -text", out, sizeof(out)), 0);
	assert_null(strstr(out, "DNS:")); // a node can never pass for policy-sync
	assert_int_equal(ask(w, CA_SIGN_SERVER, "", 3600), ERR_OK);
	assert_true(verifies(w, &w->reply, &w->reply));
	assert_int_equal(run(w, "openssl x509 -in leaf.pem -noout -text", out, sizeof(out)), 0);
	assert_non_null(
		strstr(out, "URI:spiffe://cluster.local/policy-sync, DNS:policy-sync.portcullis"));
}

static void never_longer_than_a_day(void **state)
{
	struct world *w = *state;
	struct x509_info info;

	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", CA_LIFETIME_MAX_S), ERR_OK);
	assert_int_equal(x509_read(slice_make(w->reply.chain_pem, w->reply.chain_bytes), &info),
			 ERR_OK);
	assert_int_equal(info.not_after_unix_s - info.not_before_unix_s, 86400);
	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", CA_LIFETIME_MAX_S + 1), ERR_RANGE);
	assert_int_equal(w->reply.chain_bytes, 0);
	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", 0), ERR_RANGE);
	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", UINT32_MAX), ERR_RANGE);
}

static void names_that_are_none_are_refused(void **state)
{
	struct world *w = *state;
	static const char *const bad[] = {"",	 "A",	 "a/b",	  "a b",      "-a",  "a-",
					  ".a",	 "a.",	 "a..b",  "a_b",      "a:b", "a@b",
					  "../", "a\nb", "a%2fb", "\xc3\xa4", "*"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ask(w, CA_SIGN_NODE, bad[i], 60), ERR_MALFORMED);
		assert_int_equal(w->reply.chain_bytes, 0);
		sign_request(w, CA_SIGN_SERVER, "", 60);
		snprintf(w->request.trust_domain, sizeof(w->request.trust_domain), "%s", bad[i]);
		assert_int_equal(ca_client_ask(w->fd, &w->request, &w->reply), ERR_MALFORMED);
	}
	// No end within the field.
	sign_request(w, CA_SIGN_NODE, "n1", 60);
	memset(w->request.node, 'a', sizeof(w->request.node));
	assert_int_equal(ca_client_ask(w->fd, &w->request, &w->reply), ERR_MALFORMED);
	sign_request(w, CA_SIGN_NODE, "n1", 60);
	w->request.public_der[60] ^= 1;
	assert_int_equal(ca_client_ask(w->fd, &w->request, &w->reply), ERR_MALFORMED);
	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", 60), ERR_OK); // and it still works
}

static void any_bytes_get_an_answer(void **state)
{
	struct world *w = *state;
	unsigned seed = 1;

	for (int i = 0; i < 2000; i++) {
		uint8_t *bytes = (uint8_t *)&w->request;

		sign_request(w, CA_SIGN_NODE, "n1", 60);
		for (int k = 0; k < 8; k++)
			bytes[(size_t)rand_r(&seed) % sizeof(w->request)] = (uint8_t)rand_r(&seed);
		// What verbs do is tried elsewhere; here no rotation may come from chance.
		w->request.verb = i % 2 ? CA_SIGN_NODE : 1000 + (uint32_t)i;
		assert_in_range(ca_client_ask(w->fd, &w->request, &w->reply), ERR_OK,
				ERR_INTERNAL - 1);
	}
	// Short and long packets are no requests.
	for (size_t len = 1; len < sizeof(w->request); len += 37) {
		assert_int_equal(send(w->fd, &w->request, len, 0), len);
		assert_int_equal(recv(w->fd, &w->reply, sizeof(w->reply), 0), sizeof(w->reply));
		assert_int_equal(w->reply.err, ERR_VERSION);
	}
	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", 60), ERR_OK);
}

static void rotation_never_leaves_a_gap(void **state)
{
	struct world *w = *state;
	static struct ca_reply a, both, b, after;

	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", 600), ERR_OK);
	a = w->reply;
	assert_int_equal(ask(w, CA_ROTATE_SWITCH, "", 0), ERR_NOT_FOUND); // not yet
	assert_int_equal(ask(w, CA_ROTATE_FINISH, "", 0), ERR_NOT_FOUND);
	assert_int_equal(ask(w, CA_ROTATE_BEGIN, "", 0), ERR_OK);
	assert_int_equal(w->reply.stage, CA_STAGE_BEGUN);
	assert_int_equal(ask(w, CA_ROTATE_BEGIN, "", 0), ERR_EXISTS);
	// A still signs, so who trusts A alone is served; the bundle knows both.
	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", 600), ERR_OK);
	both = w->reply;
	assert_true(verifies(w, &both, &a));
	assert_true(both.trust_bytes > a.trust_bytes);
	assert_int_equal(ask(w, CA_ROTATE_SWITCH, "", 0), ERR_OK);
	assert_int_equal(w->reply.stage, CA_STAGE_SWITCHED);
	assert_int_equal(ask(w, CA_SIGN_NODE, "n1", 600), ERR_OK);
	b = w->reply;
	assert_true(verifies(w, &b, &both));
	assert_false(verifies(w, &b, &a));
	assert_true(verifies(w, &a, &both)); // certificates of A live on
	// The server's own stays with A until A goes.
	assert_int_equal(ask(w, CA_SIGN_SERVER, "", 600), ERR_OK);
	assert_true(verifies(w, &w->reply, &a));
	assert_int_equal(ask(w, CA_ROTATE_FINISH, "", 0), ERR_OK);
	assert_int_equal(w->reply.stage, CA_STAGE_STABLE);
	assert_int_equal(ask(w, CA_SIGN_SERVER, "", 600), ERR_OK);
	after = w->reply;
	assert_true(verifies(w, &after, &after));
	assert_true(verifies(w, &b, &after));
	assert_false(verifies(w, &a, &after)); // A is gone
}

static void roots_survive_restarts_at_every_stage(void **state)
{
	struct world *w = *state;
	static const enum ca_verb steps[] = {CA_ROTATE_BEGIN, CA_ROTATE_SWITCH, CA_ROTATE_FINISH};
	static const enum ca_stage stages[] = {CA_STAGE_BEGUN, CA_STAGE_SWITCHED, CA_STAGE_STABLE};
	static struct ca_reply before;

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(ask(w, steps[i], "", 0), ERR_OK);
			before = w->reply;
			assert_int_equal(stop(w), 0);
			start(w);
			assert_int_equal(ask(w, CA_BUNDLE, "", 0), ERR_OK);
			assert_int_equal(w->reply.stage, stages[i]);
			assert_int_equal(w->reply.trust_bytes, before.trust_bytes);
			assert_memory_equal(w->reply.trust_pem, before.trust_pem,
					    before.trust_bytes);
		}
	}
}

static void a_crash_in_finish_is_finished(void **state)
{
	struct world *w = *state;
	char out[256];

	assert_int_equal(ask(w, CA_ROTATE_BEGIN, "", 0), ERR_OK);
	assert_int_equal(ask(w, CA_ROTATE_SWITCH, "", 0), ERR_OK);
	assert_int_equal(stop(w), 0);
	assert_int_equal(run(w, "rm ca/1.key", out, sizeof(out)), 0); // its first half
	start(w);
	assert_int_equal(ask(w, CA_BUNDLE, "", 0), ERR_OK);
	assert_int_equal(w->reply.stage, CA_STAGE_STABLE);
	assert_int_equal(run(w, "ls ca | tr '\\n' ' '", out, sizeof(out)), 0);
	assert_string_equal(out, "2.key 2.pem active ");
}

static void doubtful_files_stop_it(void **state)
{
	struct world *w = *state;
	static const char *const faults[] = {
		"chmod 644 ca/1.key",
		"chmod 755 ca",
		"mv ca/1.key ca/x",
		"truncate -s 20 ca/1.key",
		"truncate -s 100 ca/1.pem",
		"echo 2 >ca/active",
		"echo >ca/active",
		("openssl ecparam -name prime256v1 -genkey -noout -outform DER "
		 "-out ca/1.key"), // another
	};
	char out[256];

	assert_int_equal(stop(w), 0);
	assert_int_equal(run(w, "cp -a ca good", out, sizeof(out)), 0);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		assert_int_equal(run(w, "rm -r ca && cp -a good ca", out, sizeof(out)), 0);
		assert_int_equal(run(w, faults[i], out, sizeof(out)), 0);
		start(w);
		// It has ended with a reason instead of making a new root.
		assert_int_equal(ask(w, CA_BUNDLE, "", 0), ERR_CLOSED);
		assert_int_equal(WEXITSTATUS(stop(w)), 1);
	}
	assert_int_equal(run(w, "rm -r ca && cp -a good ca", out, sizeof(out)), 0);
	start(w);
	assert_int_equal(ask(w, CA_BUNDLE, "", 0), ERR_OK);
}

static void the_process_is_closed_up(void **state)
{
	struct world *w = *state;
	char line[256], out[8192];
	struct stat st;

	assert_int_equal(ask(w, CA_BUNDLE, "", 0), ERR_OK); // it has started
	snprintf(line, sizeof(line), "%s/1.key", w->keys);
	assert_int_equal(stat(line, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(w->keys, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	snprintf(line, sizeof(line), "cat /proc/%d/status /proc/%d/limits", w->pid, w->pid);
	assert_int_equal(run(w, line, out, sizeof(out)), 0);
	assert_non_null(strstr(out, "NoNewPrivs:\t1"));
	assert_non_null(strstr(out, "Max core file size        0                    0"));
#ifndef __SANITIZE_ADDRESS__
	assert_non_null(strstr(out, "Seccomp:\t2"));
	assert_null(strstr(out, "VmLck:\t       0 kB"));
#endif
	// Its socket is the only descriptor beside the standard three.
	snprintf(line, sizeof(line), "ls /proc/%d/fd | sort -n | wc -l", w->pid);
	assert_int_equal(run(w, line, out, sizeof(out)), 0);
	assert_int_equal(atoi(out), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(signs_for_a_node, setup, teardown),
		cmocka_unit_test_setup_teardown(never_longer_than_a_day, setup, teardown),
		cmocka_unit_test_setup_teardown(names_that_are_none_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(any_bytes_get_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation_never_leaves_a_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(roots_survive_restarts_at_every_stage, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_crash_in_finish_is_finished, setup, teardown),
		cmocka_unit_test_setup_teardown(doubtful_files_stop_it, setup, teardown),
		cmocka_unit_test_setup_teardown(the_process_is_closed_up, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
