// SPDX-License-Identifier: GPL-3.0-or-later
// RFC 3339 date-times, as metadata.creationTimestamp is written.
#include "model/read.h"

#include <time.h>

struct clock_text {
	struct slice rest;
	bool bad;
};

static int64_t take_number(struct clock_text *c, size_t digits, int64_t min, int64_t max)
{
	int64_t n = 0;

	if (c->rest.len < digits) {
		c->bad = true;
		return min;
	}
	for (size_t i = 0; i < digits; i++) {
		uint8_t d = c->rest.ptr[i];

		c->bad |= d < '0' || d > '9';
		n = n * 10 + (d - '0');
	}
	c->rest = slice_make(c->rest.ptr + digits, c->rest.len - digits);
	c->bad |= n < min || n > max;
	return n;
}

static uint8_t take_one_of(struct clock_text *c, const char *these)
{
	uint8_t got = c->rest.len > 0 ? c->rest.ptr[0] : 0;

	if (got == 0 || !strchr(these, got)) {
		c->bad = true;
		return 0;
	}
	c->rest = slice_make(c->rest.ptr + 1, c->rest.len - 1);
	return got;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[(month - 1) % 12];
}

// ".123456": any number of digits, of which thousandths count.
static int64_t take_fraction_ms(struct clock_text *c)
{
	int64_t ms = 0;
	size_t n = 0;

	if (c->rest.len == 0 || c->rest.ptr[0] != '.')
		return 0;
	(void)take_one_of(c, ".");
	for (; c->rest.len > 0 && c->rest.ptr[0] >= '0' && c->rest.ptr[0] <= '9'; n++) {
		int64_t digit = take_number(c, 1, 0, 9);

		if (n < 3)
			ms = ms * 10 + digit;
	}
	for (size_t i = n; i < 3; i++)
		ms *= 10;
	c->bad |= n == 0;
	return ms;
}

static int64_t take_offset_s(struct clock_text *c)
{
	uint8_t sign = take_one_of(c, "Zz+-");
	int64_t hours, minutes;

	if (c->bad || sign == 'Z' || sign == 'z')
		return 0;
	hours = take_number(c, 2, 0, 23);
	(void)take_one_of(c, ":");
	minutes = take_number(c, 2, 0, 59);
	return (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
}

bool read_time(struct slice text, int64_t *unix_ms)
{
	struct clock_text c = {.rest = text};
	struct tm t = {0};
	int64_t year, month, ms, offset_s;

	year = take_number(&c, 4, 0, 9999);
	(void)take_one_of(&c, "-");
	month = take_number(&c, 2, 1, 12);
	(void)take_one_of(&c, "-");
	if (c.bad)
		return false;
	t.tm_year = (int)year - 1900;
	t.tm_mon = (int)month - 1;
	t.tm_mday = (int)take_number(&c, 2, 1, days_of_month(year, month));
	(void)take_one_of(&c, "Tt ");
	t.tm_hour = (int)take_number(&c, 2, 0, 23);
	(void)take_one_of(&c, ":");
	t.tm_min = (int)take_number(&c, 2, 0, 59);
	(void)take_one_of(&c, ":");
	t.tm_sec = (int)take_number(&c, 2, 0, 60);
	ms = take_fraction_ms(&c);
	offset_s = take_offset_s(&c);
	if (c.bad || c.rest.len > 0)
		return false;
	*unix_ms = ((int64_t)timegm(&t) - offset_s) * 1000 + ms;
	return true;
}
