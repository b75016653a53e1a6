// SPDX-License-Identifier: GPL-3.0-or-later
// io/tls against another library: the openssl command as client and as server. Told to offer X25519 alone
// it is a peer that lacks X25519MLKEM768: X25519, by a second hello where we dial. Where it knows the
// hybrid (OpenSSL 3.5 and later), both libraries have to agree on it.
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/sock.h"
#include "support/tls_pair.h"

#define WAIT_MS 10000

static struct cert root, node;
static struct tls_context *good;
static char dir[64];

static void write_file(const char *name, struct slice bytes)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(tls_global_init(), ERR_OK);
	cert_root(&root, "portcullis root");
	cert_sign(&node, &root, NODE_URI, -60, 3600);
	good = context_new(&node, buf_slice(&root.text), ALPN, true);
	snprintf(dir, sizeof(dir), "/tmp/portcullis-tls-XXXXXX");
	assert_non_null(mkdtemp(dir));
	write_file("root.pem", buf_slice(&root.text));
	write_file("node.pem", buf_slice(&node.text));
	write_file("node.der", slice_make(node.key.der, node.key.der_len));
	return 0;
}

static int teardown(void **state)
{
	char line[128];

	(void)state;
	tls_context_unref(good);
	snprintf(line, sizeof(line), "rm -r %s", dir);
	return system(line);
}

// Runs the command with both its ends at fd; returns its process.
static pid_t run_openssl(int fd, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (chdir(dir) != 0 || dup2(fd, 0) < 0 || dup2(fd, 1) < 0)
			_exit(127);
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	close(fd);
	return child;
}

struct peer {
	struct end end;
	int fd;
	uint8_t bytes[4096];
};

static void peer_flush(struct peer *p)
{
	if (p->end.out.len > 0)
		assert_int_equal(send(p->fd, p->end.out.ptr, p->end.out.len, MSG_NOSIGNAL),
				 p->end.out.len);
	p->end.out.len = 0;
}

static bool peer_receive(struct peer *p)
{
	struct pollfd wait = {.fd = p->fd, .events = POLLIN};

	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	ssize_t n = recv(p->fd, p->bytes, sizeof(p->bytes), 0);

	if (n > 0)
		tls_offer(p->end.tls, slice_make(p->bytes, (size_t)n));
	return n > 0;
}

// Handshake, one line each way, and the end. Our own blocking socket: the file is about TLS.
static void talk(struct peer *p, const char *group, const char *says)
{
	uint8_t line[256];
	struct buf got;
	size_t len;
	enum err err;

	while ((p->end.err = tls_handshake(p->end.tls, &p->end.why)) == ERR_AGAIN) {
		peer_flush(p);
		if (!peer_receive(p))
			fail_msg("openssl has gone");
	}
	peer_flush(p);
	if (p->end.err != ERR_OK)
		fail_msg("%s", p->end.why.text);
	assert_string_equal(tls_group_name(p->end.tls), group);
	assert_int_equal(tls_write(p->end.tls, SLICE_LIT("hello from wolf\n")), ERR_OK);
	peer_flush(p);
	buf_init_fixed(&got, line, sizeof(line));
	do {
		uint8_t bytes[256];

		err = tls_read(p->end.tls, bytes, sizeof(bytes), &len);
		buf_put(&got, bytes, len);
	} while (!memmem(got.ptr, got.len, says, strlen(says)) &&
		 (err == ERR_OK || (err == ERR_AGAIN && peer_receive(p))));
	assert_non_null(memmem(got.ptr, got.len, says, strlen(says)));
	tls_close_notify(p->end.tls);
	peer_flush(p);
}

static void sink(void *context, struct slice ciphertext)
{
	struct end *e = context;

	buf_put_slice(&e->out, ciphertext);
}

static void peer_new(struct peer *p, int fd, bool server)
{
	memset(p, 0, sizeof(*p));
	p->fd = fd;
	buf_init_growing(&p->end.out, 1u << 20);
	assert_int_equal(tls_session_new(good, server, sink, &p->end, &p->end.tls), ERR_OK);
}

static void peer_end(struct peer *p, pid_t child)
{
	int status;

	shutdown(p->fd, SHUT_RDWR);
	close(p->fd);
	tls_session_free(p->end.tls);
	buf_deinit(&p->end.out);
	assert_int_equal(waitpid(child, &status, 0), child);
}

static int listen_loopback(uint16_t *port)
{
	struct addr_port at = {.addr = addr_from_v4(0x7f000001)};
	struct sock_listen_options o = {.backlog = 1};
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	int fd;

	assert_int_equal(sock_listen(at, &o, &fd), ERR_OK);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(sock_address_from(&address, &at), ERR_OK);
	*port = at.port;
	return fd;
}

static void openssl_dials_us(const char *group)
{
	int pipe_fds[2];
	uint16_t port;
	struct peer p;
	struct pollfd wait = {.events = POLLIN};

	wait.fd = listen_loopback(&port);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipe_fds), 0);
	pid_t child =
		run_openssl(pipe_fds[1],
			    "(echo hello from openssl; cat) | openssl s_client -quiet -connect "
			    "127.0.0.1:%u -tls1_3 -groups %s -alpn %s -CAfile root.pem "
			    "-verify_return_error -cert node.pem -key node.der -keyform DER "
			    "2>s_client.log",
			    port, group, ALPN);

	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	peer_new(&p, accept(wait.fd, NULL, NULL), true);
	assert_true(p.fd >= 0);
	talk(&p, group, "hello from openssl");
	char line[64] = {0};

	assert_int_equal(recv(pipe_fds[0], line, 16, MSG_WAITALL), 16);
	assert_string_equal(line, "hello from wolf\n");
	close(pipe_fds[0]);
	close(wait.fd);
	peer_end(&p, child);
}

// s_server cannot be given a socket and says nothing of a port it chose: take a free one, and wait until
// it listens.
static void we_dial_openssl(const char *group)
{
	struct sock_dial_options options = {0};
	struct sockaddr_storage address;
	struct addr_port to = {.addr = addr_from_v4(0x7f000001)};
	int pipe_fds[2], fd = -1;
	struct peer p;
	char line[32] = {0};

	close(listen_loopback(&to.port));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipe_fds), 0);
	pid_t child = run_openssl(
		pipe_fds[1],
		"exec openssl s_server -accept 127.0.0.1:%u -naccept 1 -tls1_3 -groups %s -alpn %s "
		"-CAfile root.pem -Verify 2 -verify_return_error -cert node.pem "
		"-key node.der -keyform DER 2>s_server.log",
		to.port, group, ALPN);

	assert_int_equal(recv(pipe_fds[0], line, 1, MSG_WAITALL),
			 1); // "ACCEPT" and more: it is there
	struct pollfd banner = {.fd = pipe_fds[0], .events = POLLIN};

	for (char c = line[0]; c != 'T';) { // ... ACCEPT is its last word
		assert_int_equal(poll(&banner, 1, WAIT_MS), 1);
		assert_int_equal(recv(pipe_fds[0], &c, 1, 0), 1);
	}
	assert_int_equal(sock_dial(to, &options, &fd), ERR_OK);
	socklen_t len = sock_address_to(to, &address);

	(void)connect(fd, (struct sockaddr *)&address, len);
	struct pollfd connected = {.fd = fd, .events = POLLOUT};

	assert_int_equal(poll(&connected, 1, WAIT_MS), 1);
	assert_int_equal(send(pipe_fds[0], "hello from openssl\n", 19, 0), 19);
	peer_new(&p, fd, false);
	talk(&p, group, "hello from openssl");
	close(pipe_fds[0]);
	peer_end(&p, child);
}

#define HYBRID "X25519MLKEM768"

static void need_hybrid(void)
{
	if (system("openssl list -kem-algorithms 2>/dev/null | grep -q " HYBRID) != 0)
		skip(); // OpenSSL before 3.5
}

static void x25519_openssl_dials_us(void **state)
{
	(void)state;
	openssl_dials_us("X25519");
}

static void x25519_we_dial_openssl(void **state)
{
	(void)state;
	we_dial_openssl("X25519");
}

static void hybrid_openssl_dials_us(void **state)
{
	(void)state;
	need_hybrid();
	openssl_dials_us(HYBRID);
}

static void hybrid_we_dial_openssl(void **state)
{
	(void)state;
	need_hybrid();
	we_dial_openssl(HYBRID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x25519_openssl_dials_us),
		cmocka_unit_test(x25519_we_dial_openssl),
		cmocka_unit_test(hybrid_openssl_dials_us),
		cmocka_unit_test(hybrid_we_dial_openssl),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
