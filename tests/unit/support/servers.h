// SPDX-License-Identifier: GPL-3.0-or-later
// What servers take the path of a request target for: small models, written from what each of them does and
// without a look at core/reading. A model edits a text in place; false: the server refuses the target.
#pragma once

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SERVER_TEXT_MAX 256
#define SERVER_BLANKS	" \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0"

static inline int server_octet(const char *s)
{
	char hex[3] = {s[1], s[1] ? s[2] : 0, 0};

	return s[0] == '%' && isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1])
		       ? (int)strtol(hex, NULL, 16)
		       : -1;
}

// All escapes but those of the bytes in keep.
static inline void server_unescape(char *s, const char *keep)
{
	char *to = s;

	for (; *s; s++) {
		int v = server_octet(s);

		if (v > 0 && !strchr(keep, v)) {
			*to++ = (char)v;
			s += 2;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

static inline void server_replace(char *s, char from, char to)
{
	for (; *s; s++)
		*s = *s == from ? to : *s;
}

static inline void server_squeeze(char *s)
{
	char *to = s;

	for (char last = 0; *s; s++) {
		if (*s != '/' || last != '/')
			*to++ = *s;
		last = *s;
	}
	*to = 0;
}

// Every segment through a function that shortens it.
static inline void server_segments(char *s, void (*edit)(char *segment))
{
	char out[SERVER_TEXT_MAX] = "", *rest = s + 1, *one;

	while (*s == '/' && (one = strsep(&rest, "/")) != NULL) {
		edit(one);
		strcat(strcat(out, "/"), one);
	}
	strcpy(s, out);
}

static inline void server_cut_semicolon(char *segment)
{
	segment[strcspn(segment, ";")] = 0;
}

// As the file system of Windows does, with all that anybody calls a blank: "." and ".." mean something first.
static inline void server_trim_windows(char *segment)
{
	size_t len = strlen(segment);

	while (len > 0 && strchr(SERVER_BLANKS, segment[len - 1]))
		segment[--len] = 0;
	if (!strcmp(segment, ".") || !strcmp(segment, ".."))
		return;
	while (len > 0 && strchr("." SERVER_BLANKS, segment[len - 1]))
		segment[--len] = 0;
}

// A stack of segments.
static inline void server_dots(char *s)
{
	char out[SERVER_TEXT_MAX] = "", *rest = s + 1, *one;
	bool open = true;

	while (*s == '/' && (one = strsep(&rest, "/")) != NULL) {
		char *last = strrchr(out, '/');

		open = !strcmp(one, ".") || !strcmp(one, "..");
		if (!strcmp(one, "..") && last)
			*last = 0;
		if (!open)
			strcat(strcat(out, "/"), one);
	}
	if (open)
		strcat(out, "/");
	strcpy(s, out);
}

static inline void server_lower(char *s)
{
	for (; *s; s++)
		*s = (char)tolower((unsigned char)*s);
}

static inline void server_authority(char *s)
{
	if (strncmp(s, "//", 2) == 0) {
		char *path = strchr(s + 2, '/');

		memmove(s, path ? path : "/", strlen(path ? path : "/") + 1);
	}
}

// ---- the servers -------------------------------------------------------------------------------

static inline bool server_raw(char *s)
{
	return *s == '/';
}

static inline bool server_nginx(char *s)
{
	server_unescape(s, "");
	server_squeeze(s);
	server_dots(s);
	return true;
}

static inline bool server_nginx_no_merge(char *s)
{
	server_unescape(s, "");
	server_dots(s);
	return true;
}

// RFC 3986 6.2.2.2: what may be unescaped without a change of meaning.
static inline void server_unescape_unreserved(char *s)
{
	char keep[256];
	size_t n = 0;

	for (int c = 1; c < 256; c++) {
		if (!isalnum(c) && !strchr("-._~", c))
			keep[n++] = (char)c;
	}
	keep[n] = 0;
	server_unescape(s, keep);
}

static inline bool server_apache(char *s)
{
	server_unescape_unreserved(s);
	server_squeeze(s);
	server_dots(s);
	server_unescape(s, "/"); // AllowEncodedSlashes NoDecode
	return true;
}

static inline bool server_apache_decoding(char *s)
{
	server_squeeze(s);
	server_dots(s);
	server_unescape(s, "");
	return true;
}

static inline bool server_tomcat(char *s)
{
	server_segments(s, server_cut_semicolon);
	server_unescape(s, "");
	server_replace(s, '\\', '/');
	server_squeeze(s);
	server_dots(s);
	return true;
}

static inline bool server_tomcat_passthrough(char *s)
{
	server_segments(s, server_cut_semicolon);
	server_unescape(s, "/");
	server_squeeze(s);
	server_dots(s);
	return true;
}

static inline bool server_jetty(char *s)
{
	server_unescape(s, "/");
	server_segments(s, server_cut_semicolon);
	server_dots(s);
	return true;
}

static inline bool server_spring(char *s)
{
	server_segments(s, server_cut_semicolon);
	server_unescape(s, "");
	server_squeeze(s);
	return true;
}

static inline bool server_express(char *s)
{
	server_lower(s);
	return true;
}

static inline bool server_express_static(char *s)
{
	server_unescape(s, "");
	server_squeeze(s);
	server_dots(s);
	server_lower(s);
	return true;
}

// new URL(request.url, base).pathname
static inline bool server_whatwg(char *s)
{
	server_replace(s, '\\', '/');
	server_authority(s);
	for (char *at = s; *at; at++) {
		if (server_octet(at) == '.') {
			*at = '.';
			memmove(at + 1, at + 3, strlen(at + 3) + 1);
		}
	}
	server_dots(s);
	return true;
}

static inline bool server_go(char *s)
{
	server_unescape(s, "");
	server_squeeze(s);
	server_dots(s);
	return true;
}

static inline bool server_iis(char *s)
{
	server_unescape(s, "");
	server_replace(s, '\\', '/');
	server_segments(s, server_trim_windows);
	server_squeeze(s);
	server_dots(s);
	server_lower(s);
	return true;
}

// http.server.translate_path
static inline bool server_python(char *s)
{
	server_unescape(s, "");
	server_squeeze(s);
	server_dots(s);
	return true;
}

// PATH_INFO.strip()
static inline bool server_wsgi_strip(char *s)
{
	server_unescape(s, "");
	for (size_t n = strlen(s); n > 0; n--) {
		unsigned char c = (unsigned char)s[n - 1];

		if (!((c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0))
			break;
		s[n - 1] = 0;
	}
	return *s == '/';
}

// parse_url(REQUEST_URI), then decoded; and decoded, then parsed.
static inline bool server_php(char *s)
{
	server_authority(s);
	server_unescape(s, "");
	return true;
}

static inline bool server_php_decoded_first(char *s)
{
	server_unescape(s, "");
	s[strcspn(s, "?#")] = 0;
	server_authority(s);
	return true;
}

static const struct server {
	const char *name;
	bool (*read)(char *text);
	int decodings;
} servers[] = {
	{"raw", server_raw, 0},
	{"nginx", server_nginx, 1},
	{"nginx, merge_slashes off", server_nginx_no_merge, 1},
	{"Apache, encoded slashes kept", server_apache, 1},
	{"Apache, encoded slashes decoded", server_apache_decoding, 1},
	{"Tomcat", server_tomcat, 1},
	{"Tomcat, encoded slashes passed", server_tomcat_passthrough, 1},
	{"Jetty", server_jetty, 1},
	{"Spring", server_spring, 1},
	{"Express", server_express, 0},
	{"Express, static", server_express_static, 1},
	{"WHATWG URL", server_whatwg, 0},
	{"Go", server_go, 1},
	{"IIS", server_iis, 1},
	{"http.server", server_python, 1},
	{"WSGI, stripped", server_wsgi_strip, 1},
	{"PHP", server_php, 1},
	{"PHP, decoded first", server_php_decoded_first, 1},
};

#define SERVERS (sizeof(servers) / sizeof(servers[0]))

// What the second reads behind the first (or the first alone, for second < 0); false: refused, or more is
// decoded than twice.
static inline bool server_reads(size_t first, int second, const char *target, char *text)
{
	strcpy(text, target);
	if (!servers[first].read(text) || second < 0)
		return text[0] == '/' && second < 0;
	return servers[first].decodings + servers[second].decodings <= 2 && text[0] == '/' &&
	       servers[second].read(text) && text[0] == '/';
}
