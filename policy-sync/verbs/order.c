// SPDX-License-Identifier: GPL-3.0-or-later
// The verbs that give orders to a server that runs, over its control socket (publish/control.h).
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "publish/authenticate.h"
#include "publish/control.h"
#include "verbs/verbs.h"

#define ANSWER_BYTES_MAX (8u << 20)

// What the server that runs on this state directory answers to one line, as an exit status.
static int order_give(const char *state, const char *line)
{
	struct buf answer;
	char path[300];
	enum err e;

	snprintf(path, sizeof(path), "%s/control.sock", state);
	buf_init_growing(&answer, ANSWER_BYTES_MAX);
	e = control_ask(path, line, &answer);
	if (e)
		fprintf(stderr, "policy-sync: cannot ask the server at %s: %s\n", path,
			e == ERR_IO ? strerror(errno) : err_name(e));
	else
		fwrite(answer.ptr, 1, answer.len, stdout);
	if (!e && (answer.len < 2 || memcmp(answer.ptr, "ok", 2) != 0))
		e = ERR_DENIED;
	buf_deinit(&answer);
	return e ? 1 : 0;
}

// The words behind the options. False: usage.
static bool order_parse(int *argc, char ***argv, const char **state)
{
	static const struct option options[] = {{"state-dir", required_argument, NULL, 's'}, {0}};
	int option;

	*state = NULL;
	while ((option = getopt_long(*argc, *argv, "", options, NULL)) != -1) {
		if (option != 's')
			return false;
		*state = optarg;
	}
	*argv += optind;
	*argc -= optind;
	return *state != NULL;
}

static int ca_usage(void)
{
	fprintf(stderr, "usage: policy-sync ca rotate --state-dir DIR begin|finish\n"
			"       policy-sync ca status --state-dir DIR\n");
	return 2;
}

int verb_ca(int argc, char **argv)
{
	const char *state, *line = NULL;

	if (!order_parse(&argc, &argv, &state))
		return ca_usage();
	if (argc == 1 && strcmp(argv[0], "status") == 0)
		line = "status";
	else if (argc == 2 && strcmp(argv[0], "rotate") == 0 && strcmp(argv[1], "begin") == 0)
		line = "rotate begin";
	else if (argc == 2 && strcmp(argv[0], "rotate") == 0 && strcmp(argv[1], "finish") == 0)
		line = "rotate finish";
	return line ? order_give(state, line) : ca_usage();
}

int verb_node(int argc, char **argv)
{
	const char *state;
	char line[300];

	if (!order_parse(&argc, &argv, &state) || argc != 2 || strcmp(argv[0], "revoke") != 0 ||
	    !authenticate_is_node_name(slice_str(argv[1]))) {
		fprintf(stderr, "usage: policy-sync node revoke --state-dir DIR NAME\n");
		return 2;
	}
	snprintf(line, sizeof(line), "revoke %s", argv[1]);
	return order_give(state, line);
}
