// SPDX-License-Identifier: GPL-3.0-or-later
// The questioner's end of the CA's socket. A signature takes well under a millisecond and a new
// root a few, so waiting in place is no harm to the one thread that publishes.
#include "ca/ca_client.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define ANSWER_TIMEOUT_MS 5000

enum err ca_client_ask(int fd, struct ca_request *request, struct ca_reply *reply)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;
	int ready;

	request->version = CA_PROTO_VERSION;
	if (send(fd, request, sizeof(*request), MSG_NOSIGNAL) != (ssize_t)sizeof(*request))
		return ERR_CLOSED;
	do
		ready = poll(&p, 1, ANSWER_TIMEOUT_MS);
	while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return ERR_EXPIRED;
	n = recv(fd, reply, sizeof(*reply), 0);
	if (n != (ssize_t)sizeof(*reply))
		return ERR_CLOSED;
	if (reply->version != CA_PROTO_VERSION || reply->err >= ERR_COUNT ||
	    reply->chain_bytes > sizeof(reply->chain_pem) ||
	    reply->trust_bytes > sizeof(reply->trust_pem))
		return ERR_INTERNAL;
	reply->why.text[sizeof(reply->why.text) - 1] = 0;
	return (enum err)reply->err;
}
