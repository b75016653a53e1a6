// SPDX-License-Identifier: GPL-3.0-or-later
// serve: a directory of YAML, watched, compiled and published to the nodes; and `ca rotate`, which talks
// to the running server. The CA is forked before a byte from outside is read. One thread: poll over
// the server's epoll, inotify and signals.
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ca/ca_process.h"
#include "common/clock.h"
#include "common/log.h"
#include "compile/compile.h"
#include "io/tls.h"
#include "model/load.h"
#include "publish/control.h"
#include "publish/server.h"
#include "publish/watch.h"
#include "verbs/verbs.h"

#define LIFETIME_DEFAULT_S 86400
#define LIFETIME_MIN_S 5

struct serve {
	const char *from_dir, *state_dir, *listen, *token_dir, *trust_file;
	uint32_t lifetime_s;
	struct server *server;
	struct watch *watch;
	int signal_fd;
	int ca_fd;
	pid_t ca_pid;
	bool stopping;
};

static const char serve_usage[] =
	"usage: policy-sync serve --from-dir DIR --state-dir DIR --listen ADDR:PORT --token-dir DIR\n"
	"         [--trust-file PEM] [--certificate-lifetime-s N] [--log-level LEVEL]\n";

// ---- configuration -----------------------------------------------------------------------------

static void log_findings(const struct diagnostics *d)
{
	for (uint32_t i = 0; i < d->count; i++) {
		const struct diagnostic *g = &d->list[i];

		log_event(g->severity == SEVERITY_ERROR ? LOG_ERROR : LOG_WARN, "finding",
			  LOG_S("file", g->file), LOG_N("line", g->line), LOG_N("column", g->column),
			  LOG_B("field", g->field), LOG_B("detail", g->message));
	}
}

// What cannot be read whole is not published: a policy whose file has a slip of the pen must not
// vanish. The nodes keep the last good generation.
static void serve_compile(struct serve *s)
{
	struct diagnostics findings;
	struct compiled *compiled = NULL;
	uint64_t started_ns = clock_monotonic_ns();

	diagnostics_init(&findings);
	struct model *m = load_directory(s->from_dir, &findings);
	enum err err = !m	       ? ERR_NOMEM
		       : m->incomplete ? ERR_MALFORMED
				       : compile_model(m, &findings, &compiled);

	log_findings(&findings);
	if (err == ERR_OK) {
		struct section_input inputs[SNAPSHOT_SECTIONS_MAX];

		for (uint32_t i = 0; i < compiled->count; i++)
			inputs[i] = (struct section_input){compiled->sections[i].name,
							   compiled->sections[i].bytes};
		err = server_publish(s->server, inputs, compiled->count, compiled->trust_domain,
				     clock_monotonic_ns());
	}
	if (err == ERR_OK)
		log_event(LOG_INFO, "compiled", LOG_N("pods", m->pods.count),
			  LOG_N("services", m->services.count), LOG_N("policies", m->policies.count),
			  LOG_N("limits", m->limits.count), LOG_N("errors", findings.errors),
			  LOG_N("duration_us", (clock_monotonic_ns() - started_ns) / 1000));
	else
		log_event(LOG_ERROR, "configuration_refused",
			  LOG_S("detail", "what is there cannot be read whole; the last good "
					  "generation stays"),
			  LOG_S("reason", err_name(err)), LOG_N("errors", findings.errors));
	compiled_free(compiled);
	model_free(m);
	diagnostics_deinit(&findings);
}

// ---- the turn ----------------------------------------------------------------------------------

static int wait_ms(const struct serve *s, uint64_t now_ns)
{
	uint64_t due = server_due_ns(s->server), look = watch_due_ns(s->watch);

	if (look < due)
		due = look;
	if (due == UINT64_MAX)
		return -1;
	return due <= now_ns ? 0 : (int)((due - now_ns) / NS_PER_MS + 1);
}

static enum err serve_turn(struct serve *s)
{
	struct pollfd fds[] = {
		{.fd = server_fd(s->server), .events = POLLIN},
		{.fd = watch_fd(s->watch), .events = POLLIN},
		{.fd = s->signal_fd, .events = POLLIN},
	};
	struct signalfd_siginfo signal;

	if (poll(fds, 3, wait_ms(s, clock_monotonic_ns())) < 0 && errno != EINTR)
		return ERR_IO;
	uint64_t now = clock_monotonic_ns();

	if (fds[1].revents)
		(void)watch_read(s->watch, now);
	if (watch_due_ns(s->watch) <= now) {
		watch_rescan(s->watch);
		serve_compile(s);
	}
	if (fds[2].revents && read(s->signal_fd, &signal, sizeof(signal)) == sizeof(signal))
		s->stopping = true;
	return server_turn(s->server, clock_monotonic_ns());
}

// ---- start and end -----------------------------------------------------------------------------

static enum err parse_listen(const char *text, struct addr_port *out)
{
	const char *colon = strrchr(text, ':');
	struct slice host;

	if (!colon)
		return ERR_CONFIG;
	host = slice_make(text, (size_t)(colon - text));
	if (host.len > 2 && host.ptr[0] == '[')
		host = slice_make(host.ptr + 1, host.len - 2);
	int port = atoi(colon + 1);

	if (port < 0 || port > 65535 || addr_parse(host, &out->addr) != ERR_OK)
		return ERR_CONFIG;
	out->port = (uint16_t)port;
	return ERR_OK;
}

static enum err serve_signals(struct serve *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return ERR_IO;
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? ERR_IO : ERR_OK;
}

static enum err serve_start(struct serve *s, struct reason *why)
{
	struct server_options options = {
		.state_directory = s->state_dir,
		.trust_file = s->trust_file,
		.certificate_lifetime_s = s->lifetime_s,
		.trust_domain = SLICE_LIT("cluster.local"),
	};
	char keys[4096];

	if (parse_listen(s->listen, &options.listen) != ERR_OK)
		return err_because(ERR_CONFIG, why, "--listen %s is not ADDR:PORT", s->listen);
	if (mkdir(s->state_dir, 0700) < 0 && errno != EEXIST)
		return err_because(ERR_IO, why, "%s: %s", s->state_dir, strerror(errno));
	snprintf(keys, sizeof(keys), "%s/ca", s->state_dir);
	if (ca_process_start(keys, &s->ca_fd, &s->ca_pid) != ERR_OK)
		return err_because(ERR_IO, why, "the CA process does not start");
	options.ca_fd = s->ca_fd;
	if (serve_signals(s) != ERR_OK || tls_global_init() != ERR_OK)
		return err_because(ERR_CRYPTO, why, "signals or wolfSSL cannot be set up");
	if (authenticate_new_directory(s->token_dir, &options.authenticator) != ERR_OK)
		return err_because(ERR_CONFIG, why, "--token-dir %s cannot be used", s->token_dir);
	enum err err = server_new(&options, &s->server, why);

	if (err == ERR_OK && watch_new(s->from_dir, &s->watch) != ERR_OK)
		err = err_because(ERR_IO, why, "%s cannot be watched: %s", s->from_dir,
				  strerror(errno));
	return err;
}

static int serve_run(struct serve *s)
{
	struct reason why = {0};
	enum err err = serve_start(s, &why);

	if (err != ERR_OK) {
		fprintf(stderr, "policy-sync: %s\n", why.text);
	} else {
		log_event(LOG_INFO, "started", LOG_S("version", PORTCULLIS_VERSION),
			  LOG_S("from_dir", s->from_dir), LOG_N("port", server_port(s->server)));
		serve_compile(s);
		while (err == ERR_OK && !s->stopping)
			err = serve_turn(s);
		log_event(LOG_INFO, "stopped", LOG_S("reason", err_name(err)));
	}
	server_free(s->server);
	watch_free(s->watch);
	if (s->ca_fd >= 0)
		close(s->ca_fd);
	if (s->ca_pid > 0)
		waitpid(s->ca_pid, NULL, 0); // it ends with its socket
	return err == ERR_OK ? 0 : 1;
}

int verb_serve(int argc, char **argv)
{
	static const struct option options[] = {
		{"from-dir", required_argument, NULL, 'd'},
		{"state-dir", required_argument, NULL, 's'},
		{"listen", required_argument, NULL, 'l'},
		{"token-dir", required_argument, NULL, 't'},
		{"trust-file", required_argument, NULL, 'T'},
		{"certificate-lifetime-s", required_argument, NULL, 'L'},
		{"log-level", required_argument, NULL, 'v'},
		{0},
	};
	struct serve s = {.lifetime_s = LIFETIME_DEFAULT_S, .signal_fd = -1, .ca_fd = -1};
	enum log_level level = LOG_INFO;
	bool good = true;
	int id;

	while (good && (id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (id == 'd')
			s.from_dir = optarg;
		else if (id == 's')
			s.state_dir = optarg;
		else if (id == 'l')
			s.listen = optarg;
		else if (id == 't')
			s.token_dir = optarg;
		else if (id == 'T')
			s.trust_file = optarg;
		else if (id == 'L')
			s.lifetime_s = (uint32_t)strtoul(optarg, NULL, 10);
		else
			good = id == 'v' && log_level_parse(slice_str(optarg), &level);
	}
	if (!good || !s.from_dir || !s.state_dir || !s.listen || !s.token_dir ||
	    s.lifetime_s < LIFETIME_MIN_S || s.lifetime_s > LIFETIME_DEFAULT_S) {
		fputs(serve_usage, stderr);
		return 2;
	}
	log_init("policy-sync", level);
	return serve_run(&s);
}

// ---- ca ----------------------------------------------------------------------------------------

int verb_ca(int argc, char **argv)
{
	char path[4096], line[64];
	struct buf answer;

	// ca rotate --state-dir DIR begin|finish · ca status --state-dir DIR
	bool rotate = argc == 5 && strcmp(argv[1], "rotate") == 0 &&
		      (strcmp(argv[4], "begin") == 0 || strcmp(argv[4], "finish") == 0);
	bool status = argc == 4 && strcmp(argv[1], "status") == 0;

	if ((!rotate && !status) || strcmp(argv[2], "--state-dir") != 0) {
		fprintf(stderr, "usage: policy-sync ca rotate --state-dir DIR begin|finish\n"
				"       policy-sync ca status --state-dir DIR\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/control.sock", argv[3]);
	snprintf(line, sizeof(line), rotate ? "rotate %s" : "status", rotate ? argv[4] : "");
	buf_init_growing(&answer, 1u << 16);
	enum err err = control_ask(path, line, &answer);

	if (err != ERR_OK)
		fprintf(stderr, "policy-sync: no server answers at %s: %s\n", path, strerror(errno));
	else
		fwrite(answer.ptr, 1, answer.len, stdout);
	bool good = err == ERR_OK && slice_starts(buf_slice(&answer), SLICE_LIT("ok"));

	buf_deinit(&answer);
	return good ? 0 : 1;
}
