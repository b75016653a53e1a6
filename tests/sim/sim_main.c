// SPDX-License-Identifier: GPL-3.0-or-later
// Runs worlds. One seed is one world, and reproduces it in everything.
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/sim.h"
#include "sim/sim_world.h"

#define JOBS_MAX 64
// Every so manieth world is run twice: a seed that does not reproduce is of no use.
#define REPLAY_EVERY 64

static const char usage_text[] =
	"usage: sim [--seeds FROM-TO] [--seconds S] [--jobs N] [--set KNOB=VALUE]...\n"
	"       sim --seed N [--trace | --steps FROM-TO] [--set KNOB=VALUE]...\n"
	"       sim --seed N --knobs\n"
	"\n"
	"  --seeds FROM-TO  worlds of these seeds (1-2000)\n"
	"  --seconds S      begin no further world after so long\n"
	"  --jobs N         processes that share the seeds (2)\n"
	"  --seed N         one world; its digest says whether it is the same again\n"
	"  --trace          tell every step of it\n"
	"  --steps FROM-TO  tell only these\n"
	"  --set KNOB=VALUE fix what else the seed would choose\n"
	"  --knobs          what the seed chooses (tests/sim/sim_knobs.h says what they mean)\n"
	"SIM_ABORT=1 in the environment: abort at the failure, for a debugger.\n";

struct options {
	uint64_t first, last;
	uint64_t tell_from, tell_to;
	double seconds; // 0: no limit
	uint32_t jobs;
	bool one; // --seed
	bool knobs;
};

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// ---- one process -------------------------------------------------------------------------------

static void run_twice(uint64_t seed)
{
	uint64_t first = sim_world_run(seed);

	if (sim_world_run(seed) != first)
		sim_fail("the same seed gave another world the second time");
}

static void run_seeds(const struct options *o, uint32_t job, double until_s)
{
	for (uint64_t seed = o->first + job; seed <= o->last; seed += o->jobs) {
		if (o->seconds > 0 && now_s() > until_s)
			break;
		if (seed % REPLAY_EVERY == 0)
			run_twice(seed);
		else
			sim_world_run(seed);
		sim_totals.last_seed = seed;
	}
	sim_world_release();
}

static int run_one(const struct options *o)
{
	if (o->knobs) {
		sim_reset(o->first);
		sim_knobs_print(&sim.knobs);
		return 0;
	}
	sim_tell_steps(o->tell_from, o->tell_to);
	printf("seed %llu: digest %016llx\n", (unsigned long long)o->first,
	       (unsigned long long)sim_world_run(o->first));
	sim_world_release();
	return 0;
}

// ---- several -----------------------------------------------------------------------------------

static void totals_add(struct sim_totals *to, const struct sim_totals *add)
{
	to->worlds += add->worlds;
	to->steps += add->steps;
	to->turns += add->turns;
	to->connections += add->connections;
	to->completed += add->completed;
	to->requests += add->requests;
	to->tunnels += add->tunnels;
	to->exchanges += add->exchanges;
	to->cuts += add->cuts;
	to->last_seed = add->last_seed > to->last_seed ? add->last_seed : to->last_seed;
}

static void totals_tell(const struct sim_totals *t, double seconds)
{
	printf("%llu worlds (up to seed %llu) in %.1f s: %llu connections (%llu to their end), "
	       "%llu answers, %llu exchanges, %llu tunnels, %llu turns, %llu steps\n",
	       (unsigned long long)t->worlds, (unsigned long long)t->last_seed, seconds,
	       (unsigned long long)t->connections, (unsigned long long)t->completed,
	       (unsigned long long)t->requests, (unsigned long long)t->exchanges,
	       (unsigned long long)t->tunnels, (unsigned long long)t->turns,
	       (unsigned long long)t->steps);
}

static pid_t job_start(const struct options *o, uint32_t job, double until_s, int out)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	run_seeds(o, job, until_s);
	// A pipe takes so little whole.
	exit(write(out, &sim_totals, sizeof(sim_totals)) == sizeof(sim_totals) ? 0 : 1);
}

// Waits for all; the first that fails ends the others.
static int jobs_wait(pid_t *children, uint32_t count)
{
	int failed = 0, status;
	pid_t child;

	while ((child = wait(&status)) > 0 || errno == EINTR) {
		if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
			continue;
		for (uint32_t i = 0; i < count && !failed; i++) {
			if (children[i] != child)
				kill(children[i], SIGTERM);
		}
		failed = 1;
	}
	return failed;
}

static int run_jobs(const struct options *o)
{
	double started = now_s();
	struct sim_totals sum = {0}, part;
	pid_t children[JOBS_MAX];
	int pipes[2];

	if (pipe(pipes) < 0)
		return 1;
	for (uint32_t i = 0; i < o->jobs; i++) {
		children[i] = job_start(o, i, started + o->seconds, pipes[1]);
		if (children[i] < 0)
			return 1;
	}
	close(pipes[1]);
	int failed = jobs_wait(children, o->jobs);

	while (read(pipes[0], &part, sizeof(part)) == sizeof(part))
		totals_add(&sum, &part);
	close(pipes[0]);
	sim_world_release();
	totals_tell(&sum, now_s() - started);
	return failed || sum.worlds == 0;
}

// ---- options -----------------------------------------------------------------------------------

static bool parse_range(const char *text, uint64_t *from, uint64_t *to)
{
	char *end;

	*from = *to = strtoull(text, &end, 10);
	if (end == text)
		return false;
	if (*end == '-')
		*to = strtoull(end + 1, &end, 10);
	return *end == 0 && *from <= *to;
}

static bool parse_one(struct options *o, const char *name, const char *value)
{
	if (strcmp(name, "--seeds") == 0)
		return parse_range(value, &o->first, &o->last);
	if (strcmp(name, "--seconds") == 0) {
		o->seconds = strtod(value, NULL);
		return o->seconds > 0;
	}
	if (strcmp(name, "--jobs") == 0) {
		o->jobs = (uint32_t)strtoul(value, NULL, 10);
		return o->jobs > 0 && o->jobs <= JOBS_MAX;
	}
	if (strcmp(name, "--seed") == 0) {
		o->one = true;
		return parse_range(value, &o->first, &o->last) && o->first == o->last;
	}
	if (strcmp(name, "--steps") == 0)
		return parse_range(value, &o->tell_from, &o->tell_to);
	return strcmp(name, "--set") == 0 && sim_knobs_fix(value);
}

static bool parse(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--trace") == 0) {
			o->tell_from = 0;
			o->tell_to = UINT64_MAX;
		} else if (strcmp(argv[i], "--knobs") == 0) {
			o->knobs = true;
		} else if (i + 1 == argc || !parse_one(o, argv[i], argv[i + 1])) {
			return false;
		} else {
			i++;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options o = {.first = 1, .last = 2000, .tell_from = UINT64_MAX, .jobs = 2};

	if (!parse(&o, argc, argv)) {
		fputs(usage_text, stderr);
		return 2;
	}
	// Worlds come and go: keep their memory.
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	sim_world_prepare();
	return o.one ? run_one(&o) : run_jobs(&o);
}
