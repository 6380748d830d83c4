// Single steps: the victim's marking thread, one instruction at a time, with an eye on the memory it shares.
#define _GNU_SOURCE
#include "victim_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__

enum { PAGE = 4096 };

static void add_watch(test_victim *victim, const char *path) {
    for (int i = 0; i < victim->watch_count; i++) {
        if (strcmp(victim->watches[i].path, path) == 0) return;
    }
    if (victim->watch_count == TEST_WATCHES || strlen(path) >= sizeof victim->watches[0].path) return;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat status;
    if (file < 0) return;
    if (fstat(file, &status) == 0 && status.st_size > 0) {
        test_watch *watch = &victim->watches[victim->watch_count];
        watch->byte_count = (size_t)status.st_size;
        void *bytes = mmap(NULL, watch->byte_count, PROT_READ, MAP_SHARED | MAP_POPULATE, file, 0);
        watch->before = malloc(watch->byte_count);
        if (bytes != MAP_FAILED && watch->before != NULL) {
            watch->bytes = bytes;
            memcpy(watch->before, bytes, watch->byte_count);
            size_t end = watch->byte_count > PAGE ? watch->byte_count - PAGE : 0;
            while (end > 0 && watch->before[end - 1] == 0) end--;
            // One page before: what is there already may be followed by what was begun.
            watch->end = end < PAGE ? 0 : end / PAGE * PAGE - PAGE;
            strcpy(watch->path, path);
            victim->watch_count++;
        }
    }
    close(file);
}

// Every file below the directory that the victim maps writable and shared.
static void find_watches(test_victim *victim) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/maps", victim->process);
    FILE *maps = fopen(path, "re");
    if (maps == NULL) return;
    while (fgets(line, sizeof line, maps) != NULL) {
        char *name = strchr(line, '/');
        if (name == NULL || strstr(line, " rw-s ") == NULL) continue;
        name[strcspn(name, "\n")] = 0;
        if (strncmp(name, victim->directory, strlen(victim->directory)) == 0) add_watch(victim, name);
    }
    fclose(maps);
}

static void drop_watches(test_victim *victim) {
    for (int i = 0; i < victim->watch_count; i++) {
        munmap((void *)victim->watches[i].bytes, victim->watches[i].byte_count);
        free(victim->watches[i].before);
    }
    victim->watch_count = 0;
}

static int range_has_changed(test_watch *watch, size_t from, size_t count) {
    if (from >= watch->byte_count) return 0;
    if (count > watch->byte_count - from) count = watch->byte_count - from;
    if (memcmp(watch->before + from, watch->bytes + from, count) == 0) return 0;
    memcpy(watch->before + from, watch->bytes + from, count);
    return 1;
}

// Looks only where stores are expected: the first page, the last one, and where what was written ends.
static int has_changed(test_victim *victim) {
    int changed = 0;
    for (int i = 0; i < victim->watch_count; i++) {
        test_watch *watch = &victim->watches[i];
        changed |= range_has_changed(watch, 0, PAGE);
        if (watch->byte_count <= PAGE) continue;
        changed |= range_has_changed(watch, watch->end, 4 * PAGE);
        changed |= range_has_changed(watch, watch->byte_count - PAGE, PAGE);
    }
    return changed;
}

// A store anywhere else was missed as a point.
static int has_missed(test_victim *victim) {
    int missed = 0;
    has_changed(victim);   // what the kernel stored when the process died
    for (int i = 0; i < victim->watch_count; i++) {
        missed |= range_has_changed(&victim->watches[i], 0, victim->watches[i].byte_count);
    }
    return missed;
}

// System calls that change nothing that another process, or a later one, could see.
static int changes_nothing(int64_t call) {
    static const int64_t calls[] = {
        SYS_read, SYS_pread64, SYS_fstat, SYS_stat, SYS_lstat, SYS_newfstatat, SYS_statx, SYS_lseek, SYS_getdents64,
        SYS_brk, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_getpid, SYS_gettid,
        SYS_clock_gettime, SYS_clock_nanosleep, SYS_nanosleep, SYS_getrandom, SYS_sched_yield, SYS_statfs, SYS_fstatfs,
        SYS_readlink, SYS_readlinkat, SYS_geteuid, SYS_getuid, SYS_prctl, SYS_sched_getaffinity, SYS_prlimit64, SYS_uname,
        SYS_membarrier, SYS_access, SYS_faccessat, SYS_faccessat2, SYS_poll, SYS_getcwd, SYS_tgkill, SYS_rseq,
        SYS_set_robust_list, SYS_set_tid_address, SYS_sysinfo, SYS_madvise,
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (calls[i] == call) return 1;
    }
    return 0;
}

void test_step(test_victim *victim) {
    test_victim_outcome *outcome = &victim->outcome;
    test_victim_order order = victim->order;
    find_watches(victim);
    int by_calls = order.mode == TEST_VICTIM_CALLS, is_inside = 0;
    long forwarded = 0;
    while (1) {
        uint64_t done = order.mode == TEST_VICTIM_INSTRUCTIONS ? outcome->instructions : outcome->points;
        if (done >= order.count) {
            outcome->status = test_victim_kill(victim);
            outcome->end = TEST_VICTIM_KILLED;
            break;
        }
        int status = 0;
        ptrace(by_calls ? PTRACE_SYSCALL : PTRACE_SINGLESTEP, victim->process, 0, forwarded);
        if (test_victim_wait(victim->process, &status) < 0 || !WIFSTOPPED(status)) {
            victim->has_ended = 1;
            outcome->status = status;
            outcome->end = TEST_VICTIM_EXITED;
            break;
        }
        int signal = WSTOPSIG(status);
        if (signal == SIGUSR2) {
            outcome->end = TEST_VICTIM_MARKED;
            break;
        }
        forwarded = (signal & 0x7F) == SIGTRAP ? 0 : signal;
        outcome->instructions++;
        // Not -1: the step was a system call, or it stands before one.
        int64_t call = ptrace(PTRACE_PEEKUSER, victim->process, offsetof(struct user, regs.orig_rax), 0);
        if (signal == (SIGTRAP | 0x80)) is_inside = !is_inside;
        if (is_inside) call = -1;
        if (call == SYS_mmap) find_watches(victim);
        if (has_changed(victim) || (call >= 0 && !changes_nothing(call))) {
            outcome->points++;
            outcome->last_call = call;
        }
    }
    outcome->has_missed = has_missed(victim);
    drop_watches(victim);
}

#else
void test_step(test_victim *victim) { victim->outcome.end = TEST_VICTIM_EXITED; }
#endif
