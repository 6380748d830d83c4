#ifndef MAPPED_LOG_VICTIM_INTERNAL_H
#define MAPPED_LOG_VICTIM_INTERNAL_H

#include "victim.h"
#include <pthread.h>
#include <stddef.h>

enum { TEST_WATCHES = 64 };

// A file that the victim maps, as this process sees it, and a copy from the step before.
typedef struct {
    char path[512];
    const unsigned char *bytes;
    unsigned char *before;
    size_t byte_count;
    // Where what was written ends: an append goes on there.
    size_t end;
} test_watch;

struct test_victim {
    // ptrace(2) obeys only the thread that started the process: this one. The others give it orders.
    pthread_t tracer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int has_order, has_answer, must_end;
    test_victim_order order;
    test_victim_outcome outcome;
    int start_status;

    char *const *arguments;
    int output;
    char directory[256];
    pid_t process;
    int has_ended, is_late;
    test_watch watches[TEST_WATCHES];
    int watch_count;
};

// All of these on the tracer's thread only.
void test_step(test_victim *victim);
void test_inject(test_victim *victim);
// waitpid(2) on the victim, or on any of its threads where `thread` is -1; retried.
pid_t test_victim_wait(pid_t thread, int *status);
int test_victim_kill(test_victim *victim);

#endif
