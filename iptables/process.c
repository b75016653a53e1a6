// SPDX-License-Identifier: GPL-3.0-or-later
// fork and exec with pipes; see process.h. The input lies in a memfd, so that there is no order of
// reads and writes in which both sides wait for each other.
#include "iptables/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "common/clock.h"

#define PATH_BYTES_MAX 256

// A DaemonSet's container has everything in one of these, whatever PATH says.
static const char *const directories[] = {"/usr/sbin", "/sbin",		  "/usr/bin",
					  "/bin",      "/usr/local/sbin", "/usr/local/bin"};

static bool find_program(const char *name, char path[PATH_BYTES_MAX])
{
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		int len = snprintf(path, PATH_BYTES_MAX, "%s/%s", directories[i], name);

		if (len > 0 && len < PATH_BYTES_MAX && access(path, X_OK) == 0)
			return true;
	}
	return false;
}

bool process_exists(const char *name)
{
	char path[PATH_BYTES_MAX];

	return find_program(name, path);
}

static int input_open(struct slice input)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	size_t at = 0;

	while (fd >= 0 && at < input.len) {
		ssize_t n = write(fd, input.ptr + at, input.len - at);

		if (n < 0) {
			close(fd);
			return -1;
		}
		at += (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

// Only calls that are safe behind fork.
static void run_child(const char *path, const char *const argv[], int in, int out, int errors)
{
	static char *const environment[] = {
		"PATH=/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin", "LC_ALL=C",
		NULL};
	sigset_t none;

	// `run` blocks the signals that it reads from a descriptor; the child must not inherit that.
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(errors, 2) < 0)
		_exit(126);
	execve(path, (char *const *)argv, environment);
	_exit(126);
}

// Reads both pipes until both are closed or the time is up.
static enum err drain(int out, int errors, struct buf *output, struct buf *complaints)
{
	struct pollfd p[2] = {{.fd = out, .events = POLLIN}, {.fd = errors, .events = POLLIN}};
	struct buf *into[2] = {output, complaints};
	uint64_t deadline = clock_monotonic_ns() + PROCESS_TIMEOUT_MS * NS_PER_MS;

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		uint64_t now = clock_monotonic_ns();

		if (now >= deadline)
			return ERR_EXPIRED;
		if (poll(p, 2, (int)((deadline - now) / NS_PER_MS) + 1) < 0 && errno != EINTR)
			return ERR_IO;
		for (int i = 0; i < 2; i++) {
			uint8_t bytes[65536];

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			ssize_t n = read(p[i].fd, bytes, sizeof(bytes));

			if (n > 0)
				buf_put(into[i], bytes, (size_t)n);
			else if (n == 0 || errno != EINTR)
				p[i].fd = -1;
		}
	}
	return output->err != ERR_OK ? ERR_TOO_LARGE : ERR_OK;
}

static enum err reap(pid_t pid, enum err err, int *status)
{
	int raw = 0;

	if (err != ERR_OK)
		kill(pid, SIGKILL);
	while (waitpid(pid, &raw, 0) < 0 && errno == EINTR)
		;
	*status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
	return err;
}

enum err process_run(const char *const argv[], struct slice input, struct buf *output,
		     struct buf *errors, int *status)
{
	int in = -1, out[2] = {-1, -1}, complaints[2] = {-1, -1};
	char path[PATH_BYTES_MAX];
	enum err err = ERR_IO;
	pid_t pid;

	*status = 127;
	if (!find_program(argv[0], path)) {
		buf_printf(errors, "%s: not installed", argv[0]);
		return ERR_OK;
	}
	in = input_open(input);
	if (in < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(complaints, O_CLOEXEC) < 0)
		goto out;
	pid = fork();
	if (pid < 0)
		goto out;
	if (pid == 0)
		run_child(path, argv, in, out[1], complaints[1]);
	close(out[1]);
	close(complaints[1]);
	out[1] = complaints[1] = -1;
	err = reap(pid, drain(out[0], complaints[0], output, errors), status);
out:
	for (int i = 0; i < 2; i++) {
		if (out[i] >= 0)
			close(out[i]);
		if (complaints[i] >= 0)
			close(complaints[i]);
	}
	if (in >= 0)
		close(in);
	return err;
}
