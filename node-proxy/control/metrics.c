// SPDX-License-Identifier: GPL-3.0-or-later
// Prometheus text of what workers and loader count; see metrics.h.
#include "control/metrics.h"

#include <stdio.h>
#include <unistd.h>
#include "path/end_reason.h"

void metrics_sample_worker(struct worker *w, uint64_t argument, struct buf *out)
{
	struct metrics_sample s = {
		.counters = w->counters,
		.ring = *ring_counters(w->ring),
		.log_dropped = atomic_load(&w->log.dropped),
		.chunks_used = w->chunks.used,
		.chunks_limit = w->chunks.limit,
		.exchanges_limit = w->exchanges.limit,
		.tls_heap_bytes = tls_thread_heap_used(),
		.tls_allocations = tls_thread_heap_allocations(),
		.pool_objects_taken = worker_objects_taken(w),
	};

	(void)argument;
	for (int r = 0; r < HOLDER_RESOURCES; r++) {
		s.resource_used[r] = w->holders.used[r];
		s.resource_limit[r] = w->holders.limit[r];
	}
	memcpy(s.share_refusals, w->holders.refused, sizeof(s.share_refusals));
	buf_put(out, &s, sizeof(s));
}

// A worker's number by its place in the sample.
struct metric {
	const char *name;
	const char *type;
	const char *help;
	size_t offset;
};

#define C(name, help, member)                                                                      \
	{                                                                                          \
		"portcullis_" name "_total", "counter", help,                                      \
			offsetof(struct metrics_sample, member)                                    \
	}
#define G(name, help, member)                                                                      \
	{                                                                                          \
		"portcullis_" name, "gauge", help, offsetof(struct metrics_sample, member)         \
	}

static const struct metric metrics[] = {
	C("connections_accepted", "Captured connections accepted.", counters.accepts),
	C("accept_errors", "Accepts that failed.", counters.accept_errors),
	C("exchanges", "Exchanges ended (L4 connections and HTTP requests).", counters.exchanges),
	C("requests", "HTTP requests parsed.", counters.requests),
	G("exchanges_open", "Exchanges alive.", counters.exchanges_open),
	G("exchanges_limit", "Exchanges that may be alive.", exchanges_limit),
	G("descriptors_open", "Sockets of the data path.", counters.conns_open),
	G("tunnels_open", "Tunnel connections established.", counters.tunnels_open),
	G("tunnel_streams_open", "Streams on tunnels.", counters.streams_open),
	C("tunnels_dialled", "Tunnel connections dialled.", counters.tunnels_dialled),
	C("tunnels_failed", "Tunnel connections that failed before they were established.",
	  counters.tunnels_failed),
	C("tunnel_handshakes", "Mutual TLS handshakes completed.", counters.handshakes),
	C("tunnel_checks_failed", "Peers or claims that the receiver's checks refused.",
	  counters.checks_failed),
	C("tunnel_protocol_errors", "Frames that broke the tunnel's rules.",
	  counters.protocol_errors),
	C("tunnel_frames_sent", "Frames put into tunnels.", counters.frames_sent),
	C("tunnel_frames_received", "Frames taken from tunnels.", counters.frames_received),
	C("tunnel_records_sealed", "TLS records sealed.", counters.records_sealed),
	C("received_bytes", "Bytes received on all sockets.", counters.bytes_received),
	C("sent_bytes", "Bytes sent on all sockets.", counters.bytes_sent),
	C("copied_bytes", "Bytes copied between buffers, TLS and kernel not counted.",
	  counters.bytes_copied),
	C("pool_objects_taken", "Objects taken from the workers' pools.", pool_objects_taken),
	C("tls_allocations", "Allocations from memory that TLS made.", tls_allocations),
	C("sends", "Send operations.", counters.sends),
	C("receives", "Receive completions.", ring.recvs),
	C("sends_without_completion", "Sends that said nothing when they went well.",
	  ring.lazy_sends),
	C("sends_cut_short", "Sends that took less than all bytes.", ring.short_sends),
	C("turns", "Turns of the workers; each is one system call.", counters.turns),
	C("submissions", "Requests put to the kernel.", ring.submissions),
	C("submission_queue_full", "Further system calls in a turn, because the queue was full.",
	  ring.queue_full),
	C("waits_timed", "Turns that had to bring a time-out of their own.", ring.waits_timed),
	C("completions", "Kernel completions handled.", ring.completions),
	C("completion_queue_overflows", "Turns in which completions waited in the kernel.",
	  ring.overflows),
	C("completions_lost", "Turns in which the kernel had no memory for completions.",
	  ring.lost),
	C("receive_buffers_missing", "Receives that found no buffer.", ring.enobufs),
	C("held_sources", "Connections held because their source was not known yet.",
	  counters.held_sources),
	C("held_destinations", "Connections held because their destination was not known yet.",
	  counters.held_destinations),
	C("requests_held", "Requests that waited for others of their workload.",
	  counters.requests_held),
	C("pool_full", "Refusals because a pool was full.", counters.pool_full),
	C("overloaded", "Connections refused under overload.", counters.overloaded),
	C("memory_resets", "Connections reset because they held the most memory when it ran out.",
	  counters.relieved),
	C("audit_denials",
	  "Exchanges, and requests of opaque ports, that a policy in Audit mode would have denied.",
	  counters.would_deny),
	C("log_lines_dropped", "Access log records dropped.", log_dropped),
	G("queue_chunks_used", "Chunks of queued bytes.", chunks_used),
	G("queue_chunks_limit", "Chunks that may be used.", chunks_limit),
	G("tls_heap_bytes", "Memory of TLS sessions.", tls_heap_bytes),
};

static void put_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static uint64_t sum(const struct metrics_sample *workers, uint32_t count, size_t offset)
{
	uint64_t total = 0, v;

	for (uint32_t i = 0; i < count; i++) {
		memcpy(&v, (const uint8_t *)&workers[i] + offset, sizeof(v));
		total += v;
	}
	return total;
}

static void put_one(struct buf *out, const char *name, const char *type, const char *help,
		    uint64_t value)
{
	put_head(out, name, type, help);
	buf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}

static void put_ended(struct buf *out, const struct metrics_sample *workers, uint32_t count)
{
	static const char name[] = "portcullis_exchanges_ended_total";

	put_head(out, name, "counter", "Exchanges ended, by reason.");
	for (uint32_t r = 0; r < END_COUNT; r++)
		buf_printf(out, "%s{reason=\"%s\"} %llu\n", name,
			   end_reason_name((enum end_reason)r),
			   (unsigned long long)sum(workers, count,
						   offsetof(struct metrics_sample, counters.ended) +
							   r * sizeof(uint64_t)));
}

static void put_responses(struct buf *out, const struct metrics_sample *workers, uint32_t count)
{
	static const char name[] = "portcullis_responses_total";

	put_head(out, name, "counter", "HTTP responses, by class of status.");
	for (uint32_t c = 1; c < 6; c++)
		buf_printf(out, "%s{class=\"%uxx\"} %llu\n", name, c,
			   (unsigned long long)sum(workers, count,
						   offsetof(struct metrics_sample,
							    counters.responses) +
							   c * sizeof(uint64_t)));
}

static void put_resource(struct buf *out, const struct metrics_sample *workers, uint32_t count,
			 const char *name, const char *help, size_t offset)
{
	put_head(out, name, "gauge", help);
	for (uint32_t r = 0; r < HOLDER_RESOURCES; r++)
		buf_printf(out, "%s{resource=\"%s\"} %llu\n", name,
			   holder_resource_name((enum holder_resource)r),
			   (unsigned long long)sum(workers, count, offset + r * sizeof(uint64_t)));
}

// What holders share, and whom it was refused for having his share (path/holder.h).
static void put_holders(struct buf *out, const struct metrics_sample *workers, uint32_t count)
{
	static const char name[] = "portcullis_share_refusals_total";
	const size_t offset = offsetof(struct metrics_sample, share_refusals);
	const uint32_t roles = HOLDER_EVERYBODY + 1;

	put_resource(out, workers, count, "portcullis_resource_used",
		     "What connections, streams and tunnels hold.",
		     offsetof(struct metrics_sample, resource_used));
	put_resource(out, workers, count, "portcullis_resource_limit", "What they may hold.",
		     offsetof(struct metrics_sample, resource_limit));
	put_head(out, name, "counter", "Refused or ended because a holder has his share.");
	for (uint32_t i = 0; i < HOLDER_RESOURCES * roles; i++) {
		if (i % roles == HOLDER_NOBODY)
			continue;
		buf_printf(out, "%s{resource=\"%s\",holder=\"%s\"} %llu\n", name,
			   holder_resource_name((enum holder_resource)(i / roles)),
			   holder_role_name((enum holder_role)(i % roles)),
			   (unsigned long long)sum(workers, count, offset + i * sizeof(uint64_t)));
	}
}

static void put_turn_histogram(struct buf *out, const struct metrics_sample *workers,
			       uint32_t count)
{
	static const char name[] = "portcullis_turn_seconds";
	const size_t buckets = offsetof(struct metrics_sample, counters.turn_buckets);
	uint64_t sum_ns =
		sum(workers, count, offsetof(struct metrics_sample, counters.turn_ns_sum));
	uint64_t below = 0;

	put_head(out, name, "histogram", "Turns of the workers, from the end of the wait.");
	for (uint32_t b = 0; b < WORKER_TURN_BUCKETS; b++) {
		below += sum(workers, count, buckets + b * sizeof(uint64_t));
		if (b < WORKER_TURN_BUCKETS - 1)
			buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name,
				   worker_turn_bounds_us[b] / 1e6, (unsigned long long)below);
	}
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)below);
	buf_printf(out, "%s_sum %.6f\n%s_count %llu\n", name, (double)sum_ns / 1e9, name,
		   (unsigned long long)below);
}

static void put_turn(struct buf *out, const struct metrics_sample *workers, uint32_t count)
{
	uint64_t max = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (workers[i].counters.turn_ns_max > max)
			max = workers[i].counters.turn_ns_max;
	}
	put_head(out, "portcullis_turn_max_seconds", "gauge", "Longest turn of a worker so far.");
	buf_printf(out, "portcullis_turn_max_seconds %.6f\n", (double)max / 1e9);
}

static void put_loader(struct buf *out, const struct loader_status *l)
{
	put_one(out, "portcullis_sync_connected", "gauge", "Connected to policy-sync.",
		l->connected);
	put_one(out, "portcullis_snapshot_generation", "gauge",
		"Counter of the generation that every worker goes by.", l->adopted.counter);
	put_one(out, "portcullis_snapshot_wanted_generation", "gauge",
		"Counter of the newest generation that policy-sync has named.", l->wanted.counter);
	put_one(out, "portcullis_snapshot_behind_since_seconds", "gauge",
		"Unix time since which workers go by an older generation; 0: they do not.",
		l->behind_since_unix_ms / 1000);
	put_one(out, "portcullis_snapshot_wanted_refused", "gauge",
		"The newest generation was refused.", l->wanted_refused);
	put_one(out, "portcullis_snapshot_bytes", "gauge", "Memory of the newest snapshot.",
		l->snapshot_bytes);
	put_one(out, "portcullis_snapshots_live", "gauge", "Generations alive.", l->snapshots_live);
	put_one(out, "portcullis_snapshots_accepted_total", "counter", "Generations taken.",
		l->snapshots_accepted);
	put_one(out, "portcullis_snapshots_refused_total", "counter",
		"Generations refused; the last good one stays.", l->snapshots_refused);
	put_one(out, "portcullis_certificate_not_after_seconds", "gauge",
		"Unix time at which the node's certificate expires; 0: none.",
		(uint64_t)l->certs.not_after_unix_s);
	put_one(out, "portcullis_certificates_installed_total", "counter",
		"Certificates taken into use.", l->certs.installed);
	put_one(out, "portcullis_certificate_renewals_total", "counter", "Renewals asked for.",
		l->certs.asked);
	put_one(out, "portcullis_certificate_renewal_failures_total", "counter",
		"Renewals that had no answer or a bad one.", l->certs.late + l->certs.refused);
}

static uint64_t resident_bytes(void)
{
	unsigned long long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

void metrics_write(struct buf *out, const struct metrics_sample *workers, uint32_t count,
		   const struct loader_status *loader, bool rules_verified)
{
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		put_one(out, metrics[i].name, metrics[i].type, metrics[i].help,
			sum(workers, count, metrics[i].offset));
	put_ended(out, workers, count);
	put_responses(out, workers, count);
	put_holders(out, workers, count);
	put_turn(out, workers, count);
	put_turn_histogram(out, workers, count);
	put_loader(out, loader);
	put_one(out, "portcullis_rules_verified", "gauge", "Capture rules are in place.",
		rules_verified);
	put_one(out, "process_resident_memory_bytes", "gauge", "Resident memory of the process.",
		resident_bytes());
	put_head(out, "portcullis_build_info", "gauge", "Version of this program.");
	buf_put_str(out, "portcullis_build_info{version=\"" PORTCULLIS_VERSION "\"} 1\n");
}
