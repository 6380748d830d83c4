// Faults: one system call of the victim, of whichever thread, fails without having been made.
#define _GNU_SOURCE
#include "victim_internal.h"
#include "test_support.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__

// PTRACE_GET_SYSCALL_INFO, which glibc declares only in a header that can't be included beside <sys/ptrace.h>.
struct call_info {
    uint8_t op;
    uint8_t padding[3];
    uint32_t architecture;
    uint64_t instruction_pointer, stack_pointer;
    uint64_t number;
    uint64_t arguments[6];
};
enum { GET_SYSCALL_INFO = 0x420E, CALL_ENTRY = 1, CALL_EXIT = 2 };

static int is_any(uint64_t number, const int *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if ((uint64_t)numbers[i] == number) return 1;
    }
    return 0;
}
#define IS(...) is_any(call->number, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

// A call that makes what was stored durable, or writes it and waits.
static int is_flush(const struct call_info *call) {
    if (call->number == SYS_sync_file_range) return (call->arguments[3] & SYNC_FILE_RANGE_WAIT_AFTER) != 0;
    return IS(SYS_fsync, SYS_fdatasync);
}

// Which errno the call would have; 0: it can't fail in this way. Standard streams are the victim's own.
static int error_of(pid_t thread, const struct call_info *call, enum test_victim_fault fault) {
    const uint64_t *arguments = call->arguments;
    int is_lock = call->number == SYS_fcntl && (arguments[1] == F_OFD_SETLK || arguments[1] == F_OFD_GETLK);
    if (IS(SYS_read, SYS_write, SYS_fstat, SYS_fcntl, SYS_lseek) && arguments[0] <= 2) return 0;
    switch (fault) {
    case TEST_FAULT_IO:
        if (is_flush(call)) return EIO;
        return IS(SYS_openat, SYS_open, SYS_read, SYS_pread64, SYS_write, SYS_pwrite64, SYS_fallocate, SYS_ftruncate,
                  SYS_msync, SYS_rename, SYS_renameat, SYS_renameat2, SYS_link, SYS_linkat,
                  SYS_unlink, SYS_unlinkat, SYS_mkdir, SYS_mkdirat, SYS_rmdir, SYS_getdents64, SYS_fstat, SYS_newfstatat,
                  SYS_stat, SYS_lstat, SYS_statx, SYS_fstatfs, SYS_statfs, SYS_fchmod, SYS_chmod, SYS_copy_file_range, SYS_lseek,
                  SYS_readlink, SYS_readlinkat) ? EIO : 0;
    case TEST_FAULT_FLUSH: return is_flush(call) ? EIO : 0;
    case TEST_FAULT_NO_SPACE:
        if (call->number == SYS_openat) return arguments[2] & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? ENOSPC : 0;
        if (is_flush(call)) return ENOSPC;
        return IS(SYS_write, SYS_pwrite64, SYS_fallocate, SYS_rename, SYS_renameat, SYS_renameat2,
                  SYS_link, SYS_linkat, SYS_mkdir, SYS_mkdirat, SYS_copy_file_range) ? ENOSPC : 0;
    case TEST_FAULT_INTERRUPTED:
        if (call->number == SYS_fcntl) return is_lock ? EINTR : 0;
        return IS(SYS_openat, SYS_open, SYS_read, SYS_pread64, SYS_write, SYS_pwrite64, SYS_fallocate, SYS_ftruncate,
                  SYS_copy_file_range, SYS_statfs, SYS_fstatfs) ? EINTR : 0;
    case TEST_FAULT_TOO_MANY_FILES:
        return IS(SYS_openat, SYS_open) ? EMFILE : 0;
    case TEST_FAULT_NO_MEMORY:
        // Anonymous memory is malloc's: no library survives that in Swift.
        if (call->number == SYS_mmap) return arguments[3] & MAP_ANONYMOUS ? 0 : ENOMEM;
        if (call->number == SYS_madvise) return arguments[2] == MADV_DONTNEED || arguments[2] == MADV_FREE ? 0 : ENOMEM;
        return IS(SYS_openat, SYS_open, SYS_fallocate, SYS_mkdir, SYS_linkat, SYS_rename, SYS_renameat2) ? ENOMEM : 0;
    case TEST_FAULT_REFUSED:
        // To give back a lock of one byte takes no memory, so that can't be refused.
        if (is_lock) return (short)ptrace(PTRACE_PEEKDATA, thread, arguments[2], 0) == F_UNLCK ? 0 : ENOLCK;
        if (call->number == SYS_membarrier) return EPERM;
        return IS(SYS_clone, SYS_clone3) ? EAGAIN : 0;
    case TEST_FAULT_SHORT:
        // Not of getdents64, whose buffer may be cut only between entries.
        if (IS(SYS_read, SYS_pread64, SYS_write, SYS_pwrite64)) return arguments[2] > 1 ? -1 : 0;
        return call->number == SYS_copy_file_range && arguments[4] > 1 ? -1 : 0;
    }
    return 0;
}

static void set_register(pid_t thread, size_t offset, long value) { ptrace(PTRACE_POKEUSER, thread, offset, value); }

// True: `HEX16.mlog`, and neither a name that isn't published yet nor one that is gone.
static int is_segment(pid_t process, uint64_t file) {
    char path[64], target[1024];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", process, (int)file);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length <= 0) return 0;
    target[length] = 0;
    const char *name = strrchr(target, '/');
    return name != NULL && strspn(name + 1, "0123456789abcdef") == 16 && strcmp(name + 17, ".mlog") == 0;
}

static void note_failure(test_victim *victim, pid_t thread, const struct call_info *call) {
    test_victim_outcome *outcome = &victim->outcome;
    outcome->last_call = (int64_t)call->number;
    outcome->failed_ns = test_now_ns();
    outcome->failed_first = thread == victim->process;
    outcome->failed_flush = is_flush(call);
    outcome->failed_segment =
        is_flush(call) && call->number != SYS_fsync && is_segment(victim->process, call->arguments[0]);
}

void test_inject(test_victim *victim) {
    test_victim_outcome *outcome = &victim->outcome;
    test_victim_order order = victim->order;
    pid_t failing = 0;
    int error = 0;
    ptrace(PTRACE_SETOPTIONS, victim->process, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE);
    ptrace(PTRACE_SYSCALL, victim->process, 0, 0);
    while (1) {
        int status = 0;
        pid_t thread = test_victim_wait(-1, &status);
        if (thread < 0) break;
        if (!WIFSTOPPED(status)) {
            if (thread != victim->process) continue;
            victim->has_ended = 1;
            outcome->status = status;
            break;
        }
        int signal = WSTOPSIG(status), forwarded = 0;
        if (signal == (SIGTRAP | 0x80)) {
            struct call_info call = {0};
            ptrace(GET_SYSCALL_INFO, thread, sizeof call, &call);
            if (call.op == CALL_ENTRY) {
                int would_be = error_of(thread, &call, order.fault);
                if (would_be != 0 && outcome->points++ == order.count) {
                    note_failure(victim, thread, &call);
                    if (would_be > 0) {
                        failing = thread;
                        error = would_be;
                        set_register(thread, offsetof(struct user, regs.orig_rax), -1);
                    } else {
                        int is_copy = call.number == SYS_copy_file_range;
                        size_t asked = is_copy ? offsetof(struct user, regs.r8) : offsetof(struct user, regs.rdx);
                        set_register(thread, asked, (long)(call.arguments[is_copy ? 4 : 2] / 2));
                    }
                }
            } else if (call.op == CALL_EXIT && thread == failing) {
                set_register(thread, offsetof(struct user, regs.rax), -error);
                failing = 0;
            }
        } else if (signal != SIGTRAP && signal != SIGSTOP && signal != SIGUSR2) {
            forwarded = signal;
        }
        // SIGTRAP: a thread was made; SIGSTOP: it begins.
        ptrace(PTRACE_SYSCALL, thread, 0, forwarded);
    }
    outcome->end = TEST_VICTIM_EXITED;
}

#else
void test_inject(test_victim *victim) { victim->outcome.end = TEST_VICTIM_EXITED; }
#endif
