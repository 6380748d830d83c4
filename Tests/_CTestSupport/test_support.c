#define _GNU_SOURCE
#include "test_support.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <linux/futex.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

pid_t test_fork(int outlives_parent) {
    pid_t child = fork();
    if (child == 0 && !outlives_parent) test_die_with_parent();
    return child;
}

pid_t test_fork_waiting(const uint64_t *word) {
    pid_t child = fork();
    if (child != 0) return child;
    for (int i = 0; i < 3000 && test_load(word) == 0; i++) test_sleep_ns(10000000);
    _exit(0);
}

int test_lost_by_grandchild(void) {
    pid_t child = fork();
    if (child == 0) {
        int opened[32];
        for (int i = 0; i < 32; i++) {
            opened[i] = open("/dev/null", O_RDONLY);
            if (opened[i] < 0) _exit(255);
        }
        pid_t grandchild = fork();
        if (grandchild == 0) {
            int lost = 0;
            for (int i = 0; i < 32; i++) lost += fcntl(opened[i], F_GETFD) < 0;
            _exit(lost);
        }
        int status = test_reap(grandchild);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 255);
    }
    int status = test_reap(child);
    return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : -1;
}

void test_die_with_parent(void) { prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }

int test_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int test_pidfd(pid_t process) {
    long descriptor = syscall(SYS_pidfd_open, process, 0);
    return descriptor < 0 ? -errno : (int)descriptor;
}

pid_t test_spawn(const char *path, char *const arguments[], int output) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    // A thread of a pool may have signals blocked, which a child would inherit.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    pid_t process = 0;
    int status = posix_spawn(&process, path, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return status != 0 ? -status : process;
}

int test_reap(pid_t process) {
    int status = 0;
    pid_t reaped;
    do reaped = waitpid(process, &status, 0);
    while (reaped < 0 && errno == EINTR);
    return reaped == process ? status : -1;
}

int test_wait_readable(int descriptor, int64_t milliseconds) {
    uint64_t end = test_now_ns() + (uint64_t)(milliseconds > 0 ? milliseconds : 0) * 1000000u;
    while (1) {
        uint64_t now = test_now_ns();
        struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
        int count = poll(&wanted, 1, now < end ? (int)((end - now) / 1000000u) + 1 : 0);
        if (count > 0) return 1;
        if (count == 0 && now >= end) return 0;
        if (count < 0 && errno != EINTR) return 0;
    }
}

uint64_t test_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void test_sleep_ns(uint64_t nanoseconds) {
    struct timespec left = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

int test_take_locks(int descriptor) {
    int taken = flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    const int commands[] = {F_OFD_SETLK, F_SETLK};
    for (int i = 0; i < 2; i++) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        if (fcntl(descriptor, commands[i], &lock) == 0) {
            taken++;
            continue;
        }
        lock.l_type = F_RDLCK;
        taken += fcntl(descriptor, commands[i], &lock) == 0;
    }
    return taken;
}

int test_map_for_writing(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return 0;
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (memory == MAP_FAILED) return 0;
    munmap(memory, 4096);
    return 1;
}

void test_wake_all_words(const char *path) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    uint32_t *words = mmap(NULL, 4096, PROT_READ, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (words == MAP_FAILED) return;
    for (int i = 0; i < 1024; i++) syscall(SYS_futex, words + i, FUTEX_WAKE, 0x7FFFFFFF, NULL, NULL, 0);
    munmap(words, 4096);
}

int test_limit(uint64_t bytes, uint64_t seconds) {
    struct rlimit space = {bytes, bytes}, time = {seconds, seconds};
    return setrlimit(RLIMIT_AS, &space) | setrlimit(RLIMIT_CPU, &time);
}

uint64_t test_load(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
void test_store(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
uint64_t test_exchange(uint64_t *word, uint64_t value) { return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST); }

// splitmix64
static uint64_t mix(uint64_t state) {
    uint64_t z = state + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t seed_of(uint32_t writer, uint64_t counter) { return mix(((uint64_t)writer << 40) ^ counter); }

size_t test_record_size(uint32_t writer, uint64_t counter, size_t largest) {
    if (largest <= TEST_RECORD_HEADER) return TEST_RECORD_HEADER;
    return TEST_RECORD_HEADER + mix(seed_of(writer, counter) ^ 1) % (largest - TEST_RECORD_HEADER + 1);
}

// writer, counter, size, then bytes that follow from the first two.
void test_record_fill(void *bytes, size_t size, uint32_t writer, uint64_t counter) {
    uint64_t head[3] = {writer, counter, size};
    memcpy(bytes, head, sizeof head);
    uint64_t state = seed_of(writer, counter);
    unsigned char *to = bytes;
    for (size_t at = sizeof head; at < size; at += 8) {
        state = mix(state);
        memcpy(to + at, &state, size - at < 8 ? size - at : 8);
    }
}

int test_record_check(const void *bytes, size_t size, uint32_t *writer, uint64_t *counter) {
    uint64_t head[3];
    if (size < sizeof head) return 0;
    memcpy(head, bytes, sizeof head);
    *writer = (uint32_t)head[0];
    *counter = head[1];
    if (head[2] != size || head[0] >> 32 != 0) return 0;
    uint64_t state = seed_of(*writer, *counter);
    const unsigned char *from = bytes;
    for (size_t at = sizeof head; at < size; at += 8) {
        state = mix(state);
        if (memcmp(from + at, &state, size - at < 8 ? size - at : 8) != 0) return 0;
    }
    return 1;
}

uint64_t test_digest(uint64_t digest, uint64_t value) { return mix(digest ^ value); }

const char *test_sanitizer(void) {
#if __has_feature(thread_sanitizer)
    return "ThreadSanitizer";
#elif __has_feature(address_sanitizer)
    return "AddressSanitizer";
#else
    return NULL;
#endif
}
