// SPDX-License-Identifier: GPL-3.0-or-later
// Netlink's framing; see netlink.h.
#include "iptables/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define RECEIVE_BYTES_MAX 65536
#define GROUPS_MAX	  8
#define ANSWER_TIMEOUT_S  10

enum err netlink_open(int protocol, const uint32_t *groups, int *out)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct timeval patience = {.tv_sec = ANSWER_TIMEOUT_S};
	int on = 1;

	if (fd < 0)
		return errno == EPROTONOSUPPORT ? ERR_UNSUPPORTED : ERR_IO;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		goto out;
	// A dump's filter is honoured, not ignored.
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	for (int i = 0; groups && i < GROUPS_MAX && groups[i]; i++) {
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			       sizeof(groups[i])) < 0)
			goto out;
	}
	*out = fd;
	return ERR_OK;
out:
	close(fd);
	return ERR_IO;
}

// Never the same number twice in a process (one thread): a refused transaction leaves answers behind
// that the next request must not take for its own.
static uint32_t last_sequence;

void netlink_request_init(struct netlink_request *r)
{
	buf_init_fixed(&r->buf, r->bytes, sizeof(r->bytes));
	r->message = 0;
	r->first = last_sequence + 1;
	r->sequence = last_sequence;
}

static void align(struct buf *b)
{
	static const uint8_t zero[NLMSG_ALIGNTO];

	buf_put(b, zero, NLMSG_ALIGN(b->len) - b->len);
}

void netlink_begin(struct netlink_request *r, uint16_t type, uint16_t flags, const void *header,
		   size_t header_len)
{
	struct nlmsghdr m = {.nlmsg_type = type,
			     .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
			     .nlmsg_seq = ++last_sequence};

	r->sequence = m.nlmsg_seq;
	r->message = r->buf.len;
	buf_put(&r->buf, &m, sizeof(m));
	buf_put(&r->buf, header, header_len);
	align(&r->buf);
}

void netlink_put(struct netlink_request *r, uint16_t type, const void *value, size_t len)
{
	struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};

	buf_put(&r->buf, &a, sizeof(a));
	buf_put(&r->buf, value, len);
	align(&r->buf);
}

void netlink_put_u8(struct netlink_request *r, uint16_t type, uint8_t v)
{
	netlink_put(r, type, &v, sizeof(v));
}

void netlink_put_u32(struct netlink_request *r, uint16_t type, uint32_t v)
{
	netlink_put(r, type, &v, sizeof(v));
}

void netlink_put_be32(struct netlink_request *r, uint16_t type, uint32_t v)
{
	netlink_put_u32(r, type, htonl(v));
}

void netlink_put_str(struct netlink_request *r, uint16_t type, const char *v)
{
	netlink_put(r, type, v, strlen(v) + 1);
}

size_t netlink_nest(struct netlink_request *r, uint16_t type)
{
	size_t nest = r->buf.len;

	netlink_put(r, type | NLA_F_NESTED, NULL, 0);
	return nest;
}

void netlink_nest_end(struct netlink_request *r, size_t nest)
{
	if (r->buf.err == ERR_OK)
		((struct nlattr *)(void *)(r->bytes + nest))->nla_len =
			(uint16_t)(r->buf.len - nest);
}

void netlink_end(struct netlink_request *r)
{
	if (r->buf.err == ERR_OK)
		((struct nlmsghdr *)(void *)(r->bytes + r->message))->nlmsg_len =
			(uint32_t)(r->buf.len - r->message);
}

static enum err refusal(int error)
{
	errno = error;
	switch (error) {
	case ENOENT:
	case ESRCH:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EOPNOTSUPP:
	case EPROTONOSUPPORT:
	case EAFNOSUPPORT:
		return ERR_UNSUPPORTED;
	case EPERM:
	case EACCES:
		return ERR_DENIED;
	default:
		return ERR_IO;
	}
}

// One message of an answer. ERR_AGAIN: more follow.
static enum err take_message(const struct nlmsghdr *m, const struct netlink_request *r,
			     netlink_on_message *on_message, void *context)
{
	if ((int32_t)(m->nlmsg_seq - r->first) < 0)
		return ERR_AGAIN;
	if (m->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = NLMSG_DATA(m);

		if (e->error)
			return refusal(-e->error);
		return m->nlmsg_seq == r->sequence ? ERR_OK : ERR_AGAIN;
	}
	if (m->nlmsg_type == NLMSG_DONE)
		return m->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) && *(int *)NLMSG_DATA(m) < 0
			       ? refusal(-*(int *)NLMSG_DATA(m))
			       : ERR_OK;
	if (on_message)
		on_message(m, context);
	return ERR_AGAIN;
}

const struct nlmsghdr *netlink_next(struct slice *rest)
{
	const struct nlmsghdr *m = (const void *)rest->ptr;

	if (rest->len < sizeof(*m) || m->nlmsg_len < sizeof(*m) || m->nlmsg_len > rest->len)
		return NULL;
	size_t step = NLMSG_ALIGN((size_t)m->nlmsg_len);

	if (step > rest->len)
		step = rest->len;
	*rest = slice_make(rest->ptr + step, rest->len - step);
	return m;
}

enum err netlink_talk(int fd, struct netlink_request *r, netlink_on_message *on_message,
		      void *context)
{
	static _Alignas(struct nlmsghdr) uint8_t bytes[RECEIVE_BYTES_MAX];

	if (r->buf.err != ERR_OK)
		return r->buf.err;
	if (send(fd, r->bytes, r->buf.len, 0) < 0)
		return ERR_IO;
	for (;;) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		struct slice rest = slice_make(bytes, (size_t)n);

		for (const struct nlmsghdr *m; (m = netlink_next(&rest));) {
			enum err err = take_message(m, r, on_message, context);

			if (err != ERR_AGAIN)
				return err;
		}
	}
}

bool netlink_attribute(struct slice *rest, uint16_t *type, struct slice *value)
{
	struct nlattr a;

	if (rest->len < sizeof(a))
		return false;
	memcpy(&a, rest->ptr, sizeof(a));
	if (a.nla_len < NLA_HDRLEN || a.nla_len > rest->len)
		return false;
	size_t step = (size_t)NLA_ALIGN(a.nla_len);

	if (step > rest->len)
		step = rest->len;
	*type = a.nla_type & NLA_TYPE_MASK;
	*value = slice_make(rest->ptr + NLA_HDRLEN, a.nla_len - NLA_HDRLEN);
	*rest = slice_make(rest->ptr + step, rest->len - step);
	return true;
}

struct slice netlink_attributes(const struct nlmsghdr *m, size_t header_len)
{
	size_t skip = NLMSG_ALIGN(header_len);

	if (m->nlmsg_len < NLMSG_HDRLEN + skip)
		return (struct slice){0};
	return slice_make((const uint8_t *)m + NLMSG_HDRLEN + skip,
			  m->nlmsg_len - NLMSG_HDRLEN - skip);
}

struct slice netlink_find(struct slice attributes, uint16_t wanted)
{
	struct slice value;
	uint16_t type;

	while (netlink_attribute(&attributes, &type, &value)) {
		if (type == wanted)
			return value;
	}
	return (struct slice){0};
}

uint32_t netlink_u32(struct slice value)
{
	uint32_t v = 0;

	if (value.len == sizeof(v))
		memcpy(&v, value.ptr, sizeof(v));
	return v;
}

uint32_t netlink_be32(struct slice value)
{
	return ntohl(netlink_u32(value));
}

bool netlink_is_str(struct slice value, const char *text)
{
	return value.len == strlen(text) + 1 && memcmp(value.ptr, text, value.len) == 0;
}
