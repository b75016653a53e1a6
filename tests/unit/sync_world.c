// SPDX-License-Identifier: GPL-3.0-or-later
#include "sync_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ca/ca_process.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/snapshot_codec.h"

#define LOOK_EVERY_MS 10

void world_write(const struct world *w, const char *path, const char *text)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", w->dir, path);
	assert_int_equal(file_write(whole, 0600, slice_str(text)), ERR_OK);
}

int world_shell(const struct world *w, const char *command, char *out, size_t cap)
{
	char line[1024];
	size_t len;
	FILE *f;

	snprintf(line, sizeof(line), "cd %s && %s 2>&1", w->dir, command);
	f = popen(line, "r");
	assert_non_null(f);
	len = fread(out, 1, cap - 1, f);
	out[len] = 0;
	return pclose(f);
}

static struct buf *world_input(struct world *w, enum section_kind kind)
{
	for (uint32_t i = 0; i < w->input_count; i++) {
		if (w->inputs[i].name.kind == kind) {
			buf_reset(&w->inputs[i].bytes);
			return &w->inputs[i].bytes;
		}
	}
	assert_in_range(w->input_count, 0, WORLD_INPUTS_MAX - 1);
	w->inputs[w->input_count].name.kind = kind;
	buf_init_growing(&w->inputs[w->input_count].bytes, 1 << 20);
	return &w->inputs[w->input_count++].bytes;
}

static void world_put(struct buf *section, const char *key, struct buf *value)
{
	assert_int_equal(value->err, ERR_OK);
	section_put(section, slice_str(key), buf_slice(value));
	assert_int_equal(section->err, ERR_OK);
}

void world_set_nodes(struct world *w, const char *const *names, uint32_t count)
{
	struct buf *section = world_input(w, SECTION_NODES);
	uint8_t bytes[1024];

	for (uint32_t i = 0; i < count; i++) {
		struct addr addr = addr_from_v4(0xc0a84e0bu + i);
		struct ss_node node = {.name = slice_str(names[i]),
				       .addrs = &addr,
				       .addr_count = 1,
				       .tunnel_port = 14443};
		struct buf value;

		buf_init_fixed(&value, bytes, sizeof(bytes));
		snapshot_encode_node(&value, &node);
		world_put(section, names[i], &value);
	}
}

void world_set_services(struct world *w, const char *const *names, uint32_t count)
{
	struct buf *section = world_input(w, SECTION_SERVICES);
	uint8_t bytes[1024];
	char key[128];

	for (uint32_t i = 0; i < count; i++) {
		struct addr addr = addr_from_v4(0x0a610001u + i);
		struct ss_service_port port = {
			.name = SLICE_LIT("http"), .port = 80, .protocol = APP_PROTOCOL_HTTP};
		struct ss_service service = {.namespace = SLICE_LIT("shop"),
					     .name = slice_str(names[i]),
					     .addrs = &addr,
					     .addr_count = 1,
					     .ports = &port,
					     .port_count = 1};
		struct buf value;

		buf_init_fixed(&value, bytes, sizeof(bytes));
		snapshot_encode_service(&value, &service);
		snprintf(key, sizeof(key), "shop/%s", names[i]);
		world_put(section, key, &value);
	}
}

static void world_set_meta(struct world *w)
{
	struct buf *section = world_input(w, SECTION_META);
	struct ss_meta meta = {.trust_domain = SLICE_LIT("cluster.local"),
			       .header_bytes_max = 65536,
			       .header_timeout_ms = 10000};
	uint8_t bytes[256];
	struct buf value;

	buf_init_fixed(&value, bytes, sizeof(bytes));
	snapshot_encode_meta(&value, &meta);
	world_put(section, "meta", &value);
}

void world_publish(struct world *w)
{
	struct section_input inputs[WORLD_INPUTS_MAX];

	for (uint32_t i = 0; i < w->input_count; i++) {
		inputs[i].name = w->inputs[i].name;
		inputs[i].bytes = buf_slice(&w->inputs[i].bytes);
	}
	assert_int_equal(server_publish(w->server, inputs, w->input_count,
					SLICE_LIT("cluster.local"), clock_monotonic_ns()),
			 ERR_OK);
}

void world_start_server(struct world *w)
{
	char keys[96];
	struct reason why = {0};
	struct server_options options = {.listen = {.addr = addr_from_v4(0x7f000001),
						    .port = w->port},
					 .state_directory = w->state,
					 .trust_file = w->trust,
					 .authenticator = w->authenticator,
					 .certificate_lifetime_s = w->lifetime_s,
					 .trust_domain = SLICE_LIT("cluster.local")};
	enum err e;

	snprintf(keys, sizeof(keys), "%s/ca", w->state);
	assert_int_equal(ca_process_start(keys, &w->ca_fd, &w->ca_pid), ERR_OK);
	options.ca_fd = w->ca_fd;
	e = server_new(&options, &w->server, &why);
	if (e)
		print_error("%s\n", why.text);
	assert_int_equal(e, ERR_OK);
	w->port = server_port(w->server);
	if (w->input_count > 0)
		world_publish(w);
}

void world_stop_server(struct world *w)
{
	server_free(w->server);
	w->server = NULL;
	close(w->ca_fd);
	assert_int_equal(waitpid(w->ca_pid, NULL, 0), w->ca_pid);
}

void world_open(struct world *w, uint32_t lifetime_s)
{
	static bool tls_ready;
	static const char *const nodes[] = {"n1", "n2"};
	static const char *const services[] = {"api", "web"};

	if (!tls_ready)
		assert_int_equal(tls_global_init(), ERR_OK);
	tls_ready = true;
	memset(w, 0, sizeof(*w));
	w->lifetime_s = lifetime_s;
	strcpy(w->dir, "/tmp/portcullis-sync-XXXXXX"); // gcc 14 misreads snprintf here, sanitized
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->state, sizeof(w->state), "%s/state", w->dir);
	snprintf(w->tokens, sizeof(w->tokens), "%s/tokens", w->dir);
	snprintf(w->trust, sizeof(w->trust), "%s/trust.pem", w->dir);
	assert_int_equal(mkdir(w->state, 0700), 0);
	assert_int_equal(mkdir(w->tokens, 0700), 0);
	world_write(w, "tokens/n1", "token-of-node-n1-0123456789\n");
	world_write(w, "tokens/n2", "token-of-node-n2-0123456789\n");
	assert_int_equal(authenticate_new_directory(w->tokens, &w->authenticator), ERR_OK);
	world_set_meta(w);
	world_set_nodes(w, nodes, 2);
	world_set_services(w, services, 2);
	world_start_server(w);
}

void world_close(struct world *w)
{
	char line[128];

	if (w->server)
		world_stop_server(w);
	w->authenticator->free(w->authenticator);
	for (uint32_t i = 0; i < w->input_count; i++)
		buf_deinit(&w->inputs[i].bytes);
	snprintf(line, sizeof(line), "rm -r %s", w->dir);
	assert_int_equal(system(line), 0);
}

static void world_turn(struct world *w, uint64_t until_ns)
{
	struct pollfd polls[WORLD_POLLS_MAX + 1];
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t due_ns = until_ns;
	uint32_t count = w->poll_count;

	memcpy(polls, w->polls, count * sizeof(polls[0]));
	if (w->server) {
		polls[count++] = (struct pollfd){.fd = server_fd(w->server), .events = POLLIN};
		if (server_due_ns(w->server) < due_ns)
			due_ns = server_due_ns(w->server);
	}
	// What other threads do is seen in their status, which wakes nobody.
	if (due_ns > now_ns + LOOK_EVERY_MS * NS_PER_MS)
		due_ns = now_ns + LOOK_EVERY_MS * NS_PER_MS;
	poll(polls, count, due_ns > now_ns ? (int)((due_ns - now_ns) / NS_PER_MS) + 1 : 0);
	now_ns = clock_monotonic_ns();
	if (w->server)
		assert_int_equal(server_turn(w->server, now_ns), ERR_OK);
	if (w->turn)
		w->turn(w, w->context, now_ns);
}

bool world_until(struct world *w, bool (*done)(void *context), void *context)
{
	uint64_t until_ns = clock_monotonic_ns() + WORLD_TIMEOUT_MS * NS_PER_MS;

	while (!done(context)) {
		if (clock_monotonic_ns() >= until_ns)
			return false;
		world_turn(w, until_ns);
	}
	return true;
}

void world_for(struct world *w, uint32_t ms)
{
	uint64_t until_ns = clock_monotonic_ns() + ms * NS_PER_MS;

	while (clock_monotonic_ns() < until_ns)
		world_turn(w, until_ns);
}
