// SPDX-License-Identifier: GPL-3.0-or-later
// control/confine: the real filter, in a child of its own each time: what kills, what fails and is told, what
// still works, and that no thread is left out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "common/log.h"
#include "control/confine.h"
#include "control/privileges.h"

#define DONE 42

// Runs body in a confined child: its wait status.
static int confined(void (*body)(void))
{
	struct reason why = {0};
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (privileges_prepare(&why) != ERR_OK || confine_process(&why) != ERR_OK) {
			fprintf(stderr, "%s\n", why.text);
			_exit(1);
		}
		body();
		_exit(DONE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void runs(void (*body)(void))
{
	int status = confined(body);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != DONE)
		fail_msg("ended with status 0x%x", status);
}

static void dies(void (*body)(void))
{
	int status = confined(body);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
		fail_msg("not killed: status 0x%x", status);
}

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			char text[] = "line xxxx\n";                                               \
                                                                                                   \
			snprintf(text, sizeof(text), "line %4d", __LINE__);                        \
			(void)!write(STDERR_FILENO, text, strlen(text));                           \
			_exit(2);                                                                  \
		}                                                                                  \
	} while (0)

// ---- deadly ------------------------------------------------------------------------------------

static void do_exec(void)
{
	char *argv[] = {"true", NULL};

	execve("/bin/true", argv, NULL);
}
static void do_ring(void)
{
	struct io_uring_params p = {0};

	syscall(SYS_io_uring_setup, 8, &p);
}
static void do_memory(void)
{
	struct iovec v = {&v, 1};

	process_vm_readv(getpid(), &v, 1, &v, 1, 0);
}
static void do_unshare(void)
{
	unshare(CLONE_NEWUSER);
}
static void do_vfork(void)
{
#ifdef SYS_vfork
	syscall(SYS_vfork);
#else
	syscall(SYS_unshare, 0);
#endif
}

static void what_only_an_intruder_asks_for(void **state)
{
	(void)state;
	dies(do_exec);
	dies(do_ring);
	dies(do_memory);
	dies(do_unshare);
	dies(do_vfork);
}

// ---- refused -----------------------------------------------------------------------------------

static bool is_refused(long result)
{
	return result == -1 && errno == EPERM;
}

static void ask_what_is_not_listed(void)
{
	uint64_t before = confine_refused();

	MUST(is_refused(syscall(SYS_sethostname, "x", 1)));
	MUST(is_refused(syscall(SYS_fchdir, 0)));
	MUST(is_refused(socket(AF_PACKET, SOCK_RAW, 0)));
	MUST(is_refused(socket(AF_INET, SOCK_RAW, 6))); // though CAP_NET_RAW is kept
	MUST(is_refused(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, 6)));
	MUST(is_refused(socket(AF_VSOCK, SOCK_STREAM, 0)));
	MUST(is_refused(syscall(SYS_mkdirat, AT_FDCWD, "/tmp/x", 0700)));
	MUST(confine_refused() == before + 7);
}

static void ask_for_code_and_processes(void)
{
#if !defined(__SANITIZE_ADDRESS__)
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(page != MAP_FAILED);
	MUST(is_refused(mprotect(page, 4096, PROT_READ | PROT_EXEC)));
	MUST(mprotect(page, 4096, PROT_READ) == 0);
	MUST(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	     MAP_FAILED);
	MUST(is_refused(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)));
	MUST(is_refused(kill(1, 0)));
	MUST(is_refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)));
#endif
}

static void what_is_not_listed_fails(void **state)
{
	(void)state;
	runs(ask_what_is_not_listed);
	runs(ask_for_code_and_processes);
}

// ---- allowed -----------------------------------------------------------------------------------

static void *nothing(void *argument)
{
	return argument;
}

static void serve(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int udp = socket(AF_INET6, SOCK_DGRAM, 0), unix_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
	pthread_t thread;
	char *memory = malloc(1 << 22), byte;
	int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0 && udp >= 0 && unix_fd >= 0 && netlink >= 0 && memory && file >= 0);
	MUST(read(file, &byte, 1) == 1);
	memset(memory, 1, 1 << 22);
	free(memory);
	MUST(pthread_create(&thread, NULL, nothing, NULL) == 0); // the resolver's
	MUST(pthread_join(thread, NULL) == 0);
	MUST(listen(fd, 1) == 0);
	MUST(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 0);
	MUST(prctl(PR_SET_NAME, "worker") == 0);
	MUST(confine_refused() == 0);
}

static void what_a_proxy_does_still_works(void **state)
{
	(void)state;
	runs(serve);
}

static void abort_it(void)
{
	abort();
}

// A broken invariant still ends the process as what it is.
static void abort_is_an_abort(void **state)
{
	int status = confined(abort_it);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

// ---- threads -----------------------------------------------------------------------------------

static sem_t go;
static _Atomic long results[2];

static void *asks(void *argument)
{
	sem_wait(&go);
	results[(intptr_t)argument] = is_refused(syscall(SYS_sethostname, "x", 1)) ? 1 : 2;
	return NULL;
}

static void threads_of_before_and_after(void **state)
{
	struct reason why = {0};
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		pthread_t before, after;

		sem_init(&go, 0, 0);
		MUST(privileges_prepare(&why) == ERR_OK);
		MUST(pthread_create(&before, NULL, asks, (void *)0) == 0);
		MUST(confine_process(&why) == ERR_OK);
		MUST(pthread_create(&after, NULL, asks, (void *)1) == 0);
		sem_post(&go);
		sem_post(&go);
		pthread_join(before, NULL);
		pthread_join(after, NULL);
		MUST(results[0] == 1 && results[1] == 1);
		_exit(DONE);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == DONE);
}

// ---- told --------------------------------------------------------------------------------------

static int lines[2];

static void ask_twice_and_report(void)
{
	log_init("test", LOG_INFO);
	for (int i = 0; i < 5; i++) {
		(void)!syscall(SYS_sethostname, "x", 1);
		confine_report();
	}
	(void)!syscall(SYS_fchdir, 0);
	confine_report();
}

static void each_call_is_told_once(void **state)
{
	char text[4096] = "", *line, *rest = text;
	uint32_t count = 0;
	int kept;

	(void)state;
	assert_int_equal(pipe(lines), 0);
	kept = dup(STDERR_FILENO); // the child could not: dup2 is not listed
	dup2(lines[1], STDERR_FILENO);
	runs(ask_twice_and_report);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(lines[1]);
	assert_true(read(lines[0], text, sizeof(text) - 1) > 0);
	close(lines[0]);
	assert_non_null(strstr(text, "\"name\":\"sethostname\""));
	assert_non_null(strstr(text, "\"name\":\"fchdir\""));
	while ((line = strsep(&rest, "\n")) != NULL && *line) {
		assert_non_null(strstr(line, "\"event\":\"system_call_refused\""));
		count++;
	}
	assert_int_equal(count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_only_an_intruder_asks_for),
		cmocka_unit_test(what_is_not_listed_fails),
		cmocka_unit_test(what_a_proxy_does_still_works),
		cmocka_unit_test(abort_is_an_abort),
		cmocka_unit_test(threads_of_before_and_after),
		cmocka_unit_test(each_call_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
