// SPDX-License-Identifier: GPL-3.0-or-later
// policy-sync: verbs.
#include <stdio.h>
#include <string.h>
#include "common/memory.h"
#include "verbs/verbs.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{"serve", verb_serve, "watch configuration, publish it to the nodes, be their CA"},
	{"compile", verb_compile, "DIR -o FILE: a snapshot as one file"},
	{"check", verb_check, "DIR: every error with file, line and field; for CI"},
	{"reference", verb_reference, "what may be written in our kinds, in Markdown"},
	{"explain", verb_explain, "who may call whom, and by which rule"},
	{"ca", verb_ca, "rotate the CA's root"},
	{"node", verb_node, "revoke the keys of a node"},
};

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: policy-sync VERB ...\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].help);
	fprintf(to, "  %-9s which version this is\n", "version");
	return status;
}

int main(int argc, char **argv)
{
	const char *verb = argc >= 2 ? argv[1] : "";

	memory_init();
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verb, verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	}
	if (strcmp(verb, "version") == 0 || strcmp(verb, "--version") == 0) {
		printf("policy-sync %s\n", PORTCULLIS_VERSION);
		return 0;
	}
	if (strcmp(verb, "help") == 0 || strcmp(verb, "--help") == 0)
		return usage(stdout, 0);
	return usage(stderr, 2);
}
