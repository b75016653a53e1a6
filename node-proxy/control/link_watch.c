// SPDX-License-Identifier: GPL-3.0-or-later
// Interface pins from rtnetlink (rtnetlink(7)): one socket hears of links and routes, the other
// asks for the route to an address. The kernel answers at once, so asking needs no state machine.
#include "control/link_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENT_BYTES	     32768
#define EVENTS_PER_READ_MAX  256
#define RECEIVE_BUFFER_BYTES (1 << 20)
#define ANSWER_TIMEOUT_S     1

enum pin_state { PIN_PENDING = 0, PIN_LIVE, PIN_DEAD };

// A stranger's follows the routes: it says where they lead now, not whose the address is.
struct pin {
	struct addr addr;
	enum pin_state state;
	uint32_t ifindex;
	uint8_t uid_len; // 0: a stranger's, an endpoint that is no known pod
	char uid[64];
};

struct link_watch {
	int events_fd;
	int ask_fd;
	uint32_t sequence;
	uint32_t uplinks[LINK_WATCH_UPLINKS_MAX];
	uint32_t uplink_count;
	struct pin *pins; // sorted by address
	uint32_t count;
	uint64_t overflows;
};

static enum err must_check link_watch_socket(uint32_t groups, int flags, int *out)
{
	struct sockaddr_nl at = {.nl_family = AF_NETLINK, .nl_groups = groups};
	int bytes = RECEIVE_BUFFER_BYTES;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);

	if (fd < 0)
		return ERR_IO;
	// Hundreds of pods may come at once; an overflow costs a full look, not correctness.
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		close(fd);
		return ERR_IO;
	}
	*out = fd;
	return ERR_OK;
}

enum err link_watch_new(const uint32_t *uplinks, uint32_t uplink_count, struct link_watch **out)
{
	struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	struct link_watch *w;
	enum err e;

	if (uplink_count > LINK_WATCH_UPLINKS_MAX)
		return ERR_TOO_LARGE;
	w = calloc(1, sizeof(*w));
	if (!w)
		return ERR_NOMEM;
	w->events_fd = w->ask_fd = -1;
	if (uplink_count > 0)
		memcpy(w->uplinks, uplinks, uplink_count * sizeof(*uplinks));
	w->uplink_count = uplink_count;
	e = link_watch_socket(RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE, SOCK_NONBLOCK,
			      &w->events_fd);
	if (!e)
		e = link_watch_socket(0, 0, &w->ask_fd);
	if (!e && setsockopt(w->ask_fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0)
		e = ERR_IO;
	if (e) {
		link_watch_free(w);
		return e;
	}
	*out = w;
	return ERR_OK;
}

void link_watch_free(struct link_watch *w)
{
	if (!w)
		return;
	if (w->events_fd >= 0)
		close(w->events_fd);
	if (w->ask_fd >= 0)
		close(w->ask_fd);
	free(w->pins);
	free(w);
}

int link_watch_fd(const struct link_watch *w)
{
	return w->events_fd;
}

static bool link_watch_is_uplink(const struct link_watch *w, uint32_t ifindex)
{
	for (uint32_t i = 0; i < w->uplink_count; i++) {
		if (w->uplinks[i] == ifindex)
			return true;
	}
	return false;
}

struct route_question {
	struct nlmsghdr header;
	struct rtmsg route;
	struct rtattr attribute;
	uint8_t address[16];
};

// Asks for the entry of the routing table that an address matches, not for a path to it
// (RTM_F_FIB_MATCH): only the entry tells a pod's own route from the default route.
static enum err must_check link_watch_ask(struct link_watch *w, struct addr a)
{
	struct route_question q = {0};
	uint32_t v4 = addr_is_v4(a) ? htonl(addr_to_v4(a)) : 0;
	size_t len = addr_is_v4(a) ? 4 : 16;

	q.header.nlmsg_type = RTM_GETROUTE;
	q.header.nlmsg_flags = NLM_F_REQUEST;
	q.header.nlmsg_seq = ++w->sequence;
	q.header.nlmsg_len = (uint32_t)(offsetof(struct route_question, address) + len);
	q.route.rtm_family = addr_is_v4(a) ? AF_INET : AF_INET6;
	q.route.rtm_dst_len = (uint8_t)(8 * len);
	q.route.rtm_flags = RTM_F_FIB_MATCH;
	q.attribute.rta_type = RTA_DST;
	q.attribute.rta_len = (uint16_t)RTA_LENGTH(len);
	if (len == 4)
		memcpy(q.address, &v4, len);
	else
		memcpy(q.address, a.bytes, len);
	return send(w->ask_fd, &q, q.header.nlmsg_len, 0) == (ssize_t)q.header.nlmsg_len ? ERR_OK
											 : ERR_IO;
}

// The interface of a unicast route that is more than a default route; 0: none.
static uint32_t link_watch_parse_route(const struct link_watch *w, const struct nlmsghdr *h)
{
	const struct rtmsg *route = NLMSG_DATA(h);
	const struct rtattr *at = RTM_RTA(route);
	int left;
	uint32_t ifindex = 0;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*route)))
		return 0;
	if (route->rtm_type != RTN_UNICAST || route->rtm_dst_len == 0)
		return 0;
	left = (int)RTM_PAYLOAD(h);
	for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type == RTA_OIF && RTA_PAYLOAD(at) == sizeof(ifindex))
			memcpy(&ifindex, RTA_DATA(at), sizeof(ifindex));
	}
	return link_watch_is_uplink(w, ifindex) ? 0 : ifindex;
}

// Interface by which a is reached; 0: none, or not a pod's.
static enum err must_check link_watch_resolve(struct link_watch *w, struct addr a,
					      uint32_t *ifindex)
{
	uint8_t answer[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	enum err e = link_watch_ask(w, a);

	*ifindex = 0;
	if (e)
		return e;
	for (;;) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)answer;
		ssize_t n = recv(w->ask_fd, answer, sizeof(answer), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		// An answer that came too late for the question before is not ours.
		if (!NLMSG_OK(h, (size_t)n) || h->nlmsg_seq != w->sequence)
			continue;
		if (h->nlmsg_type == RTM_NEWROUTE)
			*ifindex = link_watch_parse_route(w, h);
		return ERR_OK; // NLMSG_ERROR: unreachable
	}
}

static int link_watch_order(const void *a, const void *b)
{
	const struct pin *left = a, *right = b;

	return memcmp(left->addr.bytes, right->addr.bytes, sizeof(left->addr.bytes));
}

static int link_watch_order_strangers_last(const void *a, const void *b)
{
	const struct pin *left = a, *right = b;
	int order = link_watch_order(a, b);

	return order ? order : (int)right->uid_len - (int)left->uid_len;
}

static bool pin_is_stranger(const struct pin *p)
{
	return p->uid_len == 0;
}

static enum err must_check link_watch_find_route(struct link_watch *w, struct pin *p)
{
	uint32_t ifindex;
	enum err e = link_watch_resolve(w, p->addr, &ifindex);

	if (e || (ifindex == 0 && !pin_is_stranger(p)))
		return e;
	p->ifindex = ifindex;
	p->state = PIN_LIVE;
	return ERR_OK;
}

// An address as this snapshot has it: the old pin if it is the same pod's, else a new one.
static enum err must_check link_watch_pin(struct link_watch *w, struct pin *p)
{
	const struct pin *old = NULL;

	if (w->count > 0)
		old = bsearch(p, w->pins, w->count, sizeof(*w->pins), link_watch_order);
	if (old && slice_eq(slice_make(old->uid, old->uid_len), slice_make(p->uid, p->uid_len))) {
		*p = *old;
		return ERR_OK;
	}
	return link_watch_find_route(w, p);
}

static bool link_watch_wants(const struct workload *local)
{
	// A UID is 36 characters; one that does not fit here would never match and is never pinned.
	return !local->record.host_network && local->record.uid.len > 0 &&
	       local->record.uid.len < sizeof(((struct pin *)0)->uid);
}

// Both count only where out is NULL.
static uint32_t link_watch_pods(const struct snapshot *s, struct pin *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < snapshot_local_count(s); i++) {
		const struct ss_workload *pod = &snapshot_local(s, i)->record;

		if (!link_watch_wants(snapshot_local(s, i)))
			continue;
		for (uint32_t k = 0; k < pod->addr_count; k++, n++) {
			if (!out)
				continue;
			out[n] = (struct pin){.addr = pod->addrs[k],
					      .uid_len = (uint8_t)pod->uid.len};
			memcpy(out[n].uid, pod->uid.ptr, pod->uid.len);
		}
	}
	return n;
}

static uint32_t link_watch_strangers(const struct snapshot *s, struct pin *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < snapshot_service_count(s); i++) {
		const struct ss_service *service = snapshot_service(s, i);

		for (uint32_t k = 0; k < service->port_count; k++) {
			const struct ss_service_port *port = &service->ports[k];

			for (uint32_t j = 0; j < port->endpoint_count; j++) {
				if (port->endpoints[j].workload_uid.len > 0)
					continue;
				if (out)
					out[n] = (struct pin){.addr = port->endpoints[j].addr};
				n++;
			}
		}
	}
	return n;
}

// Several Services may name one stranger; who is known is none.
static uint32_t link_watch_unique(struct pin *pins, uint32_t count)
{
	uint32_t kept = 0;

	qsort(pins, count, sizeof(*pins), link_watch_order_strangers_last);
	for (uint32_t i = 0; i < count; i++) {
		if (kept == 0 || !addr_eq(pins[kept - 1].addr, pins[i].addr))
			pins[kept++] = pins[i];
	}
	return kept;
}

enum err link_watch_follow(struct link_watch *w, const struct snapshot *s)
{
	uint32_t count = link_watch_pods(s, NULL) + link_watch_strangers(s, NULL);
	struct pin *pins = calloc(count ? count : 1, sizeof(*pins));
	enum err e = ERR_OK;

	if (!pins)
		return ERR_NOMEM;
	count = link_watch_pods(s, pins);
	count += link_watch_strangers(s, pins + count);
	count = link_watch_unique(pins, count);
	// What could not be asked stays pending: held, and asked again at the next event.
	for (uint32_t i = 0; i < count && !e; i++)
		e = link_watch_pin(w, &pins[i]);
	free(w->pins);
	w->pins = pins;
	w->count = count;
	return e;
}

static bool link_watch_kill(struct link_watch *w, uint32_t ifindex)
{
	bool changed = false;

	for (uint32_t i = 0; i < w->count; i++) {
		struct pin *p = &w->pins[i];

		if (p->state == PIN_LIVE && p->ifindex == ifindex && !pin_is_stranger(p)) {
			p->state = PIN_DEAD;
			changed = true;
		}
	}
	return changed;
}

// Strangers that lead by a link are asked about again: its routes may have gone without a word.
static void link_watch_doubt_link(struct link_watch *w, uint32_t ifindex)
{
	uint32_t by = link_watch_is_uplink(w, ifindex) ? 0 : ifindex;

	for (uint32_t i = 0; i < w->count; i++) {
		if (pin_is_stranger(&w->pins[i]) && w->pins[i].ifindex == by)
			w->pins[i].state = PIN_PENDING;
	}
}

static void link_watch_doubt_network(struct link_watch *w, struct cidr network)
{
	for (uint32_t i = 0; i < w->count; i++) {
		if (pin_is_stranger(&w->pins[i]) && cidr_contains(network, w->pins[i].addr))
			w->pins[i].state = PIN_PENDING;
	}
}

static void link_watch_doubt_route(struct link_watch *w, const struct nlmsghdr *h)
{
	const struct rtmsg *route = NLMSG_DATA(h);
	struct cidr network = {0};
	const struct rtattr *at;
	uint32_t v4 = 0;
	int left;

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*route)))
		return;
	left = (int)RTM_PAYLOAD(h);
	for (at = RTM_RTA(route); RTA_OK(at, left); at = RTA_NEXT(at, left)) {
		if (at->rta_type == RTA_DST && RTA_PAYLOAD(at) == sizeof(v4))
			memcpy(&v4, RTA_DATA(at), sizeof(v4));
		else if (at->rta_type == RTA_DST && RTA_PAYLOAD(at) == sizeof(network.addr.bytes))
			memcpy(network.addr.bytes, RTA_DATA(at), sizeof(network.addr.bytes));
	}
	if (route->rtm_family == AF_INET)
		network.addr = addr_from_v4(ntohl(v4));
	network.bits = (uint8_t)(route->rtm_dst_len + (route->rtm_family == AF_INET ? 96 : 0));
	link_watch_doubt_network(w, network);
}

static enum err must_check link_watch_retry(struct link_watch *w, bool *changed)
{
	for (uint32_t i = 0; i < w->count; i++) {
		struct pin *p = &w->pins[i];
		uint32_t was = p->ifindex;
		enum err e;

		if (p->state != PIN_PENDING)
			continue;
		e = link_watch_find_route(w, p);
		// A stranger that could not be asked about is out of the table, and held.
		if (pin_is_stranger(p) ? e || p->ifindex != was : p->state == PIN_LIVE)
			*changed = true;
		if (e)
			return e;
	}
	return ERR_OK;
}

// After lost events: does each pin's interface still exist, and where do strangers lead?
static bool link_watch_recheck(struct link_watch *w)
{
	bool changed = false;
	char name[IF_NAMESIZE];

	for (uint32_t i = 0; i < w->count; i++) {
		struct pin *p = &w->pins[i];

		if (pin_is_stranger(p)) {
			p->state = PIN_PENDING;
		} else if (p->state == PIN_LIVE && !if_indextoname(p->ifindex, name)) {
			p->state = PIN_DEAD;
			changed = true;
		}
	}
	return changed;
}

static bool link_watch_handle_link(struct link_watch *w, const struct nlmsghdr *h)
{
	const struct ifinfomsg *link = NLMSG_DATA(h);

	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*link)))
		return false;
	link_watch_doubt_link(w, (uint32_t)link->ifi_index);
	// A port that leaves a bridge is announced as AF_BRIDGE; it still exists.
	return h->nlmsg_type == RTM_DELLINK && link->ifi_family == AF_UNSPEC &&
	       link_watch_kill(w, (uint32_t)link->ifi_index);
}

// One datagram of events: after it pending pins are asked for.
static bool link_watch_handle(struct link_watch *w, const uint8_t *bytes, size_t len)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)bytes;
	bool changed = false;

	for (; NLMSG_OK(h, len); h = NLMSG_NEXT(h, len)) {
		if (h->nlmsg_type == RTM_NEWROUTE || h->nlmsg_type == RTM_DELROUTE)
			link_watch_doubt_route(w, h);
		else if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
			changed = link_watch_handle_link(w, h) || changed;
	}
	return changed;
}

enum err link_watch_read(struct link_watch *w, bool *changed)
{
	uint8_t bytes[EVENT_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	bool retry = false;

	*changed = false;
	for (int i = 0; i < EVENTS_PER_READ_MAX; i++) {
		ssize_t n = recv(w->events_fd, bytes, sizeof(bytes), 0);

		if (n > 0) {
			*changed = link_watch_handle(w, bytes, (size_t)n) || *changed;
			retry = true;
		} else if (n < 0 && errno == ENOBUFS) {
			w->overflows++;
			retry = true;
			*changed = link_watch_recheck(w) || *changed;
		} else if (n < 0 && errno != EINTR) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				return ERR_IO;
			break;
		}
	}
	return retry ? link_watch_retry(w, changed) : ERR_OK;
}

enum err link_watch_table(const struct link_watch *w, struct links **out)
{
	struct link_pin *pins = calloc(w->count ? w->count : 1, sizeof(*pins));
	uint32_t count = 0;
	enum err e;

	if (!pins)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < w->count; i++) {
		const struct pin *p = &w->pins[i];

		if (p->state == PIN_PENDING)
			continue;
		pins[count++] = (struct link_pin){
			.addr = p->addr,
			.uid = slice_make(p->uid, p->uid_len),
			.ifindex = p->state == PIN_LIVE ? p->ifindex : 0,
		};
	}
	e = links_new(pins, count, out);
	free(pins);
	return e;
}

void link_watch_metrics(const struct link_watch *w, struct link_watch_metrics *out)
{
	*out = (struct link_watch_metrics){.overflows = w->overflows};
	for (uint32_t i = 0; i < w->count; i++) {
		if (pin_is_stranger(&w->pins[i]))
			continue;
		out->pending += w->pins[i].state == PIN_PENDING;
		out->pinned += w->pins[i].state == PIN_LIVE;
		out->dead += w->pins[i].state == PIN_DEAD;
	}
}
