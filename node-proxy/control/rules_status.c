// SPDX-License-Identifier: GPL-3.0-or-later
// Reader of rules.json; see rules_status.h.
#include "control/rules_status.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <yyjson.h>
#include "common/clock.h"

#define RULES_BYTES_MAX	 4096
#define RULES_AGE_MAX_MS 30000

enum err rules_status_check(const char *run_dir, struct reason *why)
{
	char path[4096], text[RULES_BYTES_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/rules.json", run_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_because(ERR_NOT_FOUND, why, "portcullis-rules has not reported yet");
	n = read(fd, text, sizeof(text));
	close(fd);
	yyjson_doc *doc = n > 0 ? yyjson_read(text, (size_t)n, 0) : NULL;
	yyjson_val *root = yyjson_doc_get_root(doc);
	bool verified = yyjson_get_bool(yyjson_obj_get(root, "verified"));
	uint64_t at = yyjson_get_uint(yyjson_obj_get(root, "at_unix_ms"));
	const char *error = yyjson_get_str(yyjson_obj_get(root, "error"));
	enum err err = ERR_OK;

	if (!root)
		err = err_because(ERR_MALFORMED, why, "rules.json cannot be read");
	else if (!verified && error && strcmp(error, "removed") == 0)
		err = err_because(ERR_CLOSED, why, "rules were removed");
	else if (clock_unix_ms() > at + RULES_AGE_MAX_MS)
		err = err_because(ERR_STALE, why, "portcullis-rules has not reported for a while");
	else if (!verified)
		err = err_because(ERR_DENIED, why, "rules are not in place: %s",
				  error ? error : "");
	yyjson_doc_free(doc);
	return err;
}
