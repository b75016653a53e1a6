// SPDX-License-Identifier: GPL-3.0-or-later
// The canonical path: examples, attacks, and properties over random targets; host names; matches.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "core/match.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define ROUNDS	    200000

static enum err canonical(struct slice target, uint8_t *out, struct slice *path, bool *changed)
{
	struct slice query;

	return path_canonicalize(target, out, PATH_BYTES_MAX, path, &query, changed);
}

static void test_paths(void **state)
{
	static const struct {
		const char *target;
		const char *path;
	} rows[] = {
		{"/", "/"},
		{"/a", "/a"},
		{"/a/b/", "/a/b/"},
		{"//", "/"},
		{"///a///b//", "/a/b/"},
		{"/./a", "/a"},
		{"/a/.", "/a/"},
		{"/a/./b", "/a/b"},
		{"/a/..", "/"},
		{"/a/../b", "/b"},
		{"/a/b/../../c", "/c"},
		{"/a/b/..", "/a/"},
		{"/..", "/"},
		{"/../../a", "/a"},
		{"/a//../b", "/b"}, // merged first: ".." takes "a" with it, not an empty segment
		{"/a/%2e%2e/admin", "/admin"},
		{"/a/%2E%2e/admin", "/admin"},
		{"/a/.%2e/admin", "/admin"},
		{"/%61dmin", "/admin"},
		{"/%2e/admin", "/admin"},
		{"/a/...", "/a/..."},
		{"/a/..b", "/a/..b"},
		{"/.a/b.", "/.a/b."},
		{"/a%20b", "/a%20b"},
		{"/a%c3%a4", "/a%C3%A4"},
		{"/%7Euser/%2d%5f", "/~user/-_"},
		{"/a%252e%252e/b", "/a%252e%252e/b"}, // decoded once only
		{"/a%3fb", "/a%3Fb"},
		{"/a%23b", "/a%23b"},
		{"/a;x=1/b", "/a;x=1/b"},
		{"/a:b@c,d!e$f&g'h(i)*+=", "/a:b@c,d!e$f&g'h(i)*+="},
		{"/a[b]{c}|^\"<>`", "/a[b]{c}|^\"<>`"},
		{"/...;x", "/...;x"},
		{"/a..;x", "/a..;x"},
		{"/%01%7f", "/%01%7F"},
		{"/%e4%f6", "/%E4%F6"},	    // Latin-1
		{"/a%2fb%5c", "/a%2Fb%5C"}, // of what servers differ on nothing is decided here
		{"/a\\b", "/a\\b"},
		{"/a/..;/b", "/a/..;/b"},
		{"/%c0x", "/%C0x"},
		{"/%c2%80%ed%9f%bf%f4%8f%bf%bf", "/%C2%80%ED%9F%BF%F4%8F%BF%BF"},
		{"/%e0%a0%80%f0%90%80%80", "/%E0%A0%80%F0%90%80%80"}, // the shortest there are
	};
	uint8_t out[PATH_BYTES_MAX];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice path, target = slice_str(rows[i].target);
		bool changed;

		assert_int_equal(canonical(target, out, &path, &changed), ERR_OK);
		if (!slice_eq_str(path, rows[i].path))
			fail_msg("%s gives %.*s", rows[i].target, SLICE_ARG(path));
		assert_int_equal(changed, strcmp(rows[i].target, rows[i].path) != 0);
	}
}

static void test_paths_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"a",
		"*",
		"?",
		"http://a/",
		"/%",
		"/%a",
		"/%2",
		"/%zz",
		"/%2g",
		"/%00",
		"/a%00.html",
		"/a#b",
		"/a b",
		"/a\tb",
		"/a\x7f",
		"/a\x80",
		"/\xc3\xa4",
		"/a\x01",
		"/a?b#c",
		"/a?b c",
		"/a?\x01",
		"/a?\xc3",
		"/%%32e",
		// a dot, a slash, a letter, in more bytes than they need
		"/%c0%ae",
		"/%C0%AF",
		"/%c1%a1",
		"/%e0%80%af",
		"/%e0%9f%bf",
		"/%f0%80%80%af",
		"/%f0%8f%bf%bf",
		"/%f8%80%80%80%af",
		"/%fc%80%80%80%80%af",
		"/a/%c0%ae%c0%ae/b",
	};
	uint8_t out[PATH_BYTES_MAX];
	struct slice path;
	bool changed;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (canonical(slice_str(bad[i]), out, &path, &changed) != ERR_MALFORMED)
			fail_msg("%s is not refused", bad[i]);
	}
	assert_int_equal(canonical(SLICE_LIT("/a\0b"), out, &path, &changed), ERR_MALFORMED);
}

static void test_path_limits(void **state)
{
	uint8_t target[PATH_BYTES_MAX + 8], out[PATH_BYTES_MAX + 8];
	struct slice path, query;
	bool changed;

	(void)state;
	memset(target, 'a', sizeof(target));
	target[0] = '/';
	assert_int_equal(path_canonicalize(slice_make(target, PATH_BYTES_MAX), out, sizeof(out),
					   &path, &query, &changed),
			 ERR_OK);
	assert_int_equal(path.len, PATH_BYTES_MAX);
	assert_int_equal(path_canonicalize(slice_make(target, PATH_BYTES_MAX + 1), out, sizeof(out),
					   &path, &query, &changed),
			 ERR_TOO_LARGE);
	assert_int_equal(path_canonicalize(slice_make(target, 10), out, 9, &path, &query, &changed),
			 ERR_TOO_LARGE);
	// The query does not count.
	target[5] = '?';
	assert_int_equal(path_canonicalize(slice_make(target, sizeof(target)), out, 5, &path,
					   &query, &changed),
			 ERR_OK);
	assert_true(slice_eq_str(path, "/aaaa"));
	assert_int_equal(query.len, sizeof(target) - 5);
	assert_ptr_equal(query.ptr, target + 5);
	assert_false(changed);
}

static void test_query(void **state)
{
	static const char target[] = "/a/../b?x=%2F/../%zz?y";
	uint8_t out[64];
	struct slice path, query;
	bool changed;

	(void)state;
	assert_int_equal(path_canonicalize(slice_str(target), out, sizeof(out), &path, &query,
					   &changed),
			 ERR_OK);
	assert_true(slice_eq_str(path, "/b"));
	assert_true(slice_eq_str(query, "?x=%2F/../%zz?y"));
	assert_true(changed);
}

// ---- properties --------------------------------------------------------------------------------

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

// Pieces that matter, so that random targets meet every branch.
static size_t random_target(uint64_t *seed, uint8_t *out, size_t max)
{
	static const char *const pieces[] = {
		"/",	 "/",	"/",   ".",  "..",   "/../", "/./", "//",     "%2e", "%2E",
		"%2f",	 "%5c", "%00", "%",  "%4",   "%41",  "%7e", "%c3%A4", "a",   "b",
		"admin", ";",	"%3b", "\\", "#",    "?",    "%25", "%252e",  "~",   "_",
		"-",	 ":",	"@",   " ",  "\x7f", "\xff", "0",   "%30",    "%2d",
	};
	size_t len = 0;
	uint64_t count = next_random(seed) % 12;

	out[len++] = next_random(seed) % 32 ? '/' : 'x';
	for (uint64_t i = 0; i < count; i++) {
		const char *p = pieces[next_random(seed) % COUNT(pieces)];
		size_t n = strlen(p);

		if (len + n > max)
			break;
		memcpy(out + len, p, n);
		len += n;
	}
	return len;
}

static bool contains(struct slice s, const char *text)
{
	return memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

// Decoding finds no NUL and nothing that should have been decoded; dot segments and empty ones are gone.
static void check_decoded(struct slice path)
{
	uint8_t plain[PATH_BYTES_MAX + 2];
	size_t n = 0;

	for (size_t i = 0; i < path.len; i++) {
		uint8_t c = path.ptr[i];

		if (c == '%') {
			char hex[3] = {(char)path.ptr[i + 1], (char)path.ptr[i + 2], 0};

			c = (uint8_t)strtol(hex, NULL, 16);
			assert_true(c != 0);
			// Encoded unreserved characters are gone.
			assert_false((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				     (c >= '0' && c <= '9') || strchr("-._~", c));
			assert_true(strchr("0123456789ABCDEF", hex[0]) != NULL);
			assert_true(strchr("0123456789ABCDEF", hex[1]) != NULL);
			i += 2;
		}
		plain[n++] = c;
	}
	assert_false(contains(path, "//") || contains(path, "/./") || contains(path, "/../"));
	assert_false(n >= 2 && memcmp(plain + n - 2, "/.", 2) == 0 && path.len == n);
	assert_false(n >= 3 && memcmp(plain + n - 3, "/..", 3) == 0 && path.len == n);
}

static void test_properties(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15ull;
	uint32_t accepted = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		uint8_t target[64], out[64], again[64];
		size_t len = random_target(&seed, target, sizeof(target));
		struct slice path, query, path2, query2;
		bool changed, changed2;

		if (path_canonicalize(slice_make(target, len), out, sizeof(out), &path, &query,
				      &changed) != ERR_OK)
			continue;
		accepted++;
		assert_true(path.len > 0 && path.ptr[0] == '/');
		assert_true(path.len + query.len <= len);
		assert_int_equal(changed, path.len + query.len != len ||
						  memcmp(path.ptr, target, path.len) != 0);
		check_decoded(path);
		// A fixed point.
		assert_int_equal(path_canonicalize(path, again, sizeof(again), &path2, &query2,
						   &changed2),
				 ERR_OK);
		assert_true(slice_eq(path, path2));
		assert_false(changed2);
		assert_int_equal(query2.len, 0);
	}
	assert_in_range(accepted, ROUNDS / 10, ROUNDS);
}

// ---- hosts -------------------------------------------------------------------------------------

static void test_hosts(void **state)
{
	static const struct {
		const char *host;
		const char *name; // NULL: refused
	} rows[] = {
		{"", ""},
		{"example.com", "example.com"},
		{"EXAMPLE.com:8080", "example.com"},
		{"example.com.", "example.com"},
		{"example.com.:80", "example.com"},
		{"example.com:", "example.com"},
		{"a_b-c", "a_b-c"},
		{"10.0.0.1:80", "10.0.0.1"},
		{"[::1]", "[::1]"},
		{"[0:0:0:0:0:0:0:1]:80", "[::1]"},
		{"[FD00::A]", "[fd00::a]"},
		{"[::ffff:10.0.0.1]", "10.0.0.1"},
		{"example.com..", NULL},
		{".", NULL},
		{":80", NULL},
		{".example.com", NULL},
		{"a..b", NULL},
		{"example.com:80:80", NULL},
		{"example.com:x", NULL},
		{"example.com:65536", NULL},
		{"example.com:065536", NULL},
		{"user@example.com", NULL},
		{"%65xample.com", NULL},
		{"example.com/x", NULL},
		{"a,b", NULL},
		{"a b", NULL},
		{"a\\b", NULL},
		{"\xc3\xa4.example", NULL},
		{"[::1", NULL},
		{"[::1]x", NULL},
		{"[::1]:x", NULL},
		{"[10.0.0.1]", NULL},
		{"[]", NULL},
		{"[fe80::1%eth0]", NULL},
		{"::1", NULL},
	};
	uint8_t out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice name;
		enum err err = host_canonicalize(slice_str(rows[i].host), out, sizeof(out), &name);

		if (err != (rows[i].name ? ERR_OK : ERR_MALFORMED))
			fail_msg("%s: %s", rows[i].host, err_name(err));
		if (rows[i].name && !slice_eq_str(name, rows[i].name))
			fail_msg("%s gives %.*s", rows[i].host, SLICE_ARG(name));
	}
}

static void test_host_limits(void **state)
{
	uint8_t host[HOST_BYTES_MAX + 8], out[HOST_BYTES_MAX + 8];
	struct slice name;

	(void)state;
	memset(host, 'a', sizeof(host));
	assert_int_equal(host_canonicalize(slice_make(host, HOST_BYTES_MAX), out, sizeof(out),
					   &name),
			 ERR_OK);
	assert_int_equal(host_canonicalize(slice_make(host, HOST_BYTES_MAX + 1), out, sizeof(out),
					   &name),
			 ERR_TOO_LARGE);
	assert_int_equal(host_canonicalize(slice_make(host, 10), out, 9, &name), ERR_TOO_LARGE);
	assert_int_equal(host_canonicalize(SLICE_LIT("[::1]"), out, 4, &name), ERR_TOO_LARGE);
}

// ---- matches -----------------------------------------------------------------------------------

static void test_path_match(void **state)
{
	static const struct {
		enum path_match_type type;
		const char *value;
		const char *path;
		bool matches;
	} rows[] = {
		{PATH_EXACT, "/a", "/a", true},	    {PATH_EXACT, "/a", "/a/", false},
		{PATH_EXACT, "/a", "/ab", false},   {PATH_EXACT, "/a", "/A", false},
		{PATH_PREFIX, "/a", "/a", true},    {PATH_PREFIX, "/a", "/a/", true},
		{PATH_PREFIX, "/a", "/a/b", true},  {PATH_PREFIX, "/a", "/ab", false},
		{PATH_PREFIX, "/a/", "/a", true},   {PATH_PREFIX, "/a/", "/a/b", true},
		{PATH_PREFIX, "/a/", "/ab", false}, {PATH_PREFIX, "/", "/", true},
		{PATH_PREFIX, "/", "/x/y", true},   {PATH_PREFIX, "/a/b", "/a", false},
		{PATH_PREFIX, "/", "*", false},	    {PATH_PREFIX, "/", "", false},
		{PATH_REGEX, "/a", "/a", false},    {PATH_REGEX, ".*", "/a", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ss_path_match m = {rows[i].type, slice_str(rows[i].value)};

		if (path_match(&m, slice_str(rows[i].path)) != rows[i].matches)
			fail_msg("%s %s", rows[i].value, rows[i].path);
	}
}

static void test_host_match(void **state)
{
	static const struct {
		const char *pattern;
		const char *host;
		bool matches;
	} rows[] = {
		{"a.example", "a.example", true},
		{"a.example", "b.a.example", false},
		{"*.example", "a.example", true},
		{"*.example", "a.b.example", true},
		{"*.example", "example", false},
		{"*.example", ".example", false},
		{"*.example", "aexample", false},
		{"*.example", "a.examples", false},
		{"*", "a", false},
		{"*.", "a.", false},
		{"", "", false},
		{"a*.example", "ab.example", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (host_match(slice_str(rows[i].pattern), slice_str(rows[i].host)) !=
		    rows[i].matches)
			fail_msg("%s %s", rows[i].pattern, rows[i].host);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),	    cmocka_unit_test(test_paths_refused),
		cmocka_unit_test(test_path_limits), cmocka_unit_test(test_query),
		cmocka_unit_test(test_properties),  cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_host_limits), cmocka_unit_test(test_path_match),
		cmocka_unit_test(test_host_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
