// SPDX-License-Identifier: GPL-3.0-or-later
// Whole files, bounded and atomic. Used for state that must survive a crash: the CA's keys, the
// generation, the last good snapshot. Not for logs, nor for anything of a worker's.
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP_BYTES 65536

static enum err must_check file_read_fd(int fd, size_t bytes_max, struct buf *out)
{
	size_t total = 0;

	for (;;) {
		uint8_t step[READ_STEP_BYTES];
		ssize_t n = read(fd, step, sizeof(step));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		if (n == 0)
			return out->err;
		total += (size_t)n;
		if (total > bytes_max)
			return ERR_TOO_LARGE;
		buf_put(out, step, (size_t)n);
	}
}

enum err file_read(const char *path, size_t bytes_max, struct buf *out)
{
	// Without O_NONBLOCK the open itself would wait for a fifo's writer.
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	enum err e;

	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
	if (fstat(fd, &st) != 0)
		e = ERR_IO;
	else if (!S_ISREG(st.st_mode))
		e = ERR_UNSUPPORTED;
	else
		e = file_read_fd(fd, bytes_max, out);
	close(fd);
	return e;
}

static enum err must_check file_write_fd(int fd, mode_t mode, struct slice content)
{
	size_t at = 0;

	if (fchmod(fd, mode) != 0) // whatever the umask says
		return ERR_IO;
	while (at < content.len) {
		ssize_t n = write(fd, content.ptr + at, content.len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		at += (size_t)n;
	}
	return fsync(fd) == 0 ? ERR_OK : ERR_IO;
}

// The rename is durable only when the directory is.
static enum err must_check file_sync_directory(const char *path)
{
	char copy[PATH_MAX];
	enum err e;
	int fd;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return ERR_IO;
	e = fsync(fd) == 0 ? ERR_OK : ERR_IO;
	close(fd);
	return e;
}

enum err file_write(const char *path, mode_t mode, struct slice content)
{
	char beside[PATH_MAX];
	enum err e;
	int fd, error;
	int n = snprintf(beside, sizeof(beside), "%s.%d.new", path, (int)getpid());

	if (n < 0 || (size_t)n >= sizeof(beside)) {
		errno = ENAMETOOLONG;
		return ERR_IO;
	}
	// Left over by a crash of a process with our number: not ours any more.
	if (unlink(beside) != 0 && errno != ENOENT)
		return ERR_IO;
	fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return ERR_IO;
	e = file_write_fd(fd, mode, content);
	error = errno;
	if (close(fd) != 0 && !e) {
		e = ERR_IO;
		error = errno;
	}
	if (!e && rename(beside, path) != 0) {
		e = ERR_IO;
		error = errno;
	}
	if (e) {
		unlink(beside);
		errno = error;
		return e;
	}
	return file_sync_directory(path);
}

enum err file_make_private_directory(const char *path)
{
	struct stat st;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return ERR_IO;
	if (lstat(path, &st) != 0)
		return ERR_IO;
	if (!S_ISDIR(st.st_mode) || (st.st_mode & 077) != 0 || st.st_uid != geteuid())
		return ERR_DENIED;
	return ERR_OK;
}
