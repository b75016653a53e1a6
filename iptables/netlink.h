// SPDX-License-Identifier: GPL-3.0-or-later
// Netlink messages: building, sending, reading answers and dumps. One request at a time on a socket;
// knows nothing of what the messages mean. Callers: routes.c, nftables.c, conntrack.c, host_links.c.
#pragma once

#include <linux/netlink.h>
#include "common/buf.h"

#define NETLINK_REQUEST_BYTES_MAX 16384

// Sockets of this process's network namespace. groups: multicast groups by number (up to 8 of them,
// 0 ends the list); NULL: none. ERR_IO with errno; ERR_UNSUPPORTED: the kernel has no such protocol.
enum err must_check netlink_open(int protocol, const uint32_t *groups, int *fd);

// A request under construction over a caller's array.
struct netlink_request {
	struct buf buf;
	uint8_t bytes[NETLINK_REQUEST_BYTES_MAX];
	size_t message;	   // offset of the message that is being built
	uint32_t first;	   // sequence numbers of this request: answers to earlier ones are skipped
	uint32_t sequence; // the message whose acknowledgement ends the answer
};

void netlink_request_init(struct netlink_request *r);
// Starts a message; flags beside NLM_F_REQUEST. header: the protocol's fixed part.
void netlink_begin(struct netlink_request *r, uint16_t type, uint16_t flags, const void *header,
		   size_t header_len);
void netlink_put(struct netlink_request *r, uint16_t type, const void *value, size_t len);
void netlink_put_u8(struct netlink_request *r, uint16_t type, uint8_t v);
void netlink_put_u32(struct netlink_request *r, uint16_t type, uint32_t v);
void netlink_put_be32(struct netlink_request *r, uint16_t type, uint32_t v);
void netlink_put_str(struct netlink_request *r, uint16_t type, const char *v);
size_t netlink_nest(struct netlink_request *r, uint16_t type);
void netlink_nest_end(struct netlink_request *r, size_t nest);
void netlink_end(struct netlink_request *r);

// Called for each message of an answer or dump.
typedef void netlink_on_message(const struct nlmsghdr *m, void *context);

// Sends what was built and reads until the kernel has acknowledged the last message (NLM_F_ACK) or
// ended the dump. The kernel's refusal comes back as ERR_NOT_FOUND (ENOENT, ESRCH), ERR_EXISTS,
// ERR_UNSUPPORTED, ERR_DENIED, or ERR_IO, with errno; no answer within 10 s is ERR_IO.
enum err must_check netlink_talk(int fd, struct netlink_request *r, netlink_on_message *on_message,
				 void *context);

// Takes the next whole message off what was received; NULL at the end. rest must be aligned as
// struct nlmsghdr.
const struct nlmsghdr *netlink_next(struct slice *rest);

// Iterates attributes: start with *at = first; false at the end or where they are malformed.
bool netlink_attribute(struct slice *rest, uint16_t *type, struct slice *value);
// The attributes of a message behind its fixed part of header_len bytes.
struct slice netlink_attributes(const struct nlmsghdr *m, size_t header_len);
// Finds one attribute. Empty where absent.
struct slice netlink_find(struct slice attributes, uint16_t type);
uint32_t netlink_u32(struct slice value); // 0 where it has another size
uint32_t netlink_be32(struct slice value);
bool netlink_is_str(struct slice value, const char *text);
