// SPDX-License-Identifier: GPL-3.0-or-later
// node-proxy: verbs. Everything else is control/node.
#include <stdio.h>
#include <string.h>
#include "common/memory.h"
#include "control/node.h"

static int run(int argc, char **argv)
{
	struct config config;
	struct reason why = {0};

	if (config_parse(argc, argv, &config, &why) != ERR_OK) {
		fprintf(stderr, "node-proxy: %s\n%s", why.text, config_usage);
		return 2;
	}
	log_init("node-proxy", config.log_level);
	if (node_run(&config, &why) != ERR_OK) {
		log_event(LOG_ERROR, "start_failed", LOG_S("detail", why.text));
		fprintf(stderr, "node-proxy: %s\n", why.text);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc >= 2 ? argv[1] : "";
	bool help = strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0;

	memory_init();
	if (strcmp(verb, "run") == 0)
		return run(argc - 1, argv + 1);
	if (strcmp(verb, "version") == 0 || strcmp(verb, "--version") == 0) {
		printf("node-proxy %s\n", PORTCULLIS_VERSION);
		return 0;
	}
	fprintf(help ? stdout : stderr, "%s       node-proxy version\n", config_usage);
	return help ? 0 : 2;
}
