// SPDX-License-Identifier: GPL-3.0-or-later
// The list of findings and the order of the checks; see preflight.h.
#include "iptables/preflight.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "common/file.h"

const char *severity_name(enum severity s)
{
	static const char *const names[] = {[SEVERITY_ERROR] = "error",
					    [SEVERITY_WARNING] = "warning",
					    [SEVERITY_INFO] = "info"};

	return names[s];
}

void preflight_add(struct preflight *p, enum severity severity, const char *id, const char *format,
		   ...)
{
	va_list arguments;

	p->errors += severity == SEVERITY_ERROR; // counted also where there is no room
	if (p->count == FINDINGS_MAX)
		return;
	struct finding *f = &p->findings[p->count++];

	f->severity = severity;
	f->id = id;
	va_start(arguments, format);
	vsnprintf(f->text, sizeof(f->text), format, arguments);
	va_end(arguments);
}

int64_t preflight_sysctl(const char *path, int64_t fallback)
{
	uint8_t bytes[32];
	struct buf text;

	buf_init_fixed(&text, bytes, sizeof(bytes) - 1);
	if (file_read(path, sizeof(bytes) - 1, &text) != ERR_OK)
		return fallback;
	bytes[text.len] = 0;
	return strtoll((char *)bytes, NULL, 10);
}

enum err preflight_run(const struct rules_config *c, struct rules *r, struct preflight *out)
{
	out->config = c;
	out->rules = r;
	out->count = out->errors = 0;
	enum err err = host_links_load(r->route_fd, c, &out->links);

	if (err != ERR_OK)
		return err;
	preflight_host(out);
	preflight_neighbours(out);
	preflight_extensions(out);
	return ERR_OK;
}
