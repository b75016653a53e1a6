// SPDX-License-Identifier: GPL-3.0-or-later
// Addresses and networks; see addr.h.
#include "common/addr.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool addr_is_none(struct addr a)
{
	static const struct addr none;

	return addr_eq(a, none);
}

bool addr_is_v4(struct addr a)
{
	return memcmp(a.bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool addr_eq(struct addr a, struct addr b)
{
	return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

bool addr_is_loopback(struct addr a)
{
	static const struct addr v6 = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};

	return addr_is_v4(a) ? a.bytes[12] == 127 : addr_eq(a, v6);
}

bool addr_is_link_local(struct addr a)
{
	if (addr_is_v4(a))
		return a.bytes[12] == 169 && a.bytes[13] == 254;
	return a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80;
}

bool addr_is_multicast(struct addr a)
{
	return addr_is_v4(a) ? (a.bytes[12] & 0xf0) == 0xe0 : a.bytes[0] == 0xff;
}

struct addr addr_from_v4(uint32_t host_order)
{
	struct addr a;

	memcpy(a.bytes, v4_prefix, sizeof(v4_prefix));
	for (int i = 0; i < 4; i++)
		a.bytes[12 + i] = (uint8_t)(host_order >> (24 - 8 * i));
	return a;
}

uint32_t addr_to_v4(struct addr a)
{
	return (uint32_t)a.bytes[12] << 24 | (uint32_t)a.bytes[13] << 16 |
	       (uint32_t)a.bytes[14] << 8 | a.bytes[15];
}

enum err addr_parse(struct slice text, struct addr *out)
{
	char copy[ADDR_TEXT_MAX];
	struct in_addr v4;

	// inet_pton is strict: four decimal parts without leading zeros, no zone, no space.
	if (text.len == 0 || text.len >= sizeof(copy) || slice_find(text, 0) < text.len)
		return ERR_MALFORMED;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	if (inet_pton(AF_INET, copy, &v4) == 1) {
		*out = addr_from_v4(ntohl(v4.s_addr));
		return ERR_OK;
	}
	return inet_pton(AF_INET6, copy, out->bytes) == 1 ? ERR_OK : ERR_MALFORMED;
}

static enum err prefix_parse(struct slice text, uint32_t max, uint32_t *out)
{
	uint32_t v = 0;

	if (text.len == 0 || text.len > 3 || (text.len > 1 && text.ptr[0] == '0'))
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return ERR_MALFORMED;
		v = v * 10 + (uint32_t)(text.ptr[i] - '0');
	}
	*out = v;
	return v <= max ? ERR_OK : ERR_RANGE;
}

static struct addr addr_mask(struct addr a, uint32_t bits)
{
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t keep = bits > i * 8 ? bits - i * 8 : 0;

		if (keep < 8)
			a.bytes[i] &= (uint8_t)(0xff00u >> keep);
	}
	return a;
}

enum err cidr_parse(struct slice text, bool allow_host_bits, struct cidr *out)
{
	size_t slash = slice_find(text, '/');
	struct addr a;
	enum err err = addr_parse(slice_make(text.ptr, slash), &a);

	if (err != ERR_OK)
		return err;
	// A mapped address in IPv6 spelling counts its prefix in 128 bits, a dotted one in 32.
	bool dotted = slice_find(slice_make(text.ptr, slash), ':') == slash;
	uint32_t bits = dotted ? 32 : 128;

	if (slash < text.len)
		err = prefix_parse(slice_make(text.ptr + slash + 1, text.len - slash - 1), bits,
				   &bits);
	if (err != ERR_OK)
		return err;
	out->bits = (uint8_t)(dotted ? bits + 96 : bits);
	out->addr = addr_mask(a, out->bits);
	return allow_host_bits || addr_eq(out->addr, a) ? ERR_OK : ERR_RANGE;
}

bool cidr_is_v4(struct cidr c)
{
	return c.bits >= 96 && addr_is_v4(c.addr);
}

bool cidr_contains(struct cidr c, struct addr a)
{
	// ::/0 is all of IPv6, and no IPv4 address, though the one form could hold both.
	if (addr_is_v4(a) != cidr_is_v4(c))
		return false;
	return addr_eq(addr_mask(a, c.bits), c.addr);
}

char *addr_format(struct addr a, char text[ADDR_TEXT_MAX])
{
	if (addr_is_v4(a))
		inet_ntop(AF_INET, a.bytes + 12, text, ADDR_TEXT_MAX);
	else
		inet_ntop(AF_INET6, a.bytes, text, ADDR_TEXT_MAX);
	return text;
}

char *addr_port_format(struct addr_port a, char text[ADDR_PORT_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];

	snprintf(text, ADDR_PORT_TEXT_MAX, addr_is_v4(a.addr) ? "%s:%u" : "[%s]:%u",
		 addr_format(a.addr, ip), a.port);
	return text;
}

char *cidr_format(struct cidr c, char text[ADDR_TEXT_MAX + 4])
{
	char ip[ADDR_TEXT_MAX];
	bool v4 = addr_is_v4(c.addr) && c.bits >= 96;

	snprintf(text, ADDR_TEXT_MAX + 4, "%s/%u", addr_format(c.addr, ip),
		 v4 ? c.bits - 96u : c.bits);
	return text;
}
