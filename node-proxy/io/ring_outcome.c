// SPDX-License-Identifier: GPL-3.0-or-later
// Which results pass, for every kind of operation; see ring_outcome in ring.h. Apart from ring.c, because the
// simulator takes the place of that and not of this.
#include <errno.h>
#include "io/ring.h"

#define KIND(kind) (1u << (kind))
#define EVERY	   (~0u)

struct passing {
	int error;
	uint32_t kinds;
	enum ring_outcome outcome;
};

// The first row that fits counts; what fits none has failed.
static const struct passing passing[] = {
	// A descriptor is gone once its close has begun, whatever interrupts it.
	{EINTR, KIND(IO_CLOSE), RING_DONE},
	{EINTR, EVERY, RING_AGAIN},
	// The kernel has given up waiting for a socket that does not block.
	{EAGAIN, EVERY, RING_AGAIN},
	{ECANCELED, EVERY, RING_AGAIN},
	{ENOMEM, EVERY, RING_NO_MEMORY},
	{ENOBUFS, KIND(IO_RECV), RING_NO_BUFFER},
	{ENOBUFS, EVERY, RING_NO_MEMORY},
	// It goes on, or has come to its end, without the operation that began it.
	{EINPROGRESS, KIND(IO_CONNECT), RING_AGAIN},
	{EALREADY, KIND(IO_CONNECT), RING_AGAIN},
	{EISCONN, KIND(IO_CONNECT), RING_DONE},
	// The target's own completion tells what became of it.
	{ENOENT, KIND(IO_CANCEL), RING_DONE},
	{EALREADY, KIND(IO_CANCEL), RING_DONE},
	{ETIME, KIND(IO_TIMEOUT), RING_DONE},
	// accept(2): errors of the connection that would have been accepted, not of the listener.
	{ECONNABORTED, KIND(IO_ACCEPT), RING_AGAIN},
	{EPERM, KIND(IO_ACCEPT), RING_AGAIN},
	{EPROTO, KIND(IO_ACCEPT), RING_AGAIN},
	{ENOPROTOOPT, KIND(IO_ACCEPT), RING_AGAIN},
	{ENETDOWN, KIND(IO_ACCEPT), RING_AGAIN},
	{ENETUNREACH, KIND(IO_ACCEPT), RING_AGAIN},
	{EHOSTDOWN, KIND(IO_ACCEPT), RING_AGAIN},
	{EHOSTUNREACH, KIND(IO_ACCEPT), RING_AGAIN},
	{EMFILE, KIND(IO_ACCEPT), RING_NO_MEMORY},
	{ENFILE, KIND(IO_ACCEPT), RING_NO_MEMORY},
};

enum ring_outcome ring_outcome(enum io_kind kind, int32_t res)
{
	if (res >= 0)
		return RING_DONE;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		if (passing[i].error == -res && passing[i].kinds & KIND(kind))
			return passing[i].outcome;
	}
	return RING_FAILED;
}
