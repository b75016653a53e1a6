// SPDX-License-Identifier: GPL-3.0-or-later
// portcullis-rules: captures this node's TCP for node-proxy. Commands and the configuration are told
// in README.md; the rule set itself begins in render.c, what is done with it in rules.c.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "common/log.h"
#include "iptables/host.h"
#include "iptables/preflight.h"
#include "iptables/rules.h"
#include "iptables/watch.h"

static const char usage[] =
	"usage: portcullis-rules COMMAND --config FILE [--dry-run] [--force]\n"
	"  render     print the rule set\n"
	"  preflight  look at the host and say what stands against capture\n"
	"  apply      preflight, then put the rule set in (again: nothing happens)\n"
	"  verify     is it in place, jumps first?\n"
	"  run        apply, then verify on every event and every few seconds, and repair\n"
	"  remove     take it out and leave everything as it was found\n"
	"  --dry-run  print what would be put in or found, change nothing\n"
	"  --force    apply or run although preflight found errors\n"
	"       portcullis-rules version | help\n"
	"exit status: 0 done, in place, or nothing against it; 1 not; 2 usage or configuration\n";

enum { EXIT_DONE = 0, EXIT_NOT = 1, EXIT_USAGE = 2 };

struct call {
	const char *config_path;
	bool dry_run;
	bool force;
	struct rules_config config;
	struct rules rules;
	struct preflight preflight;
};

static int fail(const char *text)
{
	fprintf(stderr, "portcullis-rules: %s\n", text);
	return EXIT_NOT;
}

static int print_rules(const struct call *call, enum backend b)
{
	struct buf text;

	buf_init_growing(&text, FAMILY_COUNT * TABLE_COUNT * RENDER_TABLE_BYTES_MAX);
	rules_render(&call->config, b, &text);
	bool whole = text.err == ERR_OK;

	if (whole)
		fwrite(text.ptr, 1, text.len, stdout);
	buf_deinit(&text);
	return whole ? EXIT_DONE : fail("the rule set is too large");
}

static int do_render(struct call *call)
{
	return print_rules(call, call->config.backend);
}

static int do_preflight(struct call *call)
{
	struct preflight *p = &call->preflight;

	if (preflight_run(&call->config, &call->rules, p) != ERR_OK)
		return fail("the host's interfaces cannot be read");
	for (uint32_t i = 0; i < p->count; i++)
		printf("%s %s: %s\n", severity_name(p->findings[i].severity), p->findings[i].id,
		       p->findings[i].text);
	return p->errors == 0 ? EXIT_DONE : EXIT_NOT;
}

// What stands against it goes to stderr, one line each; the rest is `preflight`'s to tell.
static bool host_is_fit(struct call *call)
{
	struct preflight *p = &call->preflight;

	if (preflight_run(&call->config, &call->rules, p) != ERR_OK)
		return false;
	for (uint32_t i = 0; i < p->count; i++) {
		if (p->findings[i].severity != SEVERITY_INFO)
			fprintf(stderr, "portcullis-rules: %s %s: %s\n",
				severity_name(p->findings[i].severity), p->findings[i].id,
				p->findings[i].text);
	}
	return p->errors == 0 || call->force;
}

static bool take_lock(const struct call *call, int *fd)
{
	int holder;
	enum err err = state_lock(call->config.run_dir, fd, &holder);

	if (err == ERR_EXISTS)
		fprintf(stderr,
			"portcullis-rules: process %d keeps these rules (%s/rules.lock): stop it "
			"first, or send it SIGHUP to read its configuration again\n",
			holder, call->config.run_dir);
	else if (err != ERR_OK)
		fprintf(stderr, "portcullis-rules: %s: %s\n", call->config.run_dir,
			strerror(errno));
	return err == ERR_OK;
}

static int do_apply(struct call *call)
{
	struct reason why = {""};
	uint32_t changed = 0;
	int lock;

	if (call->dry_run)
		return print_rules(call, call->rules.backend);
	if (!host_is_fit(call))
		return fail("not applied: see the errors above (--force applies nevertheless)");
	if (!take_lock(call, &lock))
		return EXIT_NOT;
	enum err err = rules_ensure(&call->rules, &changed, &why);

	if (err == ERR_OK)
		err = rules_check(&call->rules, &why);
	if (state_report(call->config.run_dir, call->rules.backend,
			 err == ERR_OK ? "" : why.text) != ERR_OK)
		fprintf(stderr, "portcullis-rules: rules.json cannot be written\n");
	close(lock);
	if (err != ERR_OK)
		return fail(why.text);
	if (changed)
		printf("in place (iptables-%s), %u pieces put in\n",
		       backend_name(call->rules.backend), changed);
	else
		printf("in place (iptables-%s), nothing to do\n",
		       backend_name(call->rules.backend));
	return EXIT_DONE;
}

static int do_verify(struct call *call)
{
	struct reason why = {""};

	if (rules_check(&call->rules, &why) != ERR_OK)
		return fail(why.text);
	printf("in place (iptables-%s)\n", backend_name(call->rules.backend));
	return EXIT_DONE;
}

static int do_remove(struct call *call)
{
	struct reason why = {""};
	int lock;

	if (call->dry_run)
		return print_rules(call, call->rules.backend);
	if (!take_lock(call, &lock))
		return EXIT_NOT;
	enum err err = rules_remove(&call->rules, &why);

	if (state_report(call->config.run_dir, call->rules.backend,
			 err == ERR_OK ? "removed" : why.text) != ERR_OK)
		fprintf(stderr, "portcullis-rules: rules.json cannot be written\n");
	close(lock);
	return err == ERR_OK ? EXIT_DONE : fail(why.text);
}

static int do_run(struct call *call)
{
	struct reason why = {""};
	int lock;

	if (call->dry_run)
		return print_rules(call, call->rules.backend);
	if (!take_lock(call, &lock))
		return EXIT_NOT;
	// Rules that are in place already are kept in place whatever the host looks like by now.
	if (rules_check(&call->rules, &why) != ERR_OK && !host_is_fit(call)) {
		close(lock);
		return fail("not applied: see the errors above (--force applies nevertheless)");
	}
	log_init("portcullis-rules", LOG_INFO);
	enum err err = watch_run(call->config_path, &call->config, &call->rules, &why);

	close(lock);
	return err == ERR_OK ? EXIT_DONE : fail(why.text);
}

static const struct command {
	const char *name;
	int (*run)(struct call *call);
	bool needs_host;
} commands[] = {
	{"render", do_render, false}, {"preflight", do_preflight, true},
	{"apply", do_apply, true},    {"verify", do_verify, true},
	{"run", do_run, true},	      {"remove", do_remove, true},
};

static const struct command *parse(int argc, char **argv, struct call *call)
{
	const struct command *command = NULL;

	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) == 0)
			command = &commands[i];
	}
	for (int i = 2; command && i < argc; i++) {
		if (strcmp(argv[i], "--dry-run") == 0)
			call->dry_run = true;
		else if (strcmp(argv[i], "--force") == 0)
			call->force = true;
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			call->config_path = argv[++i];
		else
			return NULL;
	}
	return call->config_path ? command : NULL;
}

// Asked about itself: answered on standard output.
static bool tell(const char *word)
{
	bool version = strcmp(word, "version") == 0 || strcmp(word, "--version") == 0;

	if (version)
		printf("portcullis-rules %s\n", PORTCULLIS_VERSION);
	else if (strcmp(word, "help") == 0 || strcmp(word, "--help") == 0)
		fputs(usage, stdout);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	static struct call call;
	const struct command *command = parse(argc, argv, &call);
	struct reason why = {""};

	if (argc == 2 && tell(argv[1]))
		return EXIT_DONE;
	if (!command) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (rules_config_load(call.config_path, &call.config, &why) != ERR_OK) {
		fprintf(stderr, "portcullis-rules: %s\n", why.text);
		return EXIT_USAGE;
	}
	if (!command->needs_host)
		return command->run(&call);
	enum err err = rules_open(&call.config, &call.rules, &why);
	int status = err == ERR_OK ? command->run(&call) : fail(why.text);

	rules_close(&call.rules);
	return status;
}
