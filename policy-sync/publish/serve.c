// SPDX-License-Identifier: GPL-3.0-or-later
// The verb serve: starts the CA's process first, then reads the directory, listens,
// and turns: a change in the directory is compiled and published, nodes are answered. One thread.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ca/ca_process.h"
#include "common/capabilities.h"
#include "common/clock.h"
#include "common/log.h"
#include "compile/compile.h"
#include "model/source.h"
#include "publish/control.h"
#include "publish/health.h"
#include "publish/read_back.h"
#include "publish/server.h"
#include "publish/watch.h"
#include "verbs/verbs.h"

#define FINDINGS_LOGGED_MAX 20
#define RELOAD_EVERY_MS	    60000 // whether or not anything was noticed
#define POLL_MAX_MS	    1000

enum serve_poll { POLL_SIGNAL = 0, POLL_SERVER, POLL_WATCH, POLL_COUNT };

struct serve {
	const char *from_directory;
	const char *state_directory;
	const char *token_directory;
	const char *trust_file;
	struct addr_port listen;
	struct addr_port admin; // port 0: none
	uint32_t certificate_lifetime_s;
	int lock_fd;
	int ca_fd;
	pid_t ca_pid;
	int signal_fd;
	struct source *source;
	struct watch *watch;
	struct authenticator *authenticator;
	struct server *server;
	struct compiled *first; // compiled before there was a server
	struct read_back *read_back;
	struct health *health;
	struct health_status status;
	bool remembers; // what an earlier process knew
	bool unsaved;
	uint64_t reload_ns;
	uint64_t findings_hash; // of those that were logged last
};

static int serve_usage(void)
{
	fprintf(stderr,
		"usage: policy-sync serve --from-dir DIR --state-dir DIR --listen ADDR:PORT\n"
		"         [--token-dir DIR] [--trust-file PEM] [--certificate-lifetime-s N]\n"
		"         [--admin ADDR:PORT] [--log-level error|warn|info|debug]\n");
	return 2;
}

static bool serve_parse_listen(const char *text, struct addr_port *out)
{
	struct slice s = slice_str(text);
	const uint8_t *colon = s.len > 0 ? memrchr(s.ptr, ':', s.len) : NULL;
	struct slice host;
	char *end;
	unsigned long port;

	if (!colon)
		return false;
	host = slice_make(s.ptr, (size_t)(colon - s.ptr));
	if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		host = slice_make(host.ptr + 1, host.len - 2);
	port = strtoul((const char *)colon + 1, &end, 10);
	if (*end != 0 || port > UINT16_MAX)
		return false;
	out->port = (uint16_t)port;
	return addr_parse(host, &out->addr) == ERR_OK;
}

static bool serve_parse_number(const char *text, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*out = (uint32_t)n;
	return *text && *end == 0 && n >= 1 && n <= max;
}

static bool serve_take_option(struct serve *s, int option, enum log_level *level)
{
	switch (option) {
	case 'f':
		s->from_directory = optarg;
		return true;
	case 's':
		s->state_directory = optarg;
		return true;
	case 'l':
		return serve_parse_listen(optarg, &s->listen);
	case 'a':
		return serve_parse_listen(optarg, &s->admin);
	case 't':
		s->token_directory = optarg;
		return true;
	case 'p':
		s->trust_file = optarg;
		return true;
	case 'c':
		return serve_parse_number(optarg, CA_LIFETIME_MAX_S, &s->certificate_lifetime_s);
	case 'v':
		return log_level_parse(slice_str(optarg), level);
	default:
		return false;
	}
}

static bool serve_parse(struct serve *s, int argc, char **argv)
{
	static const struct option options[] = {{"from-dir", required_argument, NULL, 'f'},
						{"state-dir", required_argument, NULL, 's'},
						{"listen", required_argument, NULL, 'l'},
						{"admin", required_argument, NULL, 'a'},
						{"token-dir", required_argument, NULL, 't'},
						{"trust-file", required_argument, NULL, 'p'},
						{"certificate-lifetime-s", required_argument, NULL,
						 'c'},
						{"log-level", required_argument, NULL, 'v'},
						{0}};
	enum log_level level = LOG_INFO;
	int option;

	s->certificate_lifetime_s = CA_LIFETIME_MAX_S;
	s->lock_fd = s->ca_fd = s->signal_fd = -1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!serve_take_option(s, option, &level))
			return false;
	}
	log_init("policy-sync", level);
	return optind == argc && s->from_directory && s->state_directory && s->listen.port != 0;
}

// Tokens pass through here, and the server's own key: nothing of it goes into a core dump.
static void serve_harden(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	process_close();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

// The state directory is one process's.
static enum err must_check serve_lock(struct serve *s, struct reason *why)
{
	char path[300];

	if (mkdir(s->state_directory, 0700) != 0 && errno != EEXIST)
		return err_because(ERR_IO, why, "cannot make %s: %s", s->state_directory,
				   strerror(errno));
	snprintf(path, sizeof(path), "%s/lock", s->state_directory);
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return err_because(ERR_IO, why, "cannot open %s: %s", path, strerror(errno));
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return err_because(ERR_EXISTS, why, "another policy-sync uses %s",
				   s->state_directory);
	return ERR_OK;
}

static enum err must_check serve_start_ca(struct serve *s, struct reason *why)
{
	char path[300];
	enum err e;

	snprintf(path, sizeof(path), "%s/ca", s->state_directory);
	e = ca_process_start(path, &s->ca_fd, &s->ca_pid);
	return e ? err_because(e, why, "cannot start the CA process: %s", strerror(errno)) : ERR_OK;
}

static enum err must_check serve_take_signals(struct serve *s, struct reason *why)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP); // nothing to do: inotify tells
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
		s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? err_because(ERR_IO, why, "signals: %s", strerror(errno)) : ERR_OK;
}

// ---- configuration -----------------------------------------------------------------------------

static uint64_t serve_hash_findings(const struct diagnostics *d)
{
	struct buf b;
	uint64_t hash;

	buf_init_growing(&b, 16u << 20);
	diagnostics_print(d, &b);
	hash = hash_bytes(buf_slice(&b), 1);
	buf_deinit(&b);
	return hash;
}

// Those that stand there since last time have been said.
static void serve_log_findings(struct serve *s, const struct diagnostics *d)
{
	uint64_t hash = serve_hash_findings(d);

	if (hash == s->findings_hash)
		return;
	s->findings_hash = hash;
	for (uint32_t i = 0; i < d->count && i < FINDINGS_LOGGED_MAX; i++) {
		const struct diagnostic *one = &d->list[i];

		log_event(one->severity == SEVERITY_ERROR     ? LOG_ERROR
			  : one->severity == SEVERITY_WARNING ? LOG_WARN
							      : LOG_INFO,
			  "configuration_finding", LOG_S("file", one->file),
			  LOG_N("line", one->line), LOG_B("field", one->field),
			  LOG_B("message", one->message));
	}
	if (d->count > FINDINGS_LOGGED_MAX)
		log_event(LOG_WARN, "configuration_findings_left_out",
			  LOG_N("count", d->count - FINDINGS_LOGGED_MAX));
}

static void serve_note(struct serve *s, enum err e, const struct reason *why,
		       const struct diagnostics *d)
{
	struct health_status *h = &s->status;

	h->errors = d->errors;
	h->warnings = d->count + d->left_out - d->errors;
	h->why = *why;
	if (e == ERR_OK)
		h->unpublished_since_unix_ms = 0;
	else if (h->unpublished_since_unix_ms == 0)
		h->unpublished_since_unix_ms = clock_unix_ms();
	if (e)
		log_event(LOG_ERROR, "configuration_not_published", LOG_S("error", err_name(e)),
			  LOG_S("reason", why->text));
}

// The first error's words, or what the step that failed had to say.
static void serve_explain(const struct diagnostics *d, struct reason *why)
{
	for (uint32_t i = 0; i < d->count && why->text[0] == 0; i++) {
		const struct diagnostic *one = &d->list[i];

		if (one->severity == SEVERITY_ERROR)
			snprintf(why->text, sizeof(why->text), "%.100s:%u: %.*s", one->file,
				 one->line, SLICE_ARG(one->message));
	}
}

static enum err must_check serve_compile(struct serve *s, struct compiled **out)
{
	struct model *model = NULL;
	struct reason why = {0};
	struct diagnostics d;
	enum err e;

	diagnostics_init(&d);
	e = source_load(s->source, &d, &model);
	if (!e)
		e = compile_model(model, &d, out);
	s->status.incomplete = model && model->incomplete;
	if (!e)
		e = read_back_check(s->read_back, *out, &why);
	else
		serve_explain(&d, &why);
	if (!e && s->status.incomplete && !s->status.published && !s->remembers) {
		// Nobody knows what the unreadable file protects: nodes keep what they have.
		e = ERR_CONFIG;
	}
	if (s->status.incomplete)
		serve_explain(&d, &why);
	serve_log_findings(s, &d);
	serve_note(s, e, &why, &d);
	diagnostics_deinit(&d);
	model_free(model);
	if (e) {
		compiled_free(*out);
		*out = NULL;
	}
	return e;
}

// What the next start falls back on, when what is new is on its way.
static void serve_save(struct serve *s)
{
	enum err e = source_save(s->source, &s->unsaved);

	if (!e)
		return;
	s->unsaved = false;
	log_event(LOG_ERROR, "memory_not_saved", LOG_S("error", err_name(e)),
		  LOG_S("system", strerror(errno)));
}

static enum err must_check serve_publish(struct serve *s, const struct compiled *c, uint64_t now_ns)
{
	struct section_input *inputs = calloc(c->count + 1, sizeof(*inputs));
	enum err e;

	if (!inputs)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < c->count; i++)
		inputs[i] = (struct section_input){c->sections[i].name, c->sections[i].bytes};
	e = server_publish(s->server, inputs, c->count, c->trust_domain, now_ns);
	free(inputs);
	s->status.published = s->status.published || !e;
	s->unsaved = true;
	return e;
}

// Asked after a file was read: whoever began to write it meanwhile has left an event.
static bool serve_is_written(void *context, const struct stat *st)
{
	struct serve *s = context;
	uint64_t now_ns = clock_monotonic_ns();

	(void)watch_read(s->watch, now_ns);
	return watch_is_written(s->watch, st, now_ns);
}

static void serve_reload(struct serve *s)
{
	struct compiled *c = NULL;
	uint64_t started_ns = clock_monotonic_ns();
	enum err e;

	if (started_ns >= s->reload_ns)
		source_distrust(s->source);
	watch_rescan(s->watch); // before reading: what changes meanwhile is a new event
	s->reload_ns = started_ns + RELOAD_EVERY_MS * NS_PER_MS;
	if (serve_compile(s, &c) != ERR_OK)
		return;
	e = serve_publish(s, c, clock_monotonic_ns());
	compiled_free(c);
	log_event(e ? LOG_ERROR : LOG_INFO,
		  e ? "configuration_not_published" : "configuration_read",
		  LOG_S("error", err_name(e)),
		  LOG_N("took_ms", (clock_monotonic_ns() - started_ns) / NS_PER_MS));
}

// ---- the turn ----------------------------------------------------------------------------------

// False: time to go; *status says how.
static bool serve_on_signal(struct serve *s, int *status)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD && waitpid(s->ca_pid, NULL, WNOHANG) == s->ca_pid) {
			s->ca_pid = 0;
			log_event(LOG_ERROR, "ca_process_ended");
			*status = 1; // nothing can be signed: be started again, whole
			return false;
		}
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
			log_event(LOG_INFO, "stopping");
			*status = 0;
			return false;
		}
	}
	return true;
}

static int serve_timeout_ms(const struct serve *s, uint64_t now_ns)
{
	uint64_t due_ns = server_due_ns(s->server);

	if (watch_due_ns(s->watch) < due_ns)
		due_ns = watch_due_ns(s->watch);
	if (s->reload_ns < due_ns)
		due_ns = s->reload_ns;
	if (due_ns <= now_ns || s->unsaved)
		return 0;
	if (due_ns - now_ns > POLL_MAX_MS * NS_PER_MS)
		return POLL_MAX_MS;
	return (int)((due_ns - now_ns) / NS_PER_MS) + 1;
}

static int serve_run(struct serve *s)
{
	int status = 1;

	for (;;) {
		struct pollfd polled[POLL_COUNT] = {
			[POLL_SIGNAL] = {.fd = s->signal_fd, .events = POLLIN},
			[POLL_SERVER] = {.fd = server_fd(s->server), .events = POLLIN},
			[POLL_WATCH] = {.fd = watch_fd(s->watch), .events = POLLIN},
		};
		uint64_t now_ns = clock_monotonic_ns();

		if (poll(polled, POLL_COUNT, serve_timeout_ms(s, now_ns)) < 0 && errno != EINTR) {
			log_event(LOG_ERROR, "serve_poll", LOG_S("system", strerror(errno)));
			return 1;
		}
		if (polled[POLL_SIGNAL].revents && !serve_on_signal(s, &status))
			return status;
		now_ns = clock_monotonic_ns();
		if (polled[POLL_WATCH].revents)
			(void)watch_read(s->watch, now_ns);
		if (now_ns >= watch_due_ns(s->watch) || now_ns >= s->reload_ns)
			serve_reload(s);
		else if (s->unsaved)
			serve_save(s);
		if (server_turn(s->server, clock_monotonic_ns()) != ERR_OK) {
			log_event(LOG_ERROR, "ca_process_lost");
			return 1;
		}
	}
}

// ---- from start to end -------------------------------------------------------------------------

static enum err must_check serve_remember(struct serve *s, struct reason *why)
{
	char path[300];
	enum err e;

	snprintf(path, sizeof(path), "%s/last-good", s->state_directory);
	e = source_remember(s->source, path);
	s->remembers = source_remembers(s->source);
	return e ? err_because(e, why, "cannot use %s: %s", path, err_name(e)) : ERR_OK;
}

static enum err must_check serve_open(struct serve *s, struct reason *why)
{
	struct server_options options = {.listen = s->listen,
					 .state_directory = s->state_directory,
					 .trust_file = s->trust_file,
					 .ca_fd = s->ca_fd,
					 .certificate_lifetime_s = s->certificate_lifetime_s,
					 .trust_domain = SLICE_LIT("cluster.local")};
	enum err e;

	if (tls_global_init() != ERR_OK)
		return err_because(ERR_CRYPTO, why, "the TLS library cannot be used");
	e = source_new(s->from_directory, &s->source);
	if (!e)
		e = serve_remember(s, why);
	if (!e)
		e = watch_new(s->from_directory, &s->watch);
	if (!e)
		e = read_back_new(&s->read_back);
	if (!e)
		source_set_busy(s->source, serve_is_written, s);
	if (!e && s->token_directory)
		e = authenticate_new_directory(s->token_directory, &s->authenticator);
	if (e && why->text[0] == 0)
		err_because(e, why, "cannot watch %s: %s", s->from_directory, err_name(e));
	if (e)
		return e;
	if (!s->authenticator)
		log_event(LOG_WARN, "no_authentication",
			  LOG_S("reason", "without --token-dir every node is refused"));
	options.authenticator = s->authenticator;
	// Compiled before it listens: a node that calls at once finds what it came for.
	if (serve_compile(s, &s->first) == ERR_OK)
		options.trust_domain = s->first->trust_domain;
	e = server_new(&options, &s->server, why);
	if (!e && s->admin.port != 0)
		e = health_new(s->server, s->admin, &s->status, &s->health, why);
	if (!e && s->first)
		e = serve_publish(s, s->first, clock_monotonic_ns());
	return e;
}

static void serve_close(struct serve *s)
{
	health_free(s->health);
	server_free(s->server);
	compiled_free(s->first);
	read_back_free(s->read_back);
	watch_free(s->watch);
	source_free(s->source);
	if (s->authenticator)
		s->authenticator->free(s->authenticator);
	if (s->ca_fd >= 0)
		close(s->ca_fd);
	if (s->ca_pid > 0)
		waitpid(s->ca_pid, NULL, 0);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
}

int verb_serve(int argc, char **argv)
{
	struct serve s = {0};
	struct reason why = {0};
	char at[ADDR_PORT_TEXT_MAX];
	int status = 1;
	enum err e;

	if (!serve_parse(&s, argc, argv))
		return serve_usage();
	serve_harden();
	e = serve_lock(&s, &why);
	if (!e)
		e = serve_start_ca(&s, &why); // before a byte from outside is read
	if (!e)
		e = capabilities_keep(0, &why); // files and a port above 1023 need none
	if (!e)
		e = serve_take_signals(&s, &why);
	if (!e)
		e = serve_open(&s, &why);
	if (e) {
		log_event(LOG_ERROR, "not_started", LOG_S("error", err_name(e)),
			  LOG_S("reason", why.text));
	} else {
		log_event(LOG_INFO, "started",
			  LOG_S("listen",
				addr_port_format((struct addr_port){s.listen.addr,
								    server_port(s.server)},
						 at)),
			  LOG_S("version", PORTCULLIS_VERSION));
		s.reload_ns = clock_monotonic_ns() + RELOAD_EVERY_MS * NS_PER_MS;
		status = serve_run(&s);
	}
	serve_close(&s);
	return status;
}
