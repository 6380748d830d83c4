// A process that is run under ptrace(2), so that it can be killed at an exact point, or have an exact system call fail,
// without a line of code in the product. x86-64 only.
#ifndef MAPPED_LOG_VICTIM_H
#define MAPPED_LOG_VICTIM_H

#include <stdint.h>
#include <sys/types.h>

// What a victim calls before and after what it is traced for; nothing happens in a process that isn't traced. Its first
// call ends test_victim_start(), its second one ends test_victim_run().
void test_mark(void);

enum test_victim_mode {
    // The marking thread by single instructions. A point is an instruction that changed shared memory, or a system call
    // that can change anything: all others leave behind them what was there before.
    TEST_VICTIM_POINTS,
    // The same, and each instruction counts.
    TEST_VICTIM_INSTRUCTIONS,
    // The marking thread from system call to system call: what it stores between two of them is one point. For what
    // takes too many instructions.
    TEST_VICTIM_CALLS,
    // All threads, from system call to system call. Those that could fail in this way count.
    TEST_VICTIM_FAULTS,
};

enum test_victim_fault {
    TEST_FAULT_IO, TEST_FAULT_NO_SPACE, TEST_FAULT_INTERRUPTED, TEST_FAULT_TOO_MANY_FILES, TEST_FAULT_NO_MEMORY,
    TEST_FAULT_REFUSED,
    // Half of what was asked for is read or written.
    TEST_FAULT_SHORT,
    // Only flushes, with EIO.
    TEST_FAULT_FLUSH,
};

typedef struct {
    enum test_victim_mode mode;
    // The process is killed behind so many points or instructions; the fault meets the call behind so many.
    uint64_t count;
    enum test_victim_fault fault;
    // The process is killed when it takes longer.
    double seconds;
} test_victim_order;

enum test_victim_end { TEST_VICTIM_KILLED, TEST_VICTIM_MARKED, TEST_VICTIM_EXITED, TEST_VICTIM_LATE };

typedef struct {
    enum test_victim_end end;
    int status;             // as waitpid(2) gives it, where the process ended
    uint64_t points;        // how many there were: points, or calls that could fail
    uint64_t instructions;
    int has_missed;         // true: a store went where nobody looked
    int64_t last_call;      // the system call that was the last point or met the fault; -1: a store, or none
    // Of the call that met the fault:
    uint64_t failed_ns;     // when, as test_now_ns() says
    int failed_first;       // true: the first thread made it
    int failed_flush;       // true: it was fsync, fdatasync, or sync_file_range that waits
    int failed_segment;     // true: fdatasync, or sync_file_range, of a file whose name is a published segment's
} test_victim_outcome;

typedef struct test_victim test_victim;

// 0, or a negated errno where processes can't be traced here.
int test_victim_is_possible(void);
// Starts a program with its standard output on `output`, and returns when it has marked. Which files of `directory`
// (and below) it maps writable and shared is looked at from then on. A negated errno; -ETIME: it was late, -ECHILD: it
// ended before.
int test_victim_start(test_victim **victim, char *const arguments[], int output, const char *directory, double seconds);
pid_t test_victim_id(const test_victim *victim);
test_victim_outcome test_victim_run(test_victim *victim, test_victim_order order);
// Kills the process if it lives, reaps it, and frees what belongs to it.
void test_victim_free(test_victim *victim);

#endif
