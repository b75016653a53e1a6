// SPDX-License-Identifier: GPL-3.0-or-later
// The process that holds the root keys. It trusts the parent with nothing but the choice of what to
// ask: every field of a request is checked here again, as the parent parses what nodes and the API
// send and may be somebody else's by now.
#include "ca/ca_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ca/ca_confine.h"
#include "ca/ca_store.h"
#include "common/capabilities.h"
#include "common/log.h"
#include "io/sync_wire.h"

#define CA_FILES_MAX 32

// Lower-case DNS-like labels: what may stand in a SPIFFE id without any escaping.
static bool ca_name_is_good(const char *name, size_t cap)
{
	size_t len = strnlen(name, cap);

	if (len == 0 || len == cap)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!word && (i == 0 || i + 1 == len || (c != '-' && c != '.')))
			return false;
		if (c == '.' && name[i - 1] == '.')
			return false;
	}
	return true;
}

static enum err must_check ca_process_check(const struct ca_request *r, bool node,
					    struct reason *why)
{
	if (!ca_name_is_good(r->trust_domain, sizeof(r->trust_domain)))
		return err_because(ERR_MALFORMED, why, "not a trust domain");
	if (node && !ca_name_is_good(r->node, sizeof(r->node)))
		return err_because(ERR_MALFORMED, why, "not a node name");
	if (r->lifetime_s == 0 || r->lifetime_s > CA_LIFETIME_MAX_S)
		return err_because(ERR_RANGE, why, "lifetime is not in 1..%d s", CA_LIFETIME_MAX_S);
	return ERR_OK;
}

static enum err must_check ca_process_sign(struct ca_store *s, const struct ca_request *r,
					   int64_t now_unix_s, struct ca_reply *reply)
{
	bool node = r->verb == CA_SIGN_NODE;
	// policy-sync shows the oldest root's certificate until that root is dropped: a node that
	// was away during the whole rotation knows no other.
	const struct ca_root *root = &s->roots[node ? s->active : 0];
	uint32_t lifetime_s = r->lifetime_s;
	struct buf chain;
	char uri[CA_TRUST_DOMAIN_BYTES + CA_NODE_BYTES + 32];
	enum err e = ca_process_check(r, node, &reply->why);

	if (e)
		return e;
	if (node)
		snprintf(uri, sizeof(uri), "spiffe://%s/node/%s", r->trust_domain, r->node);
	else
		snprintf(uri, sizeof(uri), "spiffe://%s/policy-sync", r->trust_domain);
	if (lifetime_s > CA_LIFETIME_MAX_S - CA_BACKDATE_S)
		lifetime_s = CA_LIFETIME_MAX_S - CA_BACKDATE_S;
	reply->not_before_unix_s = now_unix_s - CA_BACKDATE_S;
	reply->not_after_unix_s = now_unix_s + lifetime_s;
	if (reply->not_after_unix_s > root->not_after_unix_s)
		return err_because(ERR_EXPIRED, &reply->why,
				   "the root ends before the certificate would: rotate the root");
	buf_init_fixed(&chain, reply->chain_pem, sizeof(reply->chain_pem));
	e = x509_sign_leaf(&root->key, slice_make(root->pem, root->pem_bytes),
			   slice_make(r->public_der, sizeof(r->public_der)), slice_str(uri),
			   node ? (struct slice){0} : slice_str(SYNC_SERVER_NAME),
			   reply->not_before_unix_s, reply->not_after_unix_s, &chain);
	if (e)
		return err_because(e, &reply->why, "the public key is not a P-256 point");
	reply->chain_bytes = (uint32_t)chain.len;
	return ERR_OK;
}

static enum err must_check ca_process_do(struct ca_store *s, const struct ca_request *r,
					 int64_t now_unix_s, struct ca_reply *reply)
{
	if (r->version != CA_PROTO_VERSION)
		return err_because(ERR_VERSION, &reply->why, "other version of the CA protocol");
	switch ((enum ca_verb)r->verb) {
	case CA_SIGN_NODE:
	case CA_SIGN_SERVER:
		return ca_process_sign(s, r, now_unix_s, reply);
	case CA_BUNDLE:
		return ERR_OK;
	case CA_ROTATE_BEGIN:
		return ca_store_begin(s, now_unix_s, &reply->why);
	case CA_ROTATE_SWITCH:
		return ca_store_switch(s, &reply->why);
	case CA_ROTATE_FINISH:
		return ca_store_finish(s, &reply->why);
	case CA_NONE:
	case CA_VERB_COUNT:
		break;
	}
	return err_because(ERR_UNSUPPORTED, &reply->why, "unknown request");
}

void ca_process_answer(struct ca_store *s, const struct ca_request *request, int64_t now_unix_s,
		       struct ca_reply *reply)
{
	struct buf trust;

	memset(reply, 0, sizeof(*reply));
	reply->version = CA_PROTO_VERSION;
	reply->err = ca_process_do(s, request, now_unix_s, reply);
	reply->stage = ca_store_stage(s);
	reply->root_not_after_unix_s = s->roots[s->active].not_after_unix_s;
	buf_init_fixed(&trust, reply->trust_pem, sizeof(reply->trust_pem));
	for (uint32_t i = 0; i < s->count; i++)
		buf_put(&trust, s->roots[i].pem, s->roots[i].pem_bytes);
	reply->trust_bytes = (uint32_t)trust.len;
}

static void ca_process_harden(int fd)
{
	struct rlimit none = {0, 0};
	struct rlimit files = {CA_FILES_MAX, CA_FILES_MAX};
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
	struct reason why = {0};

	// A terminal's Ctrl-C reaches the whole group; the end of the parent's socket is our sign.
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "policy-sync-ca");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	process_close();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_NOFILE, &files);
	if (fd > 3)
		close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
	// Not fatal: an unprivileged policy-sync has a small limit. PR_SET_DUMPABLE still holds.
	(void)setrlimit(RLIMIT_MEMLOCK,
			&all); // what comes later is locked too, without the capability
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
		log_event(LOG_WARN, "ca_memory_not_locked", LOG_S("error", strerror(errno)));
	if (capabilities_keep(0, &why) != ERR_OK)
		log_event(LOG_WARN, "ca_capabilities_kept", LOG_S("reason", why.text));
}

static int ca_process_run(const char *directory, int fd)
{
	static struct ca_store store; // not on the stack: wiped in one place
	static struct ca_request request;
	static struct ca_reply reply;
	struct reason why = {0};
	enum err e;

	ca_process_harden(fd);
	e = ca_store_open(&store, directory, (int64_t)time(NULL), &why);
	if (e) {
		log_event(LOG_ERROR, "ca_not_started", LOG_S("error", err_name(e)),
			  LOG_S("reason", why.text));
		ca_store_wipe(&store);
		return 1;
	}
	e = ca_confine();
	if (e)
		log_event(LOG_WARN, "ca_not_confined", LOG_S("error", err_name(e)));
	log_event(LOG_INFO, "ca_started", LOG_N("roots", store.count),
		  LOG_N("root_not_after_unix_s", store.roots[store.active].not_after_unix_s));
	for (;;) {
		ssize_t n = recv(fd, &request, sizeof(request), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (n != (ssize_t)sizeof(request))
			memset(&request, 0, sizeof(request)); // answered as an unknown request
		ca_process_answer(&store, &request, (int64_t)time(NULL), &reply);
		if (send(fd, &reply, sizeof(reply), MSG_NOSIGNAL) != (ssize_t)sizeof(reply))
			break;
	}
	ca_store_wipe(&store);
	return 0;
}

enum err ca_process_start(const char *directory, int *fd, pid_t *pid)
{
	int pair[2];
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return ERR_IO;
	child = fork();
	if (child < 0) {
		close(pair[0]);
		close(pair[1]);
		return ERR_IO;
	}
	if (child == 0) {
		int status;

		close(pair[0]);
		status = ca_process_run(directory, pair[1]);
		_exit(status);
	}
	close(pair[1]);
	*fd = pair[0];
	*pid = child;
	return ERR_OK;
}
