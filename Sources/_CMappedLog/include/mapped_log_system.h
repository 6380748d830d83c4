// What the library needs of Linux and of the processor, and Swift can't reach by itself.
// Functions return 0 or a value ≥ 0 where they succeed, and a negated errno where they don't, unless said otherwise.
#ifndef MAPPED_LOG_SYSTEM_H
#define MAPPED_LOG_SYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include "mapped_log_format.h"

// A call costs a tenth of an append.
#define MLOG_INLINE __attribute__((always_inline)) static inline

// ---- CRC32C --------------------------------------------------------------------------------------------------
// A state is the register between bytes: start with ~0, finish with ~.

uint32_t mlog_crc32c_extend(uint32_t state, const void *bytes, size_t count);

// The finished CRC of a frame whose word will be `word`: `seed` is the state behind the salt. Reads the frame from
// offset 12 to `frame_bytes`, a multiple of 8 and at least 24.
uint32_t mlog_frame_crc(const void *frame, size_t frame_bytes, uint64_t word, uint64_t position, uint32_t seed);

// ---- Time ----------------------------------------------------------------------------------------------------

// clock_gettime(2), the vDSO's own where there is one (vdso(7)): the C library's way there costs as much again.
extern __attribute__((visibility("hidden"))) int (*mlog_clock_gettime)(clockid_t clock, struct timespec *time);

// That in nanoseconds.
static inline int64_t mlog_clock_read(int clock) {
    struct timespec time;
    mlog_clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

// ---- Files ---------------------------------------------------------------------------------------------------

// open(2) with a mode.
int mlog_openat(int directory, const char *path, int flags, mode_t mode);
// fallocate(2), mode 0: allocates and extends. EINTR is retried.
int mlog_fallocate(int descriptor, uint64_t byte_count);
// sync_file_range(2), SYNC_FILE_RANGE_WRITE: begins to write what is dirty in a range. A hint.
void mlog_start_writing(int descriptor, uint64_t offset, uint64_t byte_count);
// Where the file system writes to another place each time (btrfs): lets what is written to this file stay in its place, so
// that fallocate(2) reserves room for every later store (FS_NOCOW_FL, ioctl_iflags(2)). Only of an empty file; else, and
// where it is refused, nothing.
void mlog_store_in_place(int descriptor);
// Copies a range to the same offsets of another file, by reading and writing. -ENODATA where the source ends before it.
int mlog_copy_by_hand(int from, int to, uint64_t offset, uint64_t byte_count);
// Copies a range to the same offsets of another file: copy_file_range(2), which shares the blocks where the file system
// can; else by reading and writing. -ENODATA where the source ends before it.
int mlog_copy_range(int from, int to, uint64_t offset, uint64_t byte_count);
// sync_file_range(2): lets the disk begin with what is dirty in a range, and waits for nothing. No flush: whether it
// worked, that tells. Where the system has no such call, nothing.
int mlog_begin_flush(int descriptor, uint64_t offset, uint64_t byte_count);
// The same, and waits until it is written. What failed is reported here, and not again to a flush through the descriptor.
int mlog_write_out(int descriptor, uint64_t offset, uint64_t byte_count);
// renameat2(2), RENAME_NOREPLACE.
int mlog_rename_noreplace(const char *from, const char *to);
// Gives the unnamed file (O_TMPFILE) a name that must not exist: linkat(2) through /proc/self/fd.
int mlog_link_unnamed(int descriptor, const char *path);
// fcntl(2), F_OFD_SETLK: an open file description lock on one byte. `type` is F_RDLCK, F_WRLCK or F_UNLCK.
int mlog_ofd_lock(int descriptor, short type, off_t byte);
// fcntl(2), F_OFD_GETLK: 1 when other open file descriptions share the byte, 2 when one holds it alone, 0 when none does.
int mlog_ofd_is_locked(int descriptor, off_t byte);
// The file system's magic number: statfs(2).
int64_t mlog_filesystem_type(int descriptor);
extern const int mlog_o_tmpfile, mlog_seek_data;

// ---- Memory --------------------------------------------------------------------------------------------------

// Address space of this process alone: not in forked children, without huge pages. NULL, with errno set: none.
void *mlog_reserve(size_t byte_count);
// Moves pages of such memory to another place in it, which loses its own; the old place reads as 0, and is a mapping of
// its own from then on. No other thread sees a hole. Linux 5.7.
int mlog_move_pages(void *from, void *to, size_t byte_count);
// Makes such memory anew, without pages, so that it is one mapping with its neighbours again.
int mlog_reserve_again(void *place, size_t byte_count);

// ---- Robust process-shared mutex (pthread_mutexattr_setrobust(3)) --------------------------------------------

#if defined(__GLIBC__)
#define MLOG_C_LIBRARY 1
#else
#define MLOG_C_LIBRARY 2
#endif
enum { MLOG_MUTEX_SIZE = sizeof(pthread_mutex_t) };
_Static_assert(sizeof(pthread_mutex_t) <= MLOG_MUTEX_BYTES, "pthread_mutex_t outgrew its place in live/control");

// Process-shared, robust, error-checking.
int mlog_mutex_init(void *mutex);
// The thread that holds it (gettid(2)), at this moment; 0: none.
int mlog_mutex_owner(const void *mutex);
// Whether a thread of this pid namespace is stopped or held by a tracer (proc_pid_stat(5)); 0 also where nobody can say.
int mlog_thread_is_stopped(int id);
// 0, EOWNERDEAD (held; the state it guards is as the dead owner left it), ETIMEDOUT, EDEADLK, ENOTRECOVERABLE.
// Spins for a moment, comes back ten times within a millisecond or so, then sleeps at most `timeout_ns`.
int mlog_mutex_lock_slow(void *mutex, uint64_t timeout_ns);
// 0, EOWNERDEAD, EDEADLK, ENOTRECOVERABLE, and EBUSY where another thread has it.
static inline int mlog_mutex_trylock(void *mutex) { return pthread_mutex_trylock((pthread_mutex_t *)mutex); }
static inline int mlog_mutex_unlock(void *mutex) { return pthread_mutex_unlock((pthread_mutex_t *)mutex); }
static inline int mlog_mutex_consistent(void *mutex) { return pthread_mutex_consistent((pthread_mutex_t *)mutex); }

// ---- Waiting -------------------------------------------------------------------------------------------------

// futex(2), shared between processes. Wait returns 0 when woken or when *word was not `expected`.
int mlog_futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns);
int mlog_futex_wake_all(uint32_t *word);
int mlog_futex_wake_one(uint32_t *word);
// membarrier(2): registers this process for, and issues, MEMBARRIER_CMD_GLOBAL_EXPEDITED.
int mlog_membarrier_register(void);
int mlog_membarrier(void);
static inline void mlog_full_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void mlog_acquire_fence(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
static inline void mlog_release_fence(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
static inline void mlog_cpu_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// sched_setscheduler(2), SCHED_BATCH, of the calling thread. Nothing in a process at a real-time priority, which has a
// reason. A hint.
void mlog_schedule_as_batch(void);

// pthread_setname_np(3), of the calling thread: 15 bytes at most.
void mlog_name_thread(const char *name);

// ---- fork(2) and re-entry ------------------------------------------------------------------------------------

// A word that is 1 in the process that asked first and 0 in its forked children (MADV_WIPEONFORK). NULL: no memory.
const volatile uint32_t *mlog_fork_guard(void);
// open(2) with a mode, of a descriptor that forked children close (pthread_atfork(3)): an inherited one would keep the
// parent's locks alive. -EUSERS: there are 1024 already.
int mlog_open_closing_in_children(const char *path, int flags, mode_t mode);
// Drops such a descriptor's locks and closes it; does nothing in a forked child, where it is closed already.
void mlog_close_closing_in_children(int descriptor);

// ---- Threads inside a log ------------------------------------------------------------------------------------
// Each thread has a mark that says which log it is in. It costs an append two plain stores, and lets a close wait
// for the appends of other threads: it raises its flag, fences them all with membarrier(2), and looks at the marks. In a
// forked child all of a mark is 0 (MADV_WIPEONFORK): without a list there nobody takes a lock before he has looked.

// The head of a thread's list of robust mutexes, as the kernel knows it (`struct robust_list_head`).
typedef struct mlog_robust_list {
    void *next;
    long futex_offset;                  // from an entry to the mutex's word
    void *pending;
} mlog_robust_list;

typedef struct mlog_thread_mark {
    const void *log;                    // NULL: in none
    struct mlog_thread_mark *next;
    mlog_robust_list *robust_list;      // the C library's; NULL: not laid out as mapped_log_lock.h knows it
    int id;                             // gettid(2)
    uint32_t is_taken;
    uint8_t cache_line[64 - 3 * sizeof(void *) - 8];    // no two in one
} mlog_thread_mark;
extern _Thread_local mlog_thread_mark *mlog_this_thread;
// What the first mark and the first fence of a process need. With more than one thread the system takes milliseconds for
// it, which no append should (membarrier(2), MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED). 1 where that is refused: who enters
// a log has to fence before it looks whether it is closed.
int mlog_threads_prepare(void);
// The mark of a thread that has none yet. NULL: no memory, or a forked child.
mlog_thread_mark *mlog_thread_mark_make(void);

static inline mlog_thread_mark *mlog_thread(void) {
    mlog_thread_mark *mark = mlog_this_thread;
    return __builtin_expect(mark != NULL, 1) ? mark : mlog_thread_mark_make();
}
static inline const void *mlog_thread_log(const mlog_thread_mark *mark) {
    return __atomic_load_n(&mark->log, __ATOMIC_RELAXED);
}
static inline void mlog_thread_enter(mlog_thread_mark *mark, const void *log) {
    __atomic_store_n(&mark->log, log, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}
static inline void mlog_thread_leave(mlog_thread_mark *mark) { __atomic_store_n(&mark->log, NULL, __ATOMIC_RELEASE); }
// Orders what this thread stored before against what every other thread of the process loads next.
void mlog_fence_all_threads(void);
// Waits until no other thread is in the log. The caller has made sure that none stays.
void mlog_threads_drain(const void *log);

#endif
