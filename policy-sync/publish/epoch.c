// SPDX-License-Identifier: GPL-3.0-or-later
// One number in one file.
#include "publish/epoch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/file.h"
#include "common/log.h"

#define EPOCH_TEXT_MAX 32

enum err epoch_take(const char *path, int64_t now_unix_s, uint64_t *out, struct reason *why)
{
	uint64_t epoch = now_unix_s > 0 ? (uint64_t)now_unix_s : 1;
	uint8_t text[EPOCH_TEXT_MAX + 1] = {0};
	char next[EPOCH_TEXT_MAX];
	uint64_t last = 0;
	struct buf b;
	enum err e;

	buf_init_fixed(&b, text, EPOCH_TEXT_MAX);
	e = file_read(path, EPOCH_TEXT_MAX, &b);
	if (e == ERR_OK && sscanf((const char *)text, "%" SCNu64 "\n", &last) != 1)
		e = ERR_MALFORMED;
	if (e && e != ERR_NOT_FOUND)
		log_event(LOG_WARN, "epoch_unreadable", LOG_S("path", path),
			  LOG_S("error", err_name(e)));
	// A clock that went backwards must not bring an old number back.
	if (last >= epoch && last < UINT64_MAX)
		epoch = last + 1;
	snprintf(next, sizeof(next), "%" PRIu64 "\n", epoch);
	e = file_write(path, 0600, slice_str(next));
	if (e)
		return err_because(e, why, "cannot write %s: %s", path, strerror(errno));
	*out = epoch;
	return ERR_OK;
}
