// SPDX-License-Identifier: GPL-3.0-or-later
// One detached thread a look-up. Two owners: whoever leaves last frees the job.
#include "control/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/sock.h"

struct resolve_job {
	struct resolve_target target;
	int event_fd;
	_Atomic uint32_t refs;
	_Atomic uint32_t done; // result and err may be read
	enum err err;
	struct addr_port result;
};

static enum err must_check resolve_parse_port(struct slice text, uint16_t *out)
{
	uint32_t port = 0;

	if (text.len == 0 || text.len > 5)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return ERR_MALFORMED;
		port = 10 * port + (uint32_t)(text.ptr[i] - '0');
	}
	if (port == 0 || port > UINT16_MAX)
		return ERR_MALFORMED;
	*out = (uint16_t)port;
	return ERR_OK;
}

enum err resolve_parse(struct slice text, struct resolve_target *out)
{
	const uint8_t *colon = text.len > 0 ? memrchr(text.ptr, ':', text.len) : NULL;
	struct slice host;

	if (!colon)
		return ERR_MALFORMED;
	host = slice_make(text.ptr, (size_t)(colon - text.ptr));
	if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
		host = slice_make(host.ptr + 1, host.len - 2);
	else if (slice_find(host, ':') < host.len)
		return ERR_MALFORMED;
	if (host.len == 0 || host.len >= sizeof(out->host))
		return ERR_MALFORMED;
	memset(out, 0, sizeof(*out));
	memcpy(out->host, host.ptr, host.len);
	return resolve_parse_port(slice_make(colon + 1, text.len - (size_t)(colon + 1 - text.ptr)),
				  &out->port);
}

static void resolve_unref(struct resolve_job *j)
{
	if (atomic_fetch_sub(&j->refs, 1) != 1)
		return;
	close(j->event_fd);
	free(j);
}

static void resolve_finish(struct resolve_job *j, enum err e)
{
	uint64_t one = 1;
	ssize_t n;

	j->err = e;
	atomic_store(&j->done, 1);
	n = write(j->event_fd, &one, sizeof(one));
	(void)n;
}

static void *resolve_run(void *argument)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct resolve_job *j = argument;
	struct sockaddr_storage address = {0};
	enum err e = ERR_NOT_FOUND;

	if (getaddrinfo(j->target.host, NULL, &hints, &list) == 0 && list &&
	    list->ai_addrlen <= sizeof(address)) {
		memcpy(&address, list->ai_addr, list->ai_addrlen);
		e = sock_address_from(&address, &j->result);
		j->result.port = j->target.port;
	}
	if (list)
		freeaddrinfo(list);
	resolve_finish(j, e);
	resolve_unref(j);
	return NULL;
}

// Signals are the main thread's: a new thread inherits the mask of the moment.
static int resolve_spawn(struct resolve_job *j)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attributes, resolve_run, j);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return error;
}

enum err resolve_start(const struct resolve_target *target, struct resolve_job **out)
{
	struct resolve_job *j = calloc(1, sizeof(*j));
	struct addr a;

	if (!j)
		return ERR_NOMEM;
	j->target = *target;
	j->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->event_fd < 0) {
		free(j);
		return ERR_IO;
	}
	atomic_init(&j->refs, 1);
	if (addr_parse(slice_str(target->host), &a) == ERR_OK) {
		j->result = (struct addr_port){.addr = a, .port = target->port};
		resolve_finish(j, ERR_OK);
	} else {
		atomic_store(&j->refs, 2);
		if (resolve_spawn(j) != 0) {
			atomic_store(&j->refs, 1);
			resolve_unref(j);
			return ERR_NOMEM;
		}
	}
	*out = j;
	return ERR_OK;
}

int resolve_fd(const struct resolve_job *j)
{
	return j->event_fd;
}

enum err resolve_result(const struct resolve_job *j, struct addr_port *out)
{
	if (!atomic_load(&j->done))
		return ERR_AGAIN;
	if (j->err == ERR_OK)
		*out = j->result;
	return j->err;
}

void resolve_end(struct resolve_job *j)
{
	if (j)
		resolve_unref(j);
}
