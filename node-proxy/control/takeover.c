// SPDX-License-Identifier: GPL-3.0-or-later
// Listener hand-over between two processes of the same node; see takeover.h.
#include "control/takeover.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TAKEOVER_MAGIC	   0x70637431u // "pct1"
#define TAKEOVER_TIMEOUT_S 5

// What travels beside the descriptors.
struct takeover_message {
	uint32_t magic;
	uint32_t count;
	struct {
		uint32_t kind;
		struct addr_port at;
	} items[TAKEOVER_FDS_MAX];
};

static enum err takeover_address(const char *run_dir, struct sockaddr_un *out)
{
	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = snprintf(out->sun_path, sizeof(out->sun_path), "%s/takeover.sock", run_dir);

	return n > 0 && (size_t)n < sizeof(out->sun_path) ? ERR_OK : ERR_TOO_LARGE;
}

enum err takeover_listen(const char *run_dir, int *out, struct reason *why)
{
	struct sockaddr_un at;
	int fd;

	if (takeover_address(run_dir, &at) != ERR_OK)
		return err_because(ERR_CONFIG, why, "run directory's path is too long");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_because(ERR_IO, why, "takeover socket: %s", strerror(errno));
	unlink(at.sun_path); // a predecessor's: it has handed over, or is dead
	mode_t old = umask(0177);
	int bound = bind(fd, (struct sockaddr *)&at, sizeof(at));

	umask(old);
	if (bound < 0 || listen(fd, 1) < 0) {
		int error = errno;

		close(fd);
		return err_because(ERR_IO, why, "%s: %s", at.sun_path, strerror(error));
	}
	*out = fd;
	return ERR_OK;
}

static bool same_user(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void set_timeouts(int fd)
{
	struct timeval limit = {.tv_sec = TAKEOVER_TIMEOUT_S};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static bool send_all(int fd, const struct takeover *own)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * TAKEOVER_FDS_MAX)];
	} control = {0};
	struct takeover_message m = {.magic = TAKEOVER_MAGIC, .count = own->count};
	struct iovec v = {&m, sizeof(m)};
	struct msghdr h = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(sizeof(int) * own->count),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * own->count);
	for (uint32_t i = 0; i < own->count; i++) {
		m.items[i].kind = own->items[i].kind;
		m.items[i].at = own->items[i].at;
		memcpy(CMSG_DATA(c) + i * sizeof(int), &own->items[i].fd, sizeof(int));
	}
	return sendmsg(fd, &h, MSG_NOSIGNAL) == (ssize_t)sizeof(m);
}

enum err takeover_serve(int listen_fd, const struct takeover *own, int *peer)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return ERR_AGAIN;
	set_timeouts(fd);
	if (!same_user(fd) || own->count == 0 || !send_all(fd, own)) {
		close(fd);
		return ERR_DENIED;
	}
	*peer = fd;
	return ERR_OK;
}

bool takeover_confirmed(int peer)
{
	uint8_t word;

	return recv(peer, &word, 1, MSG_DONTWAIT) == 1;
}

static void take_descriptors(struct msghdr *h, int *fds, uint32_t *count)
{
	*count = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		uint32_t n = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));

		for (uint32_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*count < TAKEOVER_FDS_MAX)
				fds[(*count)++] = fd;
			else
				close(fd);
		}
	}
}

static enum err receive_all(int fd, struct takeover *out, struct reason *why)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * TAKEOVER_FDS_MAX)];
	} control;
	struct takeover_message m;
	struct iovec v = {&m, sizeof(m)};
	struct msghdr h = {
		.msg_iov = &v,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int fds[TAKEOVER_FDS_MAX];
	uint32_t count = 0;
	ssize_t n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_WAITALL);

	if (n > 0)
		take_descriptors(&h, fds, &count);
	if (n != (ssize_t)sizeof(m) || m.magic != TAKEOVER_MAGIC || m.count != count) {
		for (uint32_t i = 0; i < count; i++)
			close(fds[i]);
		return err_because(ERR_MALFORMED, why,
				   "the running process hands its listeners over in another form");
	}
	out->count = count;
	for (uint32_t i = 0; i < count; i++)
		out->items[i] =
			(struct handed){(enum handed_kind)m.items[i].kind, m.items[i].at, fds[i]};
	return ERR_OK;
}

enum err takeover_receive(const char *run_dir, struct takeover *out, int *peer, struct reason *why)
{
	struct sockaddr_un at;
	int fd;
	enum err err;

	if (takeover_address(run_dir, &at) != ERR_OK)
		return err_because(ERR_CONFIG, why, "run directory's path is too long");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_because(ERR_IO, why, "takeover socket: %s", strerror(errno));
	set_timeouts(fd);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		err = err_because(ERR_NOT_FOUND, why, "nobody hands over at %s", at.sun_path);
	else
		err = receive_all(fd, out, why);
	if (err != ERR_OK) {
		close(fd);
		return err;
	}
	*peer = fd;
	return ERR_OK;
}

void takeover_confirm(int peer)
{
	uint8_t word = 1;

	// A predecessor that has gone meanwhile needs no word.
	if (send(peer, &word, 1, MSG_NOSIGNAL) < 0)
		return;
}
