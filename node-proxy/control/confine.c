// SPDX-License-Identifier: GPL-3.0-or-later
// The lists of confine.h. A call that is not listed traps: the handler below makes it EPERM and remembers its
// number, which the control thread logs.
#include "control/confine.h"

#include <errno.h>
#include <netdb.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>
#include "common/log.h"

#define NUMBERS_MAX 1024
#define TYPE_MASK   0xf // of a socket's type: the rest are flags

// gcc says it by a macro, clang by a feature.
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

static _Atomic uint64_t refused;
static _Atomic uint64_t seen[NUMBERS_MAX / 64];
static uint64_t told[NUMBERS_MAX / 64]; // the control thread's

static const int allowed[] = {
	// rings, sockets, waiting
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(listen),
	SCMP_SYS(shutdown),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2),
	// files: token, roots, last good snapshot, rules.json, the log
	SCMP_SYS(openat),
	SCMP_SYS(close),
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(lseek),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(fsync),
	SCMP_SYS(fchmod),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(umask),
	SCMP_SYS(getdents64),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	// memory and threads
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(membarrier),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	// who and when
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(prlimit64),
	SCMP_SYS(getrlimit),
};

#ifdef SANITIZED
// Its runtime stops threads and looks at their memory when it searches for leaks.
static const int sanitizers[] = {
	SCMP_SYS(clone),    SCMP_SYS(ptrace), SCMP_SYS(wait4),	SCMP_SYS(prctl), SCMP_SYS(mmap),
	SCMP_SYS(mprotect), SCMP_SYS(kill),   SCMP_SYS(tgkill), SCMP_SYS(ioctl), SCMP_SYS(getppid),
};
#endif

// Nobody who serves traffic asks for these.
static const int deadly[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(fsopen),
	SCMP_SYS(pivot_root),
	SCMP_SYS(chroot),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(capset),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
#ifndef SANITIZED
	SCMP_SYS(ptrace),
#endif
};

// ---- what is refused ---------------------------------------------------------------------------

// Async-signal-safe: two atomics and a register.
static void on_refused(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	unsigned int number = (unsigned int)info->si_syscall;

	(void)signal;
	atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
	if (number < NUMBERS_MAX)
		atomic_fetch_or_explicit(&seen[number / 64], 1ull << number % 64,
					 memory_order_relaxed);
#if defined(__x86_64__)
	u->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
	u->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#else
#error "the register of a system call's result is not known for this machine"
#endif
}

void confine_report(void)
{
	for (unsigned int number = 0; number < NUMBERS_MAX; number++) {
		uint64_t bit = 1ull << number % 64;

		if (number % 64 == 0 && !(atomic_load(&seen[number / 64]) & ~told[number / 64])) {
			number += 63; // none of this word
			continue;
		}
		if (!(atomic_load(&seen[number / 64]) & bit & ~told[number / 64]))
			continue;
		told[number / 64] |= bit;
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);

		log_event(LOG_ERROR, "system_call_refused", LOG_N("number", number),
			  LOG_S("name", name ? name : "unknown"));
		free(name);
	}
}

uint64_t confine_refused(void)
{
	return atomic_load_explicit(&refused, memory_order_relaxed);
}

// ---- the filter --------------------------------------------------------------------------------

static int add_list(scmp_filter_ctx f, uint32_t action, const int *list, size_t count)
{
	int rc = 0;

	// A call that this machine's kernel does not have is no rule.
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = seccomp_rule_add(f, action, list[i], 0);
		if (rc == -EDOM || rc == -EFAULT)
			rc = 0;
	}
	return rc;
}

// Calls of which only some arguments are allowed.
static int add_memory(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp thread =
		SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM);
	int rc = 0;

#ifndef SANITIZED
	rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_code);
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_code);
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, thread);
#else
	(void)no_code;
	(void)thread;
#endif
	// clone3's flags lie in memory, where a filter cannot look: the C library falls back to clone.
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return rc;
}

// CAP_NET_RAW is there for transparent sockets; it opens no raw one.
static int add_sockets(scmp_filter_ctx f)
{
	static const int inet[] = {AF_INET, AF_INET6}, types[] = {SOCK_STREAM, SOCK_DGRAM};
	static const int whole[] = {AF_UNIX, AF_NETLINK};
	int rc = 0;

	for (int i = 0; i < 4 && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)inet[i / 2], 0),
				      SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_MASK,
					      (scmp_datum_t)types[i % 2]));
	for (int i = 0; i < 2 && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)whole[i], 0));
	return rc;
}

// abort() of itself, names of threads, and what the resolver asks of its socket.
static int add_small(scmp_filter_ctx f)
{
	int rc = 0;

#ifndef SANITIZED
	rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			      SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				      SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				      SCMP_A1(SCMP_CMP_EQ, FIONREAD, 0));
#else
	rc = add_list(f, SCMP_ACT_ALLOW, sanitizers, sizeof(sanitizers) / sizeof(sanitizers[0]));
#endif
	return rc;
}

static int load(scmp_filter_ctx f)
{
	int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);

	if (rc == 0)
		rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (rc == 0)
		rc = add_list(f, SCMP_ACT_ALLOW, allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (rc == 0)
		rc = add_list(f, SCMP_ACT_KILL_PROCESS, deadly, sizeof(deadly) / sizeof(deadly[0]));
	if (rc == 0)
		rc = add_memory(f);
	if (rc == 0)
		rc = add_sockets(f);
	if (rc == 0)
		rc = add_small(f);
	return rc == 0 ? seccomp_load(f) : rc;
}

// The resolver loads what nsswitch.conf names when it is first asked; later, code can no longer be mapped.
static void load_resolver(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

	if (getaddrinfo("localhost", NULL, &hints, &list) == 0)
		freeaddrinfo(list);
}

enum err confine_process(struct reason *why)
{
	struct sigaction trap = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_RESTART};
	scmp_filter_ctx f;
	int rc;

	load_resolver();
	sigemptyset(&trap.sa_mask);
	if (sigaction(SIGSYS, &trap, NULL) < 0)
		return err_because(ERR_IO, why, "SIGSYS: %s", strerror(errno));
	f = seccomp_init(SCMP_ACT_TRAP);
	if (!f)
		return err_because(ERR_NOMEM, why, "no memory for a seccomp filter");
	rc = load(f);
	seccomp_release(f);
	return rc == 0 ? ERR_OK
		       : err_because(ERR_UNSUPPORTED, why, "seccomp filter: %s", strerror(-rc));
}
