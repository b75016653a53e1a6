// SPDX-License-Identifier: GPL-3.0-or-later
// Names of errors and the one way to give a reason; see err.h.
#include "common/err.h"

#include <stdarg.h>
#include <stdio.h>

const char *err_name(enum err e)
{
	static const char *const names[ERR_COUNT] = {
		[ERR_OK] = "ok",
		[ERR_AGAIN] = "again",
		[ERR_NOMEM] = "no_memory",
		[ERR_FULL] = "full",
		[ERR_MALFORMED] = "malformed",
		[ERR_TOO_LARGE] = "too_large",
		[ERR_RANGE] = "out_of_range",
		[ERR_NOT_FOUND] = "not_found",
		[ERR_EXISTS] = "exists",
		[ERR_UNSUPPORTED] = "unsupported",
		[ERR_VERSION] = "version",
		[ERR_STALE] = "stale",
		[ERR_DENIED] = "denied",
		[ERR_EXPIRED] = "expired",
		[ERR_SIGNATURE] = "signature",
		[ERR_CLOSED] = "closed",
		[ERR_IO] = "io",
		[ERR_CRYPTO] = "crypto",
		[ERR_CONFIG] = "config",
		[ERR_INTERNAL] = "internal",
	};

	return (unsigned int)e < ERR_COUNT ? names[e] : "invalid";
}

enum err err_because(enum err e, struct reason *why, const char *format, ...)
{
	va_list arguments;

	if (!why)
		return e;
	va_start(arguments, format);
	vsnprintf(why->text, sizeof(why->text), format, arguments);
	va_end(arguments);
	return e;
}
