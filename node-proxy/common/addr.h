// SPDX-License-Identifier: GPL-3.0-or-later
// IP addresses, networks and endpoints in one 16-byte form: IPv4 is ::ffff:a.b.c.d, so that one
// table and one comparison serve both families. Pure; sockaddr conversion lives in io/sock.
#pragma once

#include <netinet/in.h>
#include "common/err.h"
#include "common/slice.h"

struct addr {
	uint8_t bytes[16]; // network order; all zero is "none"
};

struct addr_port {
	struct addr addr;
	uint16_t port; // host order
};

// A network. bits counts in the 128-bit form: 10.0.0.0/8 has bits = 104.
struct cidr {
	struct addr addr; // host bits are zero
	uint8_t bits;
};

#define ADDR_TEXT_MAX	   46 // INET6_ADDRSTRLEN
#define ADDR_PORT_TEXT_MAX 56 // [addr]:port

bool addr_is_none(struct addr a);
bool addr_is_v4(struct addr a);
bool addr_eq(struct addr a, struct addr b);
bool addr_is_loopback(struct addr a);
bool addr_is_link_local(struct addr a);
bool addr_is_multicast(struct addr a);
struct addr addr_from_v4(uint32_t host_order);
// The IPv4 form in host order; only where addr_is_v4.
uint32_t addr_to_v4(struct addr a);

// Strict text forms: no leading zeros in IPv4 (10.010.0.1 is refused, RFC 6943 3.1.1), no zone,
// no surrounding space. ERR_MALFORMED.
enum err must_check addr_parse(struct slice text, struct addr *out);
// "a.b.c.d/n", "x::/n", or a bare address as a host network. Host bits must be zero unless
// allow_host_bits (they are then cleared). ERR_MALFORMED, ERR_RANGE.
enum err must_check cidr_parse(struct slice text, bool allow_host_bits, struct cidr *out);
bool cidr_is_v4(struct cidr c);
// An IPv6 network never contains an IPv4 address.
bool cidr_contains(struct cidr c, struct addr a);
// Canonical text (RFC 5952; IPv4 dotted), NUL-terminated into text; returns text.
char *addr_format(struct addr a, char text[ADDR_TEXT_MAX]);
char *addr_port_format(struct addr_port a, char text[ADDR_PORT_TEXT_MAX]);
char *cidr_format(struct cidr c, char text[ADDR_TEXT_MAX + 4]);
