// What the tests with several processes need of the system, and what must be fast in a debug build too.
#ifndef MAPPED_LOG_TEST_SUPPORT_H
#define MAPPED_LOG_TEST_SUPPORT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "victim.h"

// ---- Processes -----------------------------------------------------------------------------------------------

// fork(2). The child is killed when the thread that made it ends, unless `outlives_parent`.
pid_t test_fork(int outlives_parent);
// A child that only waits, half a minute at most, for the word to be another than 0; -1: none could be made.
pid_t test_fork_waiting(const uint64_t *word);
// A child opens files, and forks: how many of them its own child finds closed; -1: they could not be made.
int test_lost_by_grandchild(void);
// This process is killed with the thread that started it.
void test_die_with_parent(void);
// pipe2(2) with O_CLOEXEC.
int test_pipe(int ends[2]);
// A descriptor that becomes readable when the process ends: pidfd_open(2). A negated errno where that fails.
int test_pidfd(pid_t process);
// posix_spawn(3) of a path with its standard output on `output`; a negated errno where that fails.
pid_t test_spawn(const char *path, char *const arguments[], int output);
// waitpid(2): the raw status, or -1.
int test_reap(pid_t process);
// True: the descriptor became readable, or its other end went, within the time.
int test_wait_readable(int descriptor, int64_t milliseconds);
// CLOCK_MONOTONIC, the same for all processes.
uint64_t test_now_ns(void);
void test_sleep_ns(uint64_t nanoseconds);

// Takes what locks it can get on a file, without waiting: flock(2), record locks on all of it, of the open file
// description and of the process, exclusive or else shared. Returns how many it got.
int test_take_locks(int descriptor);

// True: a file that was opened for reading could be mapped for writing, and shared.
int test_map_for_writing(const char *path);
// FUTEX_WAKE on every word of a file that may be read.
void test_wake_all_words(const char *path);
// Which sanitizer this program was built with; NULL: none.
const char *test_sanitizer(void);
// At most so much address space and so many seconds of processor time for this process: setrlimit(2).
int test_limit(uint64_t bytes, uint64_t seconds);

// ---- Words shared between processes --------------------------------------------------------------------------

uint64_t test_load(const uint64_t *word);
void test_store(uint64_t *word, uint64_t value);
uint64_t test_exchange(uint64_t *word, uint64_t value);

// ---- Records that can be told apart, and checked -------------------------------------------------------------

enum { TEST_RECORD_HEADER = 24 };
// The size of the record with this number: 24 to `largest` bytes, at random but always the same.
size_t test_record_size(uint32_t writer, uint64_t counter, size_t largest);
void test_record_fill(void *bytes, size_t size, uint32_t writer, uint64_t counter);
// True: all bytes are what test_record_fill() wrote.
int test_record_check(const void *bytes, size_t size, uint32_t *writer, uint64_t *counter);
// A running digest of what was read.
uint64_t test_digest(uint64_t digest, uint64_t value);

#endif
