#define _GNU_SOURCE
#include "victim_internal.h"
#include "test_support.h"
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void test_mark(void) {
    // Ignored where nobody traces; who traces sees it all the same. No libc function that does more behind it.
    signal(SIGUSR2, SIG_IGN);
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR2);
}

pid_t test_victim_wait(pid_t thread, int *status) {
    pid_t waited;
    // __WNOTHREAD: what other threads of this process wait for is theirs.
    do waited = waitpid(thread, status, __WALL | __WNOTHREAD);
    while (waited < 0 && errno == EINTR);
    return waited;
}

int test_victim_kill(test_victim *victim) {
    int status = 0;
    if (victim->has_ended) return status;
    kill(victim->process, SIGKILL);
    while (test_victim_wait(victim->process, &status) == victim->process) {
        if (WIFEXITED(status) || WIFSIGNALED(status)) break;
    }
    victim->has_ended = 1;
    return status;
}

static void run_child(test_victim *victim, pid_t parent) {
    if (dup2(victim->output, STDOUT_FILENO) < 0) _exit(126);
    test_die_with_parent();
    // The thread that starts it may have blocked what the marks are made of.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (getppid() != parent || ptrace(PTRACE_TRACEME, 0, 0, 0) != 0) _exit(126);
    execv(victim->arguments[0], victim->arguments);
    _exit(127);
}

// Returns 0 when the victim has marked.
static int run_to_mark(test_victim *victim) {
    int status = 0;
    if (test_victim_wait(victim->process, &status) < 0) return -errno;
    if (!WIFSTOPPED(status)) {
        victim->has_ended = 1;
        return WEXITSTATUS(status) == 126 ? -EPERM : -ECHILD;
    }
    if (ptrace(PTRACE_SETOPTIONS, victim->process, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD) != 0) return -errno;
    int forwarded = 0;
    while (1) {
        if (ptrace(PTRACE_CONT, victim->process, 0, forwarded) != 0) return -errno;
        if (test_victim_wait(victim->process, &status) < 0) return -errno;
        if (!WIFSTOPPED(status)) {
            victim->has_ended = 1;
            return victim->is_late ? -ETIME : -ECHILD;
        }
        if (WSTOPSIG(status) == SIGUSR2) return 0;
        forwarded = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    }
}

static void *trace(void *argument) {
    test_victim *victim = argument;
    // On one processor with the victim, a step costs no wake of another.
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);
    pid_t parent = getpid();
    pid_t process = fork();
    if (process == 0) run_child(victim, parent);
    pthread_mutex_lock(&victim->lock);
    victim->process = process;
    victim->has_ended = process < 0;
    pthread_mutex_unlock(&victim->lock);
    int status = process < 0 ? -errno : run_to_mark(victim);

    pthread_mutex_lock(&victim->lock);
    victim->start_status = status;
    victim->has_answer = 1;
    pthread_cond_broadcast(&victim->changed);
    while (1) {
        while (!victim->has_order && !victim->must_end) pthread_cond_wait(&victim->changed, &victim->lock);
        if (victim->must_end) break;
        victim->has_order = 0;
        pthread_mutex_unlock(&victim->lock);
        memset(&victim->outcome, 0, sizeof victim->outcome);
        victim->outcome.last_call = -1;
        if (victim->order.mode == TEST_VICTIM_FAULTS) test_inject(victim);
        else test_step(victim);
        pthread_mutex_lock(&victim->lock);
        victim->has_answer = 1;
        pthread_cond_broadcast(&victim->changed);
    }
    pthread_mutex_unlock(&victim->lock);
    test_victim_kill(victim);
    return NULL;
}

// Waits for the tracer's answer. The victim is killed when that takes too long, which ends whatever the tracer is at.
static void await_answer(test_victim *victim, double seconds) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    double nanoseconds = (double)end.tv_nsec + seconds * 1e9;
    end.tv_sec += (time_t)(nanoseconds / 1e9);
    end.tv_nsec = (long)(nanoseconds - (double)(time_t)(nanoseconds / 1e9) * 1e9);
    pthread_mutex_lock(&victim->lock);
    while (!victim->has_answer) {
        if (victim->is_late) {
            pthread_cond_wait(&victim->changed, &victim->lock);
        } else if (pthread_cond_clockwait(&victim->changed, &victim->lock, CLOCK_MONOTONIC, &end) == ETIMEDOUT) {
            victim->is_late = 1;
            if (victim->process > 0 && !victim->has_ended) kill(victim->process, SIGKILL);
        }
    }
    victim->has_answer = 0;
    pthread_mutex_unlock(&victim->lock);
}

int test_victim_start(test_victim **made, char *const arguments[], int output, const char *directory, double seconds) {
    test_victim *victim = calloc(1, sizeof *victim);
    if (victim == NULL) return -ENOMEM;
    if (strlen(directory) >= sizeof victim->directory) {
        free(victim);
        return -ENAMETOOLONG;
    }
    victim->arguments = arguments;
    victim->output = output;
    strcpy(victim->directory, directory);
    pthread_mutex_init(&victim->lock, NULL);
    pthread_cond_init(&victim->changed, NULL);
    int status = -pthread_create(&victim->tracer, NULL, trace, victim);
    if (status == 0) {
        await_answer(victim, seconds);
        status = victim->start_status;
        if (status == 0) {
            *made = victim;
            return 0;
        }
        test_victim_free(victim);
        return status;
    }
    free(victim);
    return status;
}

pid_t test_victim_id(const test_victim *victim) { return victim->process; }

test_victim_outcome test_victim_run(test_victim *victim, test_victim_order order) {
    pthread_mutex_lock(&victim->lock);
    victim->order = order;
    victim->has_order = 1;
    pthread_cond_broadcast(&victim->changed);
    pthread_mutex_unlock(&victim->lock);
    await_answer(victim, order.seconds);
    if (victim->is_late) victim->outcome.end = TEST_VICTIM_LATE;
    return victim->outcome;
}

void test_victim_free(test_victim *victim) {
    pthread_mutex_lock(&victim->lock);
    victim->must_end = 1;
    pthread_cond_broadcast(&victim->changed);
    pthread_mutex_unlock(&victim->lock);
    pthread_join(victim->tracer, NULL);
    pthread_cond_destroy(&victim->changed);
    pthread_mutex_destroy(&victim->lock);
    free(victim);
}

int test_victim_is_possible(void) {
#ifdef __x86_64__
    char *const arguments[] = {"/bin/true", NULL};
    test_victim *victim = NULL;
    int status = test_victim_start(&victim, arguments, STDERR_FILENO, "/", 10);
    // It ended without a mark: so it was traced.
    if (status == -ECHILD) return 0;
    return status != 0 ? status : -EPROTO;
#else
    return -ENOSYS;
#endif
}
