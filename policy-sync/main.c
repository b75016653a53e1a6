// SPDX-License-Identifier: GPL-3.0-or-later
// policy-sync: verbs.
#include <stdio.h>
#include <string.h>
#include "verbs/verbs.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{"serve", verb_serve, "watch configuration, publish it to the nodes, be their CA"},
	{"compile", verb_compile, "DIR -o FILE: a snapshot as one file"},
	{"check", verb_check, "DIR: every error with file, line and field; for CI"},
	{"explain", verb_explain, "who may call whom, and by which rule"},
	{"ca", verb_ca, "rotate the CA's root"},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	}
	fprintf(stderr, "usage: policy-sync VERB ...\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		fprintf(stderr, "  %-8s %s\n", verbs[i].name, verbs[i].help);
	return 2;
}
