// SPDX-License-Identifier: GPL-3.0-or-later
// The CA's seccomp filter, in classic BPF: a linear list is quick enough for a process that is
// called a few times a second. What is not listed fails with EPERM instead of killing: a libc that
// tries a newer call first falls back, and a failed signature is a log line, a dead CA is an
// outage.
#include "ca/ca_confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__)
// Its runtime makes calls of its own at any time.
#elif defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
#endif

#ifdef CONFINE_ARCH
static const uint32_t allowed[] = {
	SYS_read,	SYS_write,  SYS_recvfrom,	SYS_sendto,	  SYS_close,
	SYS_openat,	SYS_fstat,  SYS_newfstatat,	SYS_statx,	  SYS_lseek,
	SYS_getdents64, SYS_fsync,  SYS_fchmod,		SYS_unlinkat,	  SYS_renameat2,
	SYS_renameat,	SYS_mmap,   SYS_munmap,		SYS_mprotect,	  SYS_mremap,
	SYS_madvise,	SYS_brk,    SYS_getrandom,	SYS_futex,	  SYS_clock_gettime,
	SYS_getpid,	SYS_gettid, SYS_exit,		SYS_exit_group,	  SYS_rt_sigreturn,
	SYS_fcntl,	SYS_writev, SYS_rt_sigprocmask, SYS_rt_sigaction,
#ifdef SYS_rename
	SYS_rename,	SYS_unlink, SYS_open,		SYS_stat,	  SYS_lstat,
#endif
};

#define ALLOWED_COUNT (sizeof(allowed) / sizeof(allowed[0]))

enum err ca_confine(void)
{
	struct sock_filter code[ALLOWED_COUNT + 8];
	struct sock_fprog program = {.filter = code};
	unsigned at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, arch));
	code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CONFINE_ARCH, 1, 0);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						  offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < ALLOWED_COUNT; i++) {
		uint8_t to_allow = (uint8_t)(ALLOWED_COUNT - i);

		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
							  to_allow, 0);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = (unsigned short)at;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return ERR_IO;
	return ERR_OK;
}
#else
enum err ca_confine(void)
{
	return ERR_UNSUPPORTED;
}
#endif
