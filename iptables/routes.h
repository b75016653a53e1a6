// SPDX-License-Identifier: GPL-3.0-or-later
// The routing half of TPROXY: what carries our mark is delivered locally, whatever its destination.
//
//   rule_pref      fwmark M iif lo → go to rule_pref + 2
//   rule_pref + 1  fwmark M        → the table with "local default dev lo"
//   rule_pref + 2  nop
//
// The first rule takes out what the node sends itself (the proxy's own sockets carry the same mark)
// and the kernel's reverse-path check, which asks with iif lo: so src_valid_mark=1 with rp_filter=1,
// which wg-quick sets and which otherwise breaks every captured flow, does no harm.
#pragma once

#include "iptables/rules_config.h"

// fd: a NETLINK_ROUTE socket. Is all of it there? ERR_NOT_FOUND with what is missing; ERR_EXISTS:
// somebody else's rule or route stands where ours belongs.
enum err must_check routes_check(int fd, const struct routing *r, enum family f,
				 struct reason *why);
// Puts in what is missing.
enum err must_check routes_put(int fd, const struct routing *r, enum family f, struct reason *why);
// Takes out exactly what routes_put makes; what is not there is no error.
enum err must_check routes_remove(int fd, const struct routing *r, enum family f,
				  struct reason *why);

// A socket that becomes readable when rules or routes change. routes_events_drain reads what is there:
// true where it may concern ours, or where the kernel had to leave out events.
enum err must_check routes_events_open(int *fd);
bool routes_events_drain(int fd, const struct routing *r);
