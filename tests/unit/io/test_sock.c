// SPDX-License-Identifier: GPL-3.0-or-later
// io/sock on a real kernel: a proxy's network namespace with two pods behind veths of their own, and
// TPROXY rules. What the proxy learns of a captured connection, and how it dials, are the kernel's
// answers, with and without SYN cookies, in IPv4 and IPv6.
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/sock.h"

#define WAIT_MS	     5000
#define CAPTURE_PORT 15001
#define MARK	     0x40

static int proxy_ns = -1; // where the proxy is; this process's own
static int pod_ns[2];	  // pod n: 10.5.n.2, fd05:n::2 behind veth n
static bool have_world;	  // only root may make one

static struct addr_port endpoint(const char *text, uint16_t port)
{
	struct addr_port a = {.port = port};

	assert_int_equal(addr_parse(slice_str(text), &a.addr), ERR_OK);
	return a;
}

static void shell(const char *format, ...)
{
	char line[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (system(line) != 0)
		fail_msg("failed: %s", line);
}

static void enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

static int namespace_new(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	shell("ip link set lo up");
	return fd;
}

static void pod_new(int n)
{
	pod_ns[n] = namespace_new();
	enter(proxy_ns);
	shell("ip link add veth%d type veth peer name eth0 netns /proc/%d/fd/%d", n, getpid(),
	      pod_ns[n]);
	shell("ip link set veth%d up && ip addr add 10.5.%d.1/24 dev veth%d && "
	      "ip -6 addr add fd05:%d::1/64 dev veth%d nodad",
	      n, n, n, n, n);
	enter(pod_ns[n]);
	shell("ip link set eth0 up && ip addr add 10.5.%d.2/24 dev eth0 && "
	      "ip -6 addr add fd05:%d::2/64 dev eth0 nodad && "
	      "ip route add default via 10.5.%d.1 && ip -6 route add default via fd05:%d::1",
	      n, n, n, n);
	enter(proxy_ns);
	shell("for t in 'iptables 127.0.0.1' 'ip6tables ::1'; do set -- $t; "
	      "$1 -w -t mangle -A PREROUTING -i veth%d -p tcp -m socket --transparent -j MARK "
	      "--set-mark 1; "
	      "$1 -w -t mangle -A PREROUTING -i veth%d -p tcp -m mark ! --mark 1 "
	      "-j TPROXY --on-ip $2 --on-port %d --tproxy-mark 1 || exit 1; done",
	      n, n, CAPTURE_PORT);
}

static int world_new(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	proxy_ns = namespace_new();
	shell("for v in '' -6; do ip $v rule add fwmark 1 lookup 100 && "
	      "ip $v route add local default dev lo table 100 || exit 1; done");
	pod_new(0);
	pod_new(1);
	have_world = true;
	return 0;
}

static void wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

static int accept_one(int listener)
{
	wait_for(listener, POLLIN);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int connected_errno(int fd)
{
	socklen_t len = sizeof(int);
	int error = -1;

	wait_for(fd, POLLOUT);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len), 0);
	return error;
}

static int dial(struct addr_port to, const struct sock_dial_options *o)
{
	struct sockaddr_storage address;
	socklen_t len = sock_address_to(to, &address);
	int fd;

	assert_int_equal(sock_dial(to, o, &fd), ERR_OK);
	if (connect(fd, (struct sockaddr *)&address, len) != 0)
		assert_int_equal(errno, EINPROGRESS);
	return fd;
}

static struct addr_port local_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	struct addr_port a;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(sock_address_from(&address, &a), ERR_OK);
	return a;
}

static int get_option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

// ---- without privileges ------------------------------------------------------------------------

static void addresses(void **state)
{
	static const char *const texts[] = {"10.1.2.3", "::1", "fd00::9", "0.0.0.0"};
	struct sockaddr_storage s;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct addr_port a = endpoint(texts[i], 65535), b;
		socklen_t len = sock_address_to(a, &s);

		assert_int_equal(s.ss_family, addr_is_v4(a.addr) ? AF_INET : AF_INET6);
		assert_int_equal(len, addr_is_v4(a.addr) ? sizeof(struct sockaddr_in)
							 : sizeof(struct sockaddr_in6));
		assert_int_equal(sock_address_from(&s, &b), ERR_OK);
		assert_true(addr_eq(a.addr, b.addr));
		assert_int_equal(b.port, 65535);
	}
	s.ss_family = AF_UNIX;
	struct addr_port b;

	assert_int_equal(sock_address_from(&s, &b), ERR_UNSUPPORTED);
}

static int listen_loopback(struct addr_port *at)
{
	struct sock_listen_options o = {.backlog = 16, .reuse_port = true};
	int fd;

	assert_int_equal(sock_listen(*at, &o, &fd), ERR_OK);
	*at = local_of(fd);
	return fd;
}

static void listening_and_dialling(void **state)
{
	struct addr_port at = endpoint("127.0.0.1", 0), peer, destination;
	struct sock_dial_options o = {.user_timeout_ms = 12345};
	uint32_t ifindex;

	(void)state;
	int listener = listen_loopback(&at);
	int second = listen_loopback(&at); // SO_REUSEPORT: one a worker
	int client = dial(at, &o);
	struct pollfd both[2] = {{.fd = listener, .events = POLLIN},
				 {.fd = second, .events = POLLIN}};

	assert_int_equal(poll(both, 2, WAIT_MS), 1);
	int server = accept_one(both[0].revents ? listener : second);

	assert_int_equal(connected_errno(client), 0);
	assert_int_equal(sock_accepted(server, &peer, &destination, &ifindex), ERR_OK);
	assert_int_equal(peer.port, local_of(client).port);
	assert_int_equal(destination.port, at.port);
	assert_int_equal(get_option(client, SOL_TCP, TCP_NODELAY), 1);
	assert_int_equal(get_option(client, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(get_option(client, SOL_TCP, TCP_USER_TIMEOUT), 12345);
	assert_true(fcntl(client, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(client, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(listener, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(listener, F_GETFD) & FD_CLOEXEC);
	close(client);
	close(server);
	close(listener);
	close(second);
}

static void half_close_and_reset(void **state)
{
	struct addr_port at = endpoint("127.0.0.1", 0);
	struct sock_dial_options o = {0};
	char byte = 0;

	(void)state;
	int listener = listen_loopback(&at);
	int client = dial(at, &o);
	int server = accept_one(listener);

	sock_shutdown_write(client);
	wait_for(server, POLLIN);
	assert_int_equal(recv(server, &byte, 1, 0), 0); // FIN one way ...
	assert_int_equal(send(server, "x", 1, MSG_NOSIGNAL), 1);
	wait_for(client, POLLIN);
	assert_int_equal(recv(client, &byte, 1, 0), 1); // ... and bytes the other
	sock_reset_on_close(server);
	close(server);
	wait_for(client, POLLIN);
	assert_int_equal(recv(client, &byte, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(client);
	close(listener);
}

static void failures_close_and_keep_errno(void **state)
{
	struct sock_listen_options o = {.backlog = 1};
	struct addr_port at = endpoint("192.0.2.1", 1234); // nobody's
	int fd = -7, first, second;

	(void)state;
	first = dup(0);
	assert_int_equal(sock_listen(at, &o, &fd), ERR_IO);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(fd, -7);
	second = dup(0);
	assert_int_equal(second, first + 1); // no descriptor was left open
	close(first);
	close(second);
	// A closed descriptor is refused, not believed.
	struct addr_port peer, destination;
	uint32_t ifindex;

	assert_int_equal(sock_accepted(first, &peer, &destination, &ifindex), ERR_IO);
}

// A tunnel's receiver reads the dialling worker from the port; more peers than there are such ports
// (219 of them) are no trouble, because connections to different addresses share them.
#define PEERS 300
static void congruent_ports(void **state)
{
	int clients[PEERS], servers[PEERS];

	(void)state;
	for (uint32_t i = 0; i < PEERS; i++) {
		struct sock_dial_options o = {.source_port_base = 5, .source_port_modulus = 64};
		struct addr_port at, peer, destination;
		char text[ADDR_TEXT_MAX];
		uint32_t ifindex;

		snprintf(text, sizeof(text), "127.0.%u.%u", 1 + i / 200, 1 + i % 200);
		at = endpoint(text, 0);
		int listener = listen_loopback(&at);

		int twin = dial(at, &o); // a second tunnel to the same peer

		clients[i] = dial(at, &o);
		close(accept_one(listener));
		close(twin);
		servers[i] = accept_one(listener);
		assert_int_equal(sock_accepted(servers[i], &peer, &destination, &ifindex), ERR_OK);
		assert_int_equal(peer.port % 64, 5);
		assert_in_range(peer.port, 16000, 29999);
		close(listener);
	}
	for (uint32_t i = 0; i < PEERS; i++) {
		close(clients[i]);
		close(servers[i]);
	}
	struct addr_port at = endpoint("127.0.0.1", 80);
	struct sock_dial_options odd = {.source_port_base = 6, .source_port_modulus = 7};
	struct sock_dial_options wrong = {.source_port_base = 64, .source_port_modulus = 64};
	int fd;

	assert_int_equal(sock_dial(at, &odd, &fd), ERR_OK);
	assert_int_equal(local_of(fd).port % 7, 6);
	close(fd);
	assert_int_equal(sock_dial(at, &wrong, &fd), ERR_IO);
}

// ---- captured connections ----------------------------------------------------------------------

static int listen_capture(bool v6)
{
	struct sock_listen_options o = {
		.transparent = true, .packet_info = true, .mark = MARK, .backlog = 64};
	int fd;

	assert_int_equal(sock_listen(endpoint(v6 ? "::1" : "127.0.0.1", CAPTURE_PORT), &o, &fd),
			 ERR_OK);
	return fd;
}

static void capture_from(int listener, int n, bool v6)
{
	struct addr_port to = endpoint(v6 ? "fd99::77" : "10.99.0.77", 8080), peer, destination;
	struct sock_dial_options o = {0};
	char name[IFNAMSIZ], text[ADDR_TEXT_MAX];
	uint32_t ifindex = 0;

	enter(pod_ns[n]);
	int client = dial(to, &o);

	enter(proxy_ns);
	int server = accept_one(listener);

	assert_int_equal(connected_errno(client), 0);
	assert_int_equal(sock_accepted(server, &peer, &destination, &ifindex), ERR_OK);
	snprintf(text, sizeof(text), v6 ? "fd05:%d::2" : "10.5.%d.2", n);
	assert_true(addr_eq(peer.addr, endpoint(text, 0).addr));
	assert_int_equal(peer.port, local_of(client).port);
	assert_true(addr_eq(destination.addr, to.addr)); // whom it dialled, not where we listen
	assert_int_equal(destination.port, 8080);
	snprintf(name, sizeof(name), "veth%d", n);
	assert_int_equal(ifindex, if_nametoindex(name));
	assert_int_equal(get_option(server, SOL_SOCKET, SO_MARK), MARK); // inherited
	// It stays what it was after bytes have come in.
	assert_int_equal(send(client, "x", 1, MSG_NOSIGNAL), 1);
	wait_for(server, POLLIN);
	assert_int_equal(sock_accepted(server, &peer, &destination, &ifindex), ERR_OK);
	assert_int_equal(ifindex, if_nametoindex(name));
	close(client);
	close(server);
}

static void capture_knows_the_interface(void **state)
{
	(void)state;
	if (!have_world)
		skip();
	for (int cookies = 1; cookies <= 2; cookies++) { // 2: always, no request socket is kept
		shell("echo %d > /proc/sys/net/ipv4/tcp_syncookies", cookies);
		for (int v6 = 0; v6 <= 1; v6++) {
			int listener = listen_capture(v6);

			for (int n = 0; n < 2; n++)
				capture_from(listener, n, v6);
			close(listener);
		}
	}
}

// The pod sees the client's address, though the client is not on this host.
static void dialling_from_the_clients_address(void **state)
{
	(void)state;
	if (!have_world)
		skip();
	for (int v6 = 0; v6 <= 1; v6++) {
		struct addr_port at = endpoint(v6 ? "fd05:1::2" : "10.5.1.2", 0), peer, destination;
		struct addr_port source = endpoint(v6 ? "fd05:0::2" : "10.5.0.2", 0);
		struct sock_dial_options o = {
			.source = source.addr, .mark = MARK, .user_timeout_ms = 1000};
		uint32_t ifindex;
		int fd;

		enter(pod_ns[1]);
		int listener = listen_loopback(&at);

		enter(proxy_ns);
		assert_int_equal(sock_dial(at, &o, &fd), ERR_OK);
		// No port is taken before the 4-tuple is known: 28,000 a pod, not 28,000 a node.
		assert_int_equal(local_of(fd).port, 0);
		close(fd);
		int client = dial(at, &o);
		int server = accept_one(listener);

		assert_int_equal(connected_errno(client), 0);
		assert_int_equal(sock_accepted(server, &peer, &destination, &ifindex), ERR_OK);
		assert_true(addr_eq(peer.addr, source.addr));
		assert_int_equal(peer.port, local_of(client).port);
		assert_int_equal(get_option(client, SOL_SOCKET, SO_MARK), MARK);
		close(client);
		close(server);
		close(listener);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(listening_and_dialling),
		cmocka_unit_test(half_close_and_reset),
		cmocka_unit_test(failures_close_and_keep_errno),
		cmocka_unit_test(congruent_ports),
		cmocka_unit_test(capture_knows_the_interface),
		cmocka_unit_test(dialling_from_the_clients_address),
	};

	return cmocka_run_group_tests(tests, world_new, NULL);
}
