// SPDX-License-Identifier: GPL-3.0-or-later
// The admin pages: what is ready, what was counted, what a worker goes by. Public matter only, never key
// material. Workers are asked by message, a second each at most; they answer within a turn.
#include "control/admin_pages.h"

#include "common/clock.h"
#include "control/metrics.h"
#include "control/rules_status.h"

#define ASK_TIMEOUT_MS	      1000
#define WORKERS_MAX	      64
#define CONNECTIONS_SHOWN_MAX 1000

// A generation that does not come in, or that was refused: an edit is not in force here.
static enum err admin_up_to_date(const struct loader_status *s, struct reason *why)
{
	uint64_t now_ms = clock_unix_ms(), behind_ms = now_ms - s->behind_since_unix_ms;

	if (s->behind_since_unix_ms == 0 || now_ms < s->behind_since_unix_ms ||
	    (!s->wanted_refused && behind_ms < LOADER_BEHIND_MAX_MS))
		return ERR_OK;
	return err_because(ERR_STALE, why,
			   "configuration %llu.%llu is wanted, %llu.%llu is held "
			   "since %llu s: %s",
			   (unsigned long long)s->wanted.epoch,
			   (unsigned long long)s->wanted.counter,
			   (unsigned long long)s->adopted.epoch,
			   (unsigned long long)s->adopted.counter,
			   (unsigned long long)(behind_ms / 1000),
			   s->wanted_refused ? s->refusal.text : "it has not come in");
}

// Ready: every worker goes by a snapshot, the newest if it could be had; there is a certificate, and the rules
// are in place.
static enum err admin_ready(const struct admin_options *o, struct reason *why)
{
	struct loader_status status;

	o->status(o->context, &status);
	if (status.adopted.epoch == 0)
		return err_because(ERR_AGAIN, why, "no snapshot is live yet");
	if (status.certs.not_after_unix_s == 0)
		return err_because(ERR_AGAIN, why, "no certificate yet");
	if (admin_up_to_date(&status, why) != ERR_OK)
		return ERR_STALE;
	return rules_status_check(o->run_dir, why);
}

static void answer_ready(const struct admin_options *o, struct admin_answer *a)
{
	struct reason why = {0};

	if (admin_ready(o, &why) == ERR_OK) {
		buf_put_str(&a->body, "ready\n");
		return;
	}
	a->status = 503;
	buf_printf(&a->body, "not ready: %s\n", why.text);
}

static void answer_health(const struct admin_options *o, struct admin_answer *a)
{
	(void)o;
	buf_put_str(&a->body, "ok\n");
}

// All workers or none: a sum that lacks one would look like counters that went back.
static bool sample_workers(const struct admin_options *o, struct metrics_sample *samples)
{
	for (uint32_t i = 0; i < o->worker_count; i++) {
		struct buf b;

		buf_init_fixed(&b, &samples[i], sizeof(samples[0]));
		if (inbox_ask(o->workers[i], metrics_sample_worker, 0, sizeof(samples[0]),
			      ASK_TIMEOUT_MS, &b) != ERR_OK ||
		    b.len != sizeof(samples[0]))
			return false;
	}
	return true;
}

static void answer_metrics(const struct admin_options *o, struct admin_answer *a)
{
	struct metrics_sample samples[WORKERS_MAX];
	struct loader_status status;
	struct reason why;

	if (o->worker_count > WORKERS_MAX || !sample_workers(o, samples)) {
		a->status = 503;
		buf_put_str(&a->body, "a worker does not answer\n");
		return;
	}
	o->status(o->context, &status);
	a->type = "text/plain; version=0.0.4; charset=utf-8";
	metrics_write(&a->body, samples, o->worker_count, &status,
		      rules_status_check(o->run_dir, &why) == ERR_OK);
}

// ---- debug -------------------------------------------------------------------------------------

static void put_text(struct buf *b, const char *key, struct slice value)
{
	buf_printf(b, ",\"%s\":", key);
	buf_put_json_string(b, value);
}

static void put_workload(struct buf *b, const struct workload *w)
{
	char text[ADDR_TEXT_MAX];

	buf_put_str(b, "{\"uid\":");
	buf_put_json_string(b, w->record.uid);
	put_text(b, "namespace", w->record.namespace);
	put_text(b, "name", w->record.name);
	put_text(b, "service_account", w->record.service_account);
	buf_put_str(b, ",\"addresses\":[");
	for (uint32_t i = 0; i < w->record.addr_count; i++)
		buf_printf(b, "%s\"%s\"", i ? "," : "", addr_format(w->record.addrs[i], text));
	buf_put_str(b, "],\"policies\":[");
	for (uint32_t i = 0; i < w->record.policy_count; i++) {
		buf_printf(b, "%s{\"port\":%u", i ? "," : "", w->record.policies[i].port);
		put_text(b, "policy", w->record.policies[i].policy_id);
		buf_put_str(b, "}");
	}
	buf_put_str(b, "]}");
}

// Runs on a worker's thread: what that worker goes by.
static void describe_snapshot(struct worker *w, uint64_t argument, struct buf *b)
{
	const struct snapshot *s = worker_snapshot(w);

	(void)argument;
	if (!s) {
		buf_put_str(b, "{\"snapshot\":null}\n");
		return;
	}
	struct generation g = snapshot_generation(s);

	buf_printf(b,
		   "{\"epoch\":%llu,\"counter\":%llu,\"bytes\":%zu,\"nodes\":%u,"
		   "\"services\":%u,\"workloads\":%u",
		   (unsigned long long)g.epoch, (unsigned long long)g.counter, snapshot_bytes(s),
		   snapshot_node_count(s), snapshot_service_count(s), snapshot_workload_count(s));
	put_text(b, "trust_domain", snapshot_meta(s)->trust_domain);
	buf_put_str(b, ",\"local\":[");
	for (uint32_t i = 0; i < snapshot_local_count(s); i++) {
		buf_put_str(b, i ? "," : "");
		put_workload(b, snapshot_local(s, i));
	}
	buf_put_str(b, "]}\n");
}

static void ask(const struct admin_options *o, uint32_t worker, inbox_question question,
		size_t bytes_max, struct admin_answer *a)
{
	if (inbox_ask(o->workers[worker], question, worker, bytes_max, ASK_TIMEOUT_MS, &a->body) ==
	    ERR_OK)
		return;
	a->status = 503;
	a->type = "text/plain";
	buf_reset(&a->body);
	buf_put_str(&a->body, "a worker does not answer, or its answer is too long\n");
}

static void answer_snapshot(const struct admin_options *o, struct admin_answer *a)
{
	a->type = "application/json";
	ask(o, 0, describe_snapshot, ADMIN_ANSWER_BYTES_MAX - 1, a);
}

static void describe_connections(struct worker *w, uint64_t argument, struct buf *b)
{
	char client[ADDR_PORT_TEXT_MAX], target[ADDR_PORT_TEXT_MAX];
	uint32_t shown = 0;

	for (const struct exchange *x = w->all; x && shown < CONNECTIONS_SHOWN_MAX; x = x->next) {
		buf_printf(b,
			   "{\"worker\":%llu,\"exchange\":%llu,\"stage\":\"%s\",\"l7\":%s,"
			   "\"client\":\"%s\",\"server\":\"%s\",\"age_ms\":%llu,"
			   "\"received\":%llu,\"sent\":%llu}\n",
			   (unsigned long long)argument, (unsigned long long)x->id,
			   exchange_stage_name(x), x->l7 ? "true" : "false",
			   addr_port_format(x->client, client), addr_port_format(x->target, target),
			   (unsigned long long)((w->now_ns - x->started_ns) / NS_PER_MS),
			   (unsigned long long)x->leg[DOWN].bytes_in,
			   (unsigned long long)x->leg[DOWN].bytes_out);
		shown++;
	}
}

// No connection is an answer too: 200 and no line.
static void answer_connections(const struct admin_options *o, struct admin_answer *a)
{
	a->type = "application/x-ndjson";
	for (uint32_t i = 0; i < o->worker_count && a->status == 200; i++)
		ask(o, i, describe_connections, ADMIN_ANSWER_BYTES_MAX / WORKERS_MAX, a);
}

// ---- table -------------------------------------------------------------------------------------

static const struct {
	const char *path;
	void (*run)(const struct admin_options *o, struct admin_answer *a);
} pages[] = {
	{"/healthz", answer_health},
	{"/readyz", answer_ready},
	{"/metrics", answer_metrics},
	{"/debug/snapshot", answer_snapshot},
	{"/debug/connections", answer_connections},
};

bool admin_page(const struct admin_options *o, struct slice path, struct admin_answer *a)
{
	for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (slice_eq_str(path, pages[i].path)) {
			pages[i].run(o, a);
			return true;
		}
	}
	return false;
}
