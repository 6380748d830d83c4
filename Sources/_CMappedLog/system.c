#define _GNU_SOURCE
#include "mapped_log_system.h"
#include <dlfcn.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

const int mlog_o_tmpfile = O_TMPFILE, mlog_seek_data = SEEK_DATA;

static int result(long status) { return status < 0 ? -errno : (int)status; }

int (*mlog_clock_gettime)(clockid_t, struct timespec *) = clock_gettime;

// valgrind hides the vDSO, and a static program can't look for it: there it stays the library's.
__attribute__((constructor)) static void look_for_clock(void) {
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
#if defined(__x86_64__)
    void *found = vdso != NULL ? dlsym(vdso, "__vdso_clock_gettime") : NULL;
#else
    void *found = vdso != NULL ? dlsym(vdso, "__kernel_clock_gettime") : NULL;
#endif
    if (found != NULL) mlog_clock_gettime = (int (*)(clockid_t, struct timespec *))found;
    // What wasn't found is not the program's to see.
    else dlerror();
}

int mlog_openat(int directory, const char *path, int flags, mode_t mode) {
    int status;
    // O_NONBLOCK: a FIFO in the place of a file must not hold us; the caller looks at what it got.
    do status = openat(directory, path, flags | O_NONBLOCK | O_NOCTTY, mode);
    while (status < 0 && errno == EINTR);
    return result(status);
}

int mlog_fallocate(int descriptor, uint64_t byte_count) {
    int status;
    do status = fallocate(descriptor, 0, 0, (off_t)byte_count);
    while (status < 0 && errno == EINTR);
    return result(status);
}

void mlog_start_writing(int descriptor, uint64_t offset, uint64_t byte_count) {
    sync_file_range(descriptor, (off_t)offset, (off_t)byte_count, SYNC_FILE_RANGE_WRITE);
}

void mlog_store_in_place(int descriptor) {
    int64_t btrfs = 0x9123683E;
    int flags = 0;
    if (mlog_filesystem_type(descriptor) != btrfs || ioctl(descriptor, FS_IOC_GETFLAGS, &flags) != 0) return;
    flags |= FS_NOCOW_FL;
    ioctl(descriptor, FS_IOC_SETFLAGS, &flags);
}

int mlog_copy_by_hand(int from, int to, uint64_t offset, uint64_t byte_count) {
    uint64_t end = offset + byte_count;
    size_t size = 1u << 20;
    char *buffer = malloc(size);
    if (buffer == NULL) return -ENOMEM;
    int status = 0;
    while (offset < end && status == 0) {
        size_t wanted = end - offset < size ? (size_t)(end - offset) : size;
        ssize_t got = pread(from, buffer, wanted, (off_t)offset);
        if (got <= 0) {
            if (got == 0) status = -ENODATA;
            else if (errno != EINTR) status = -errno;
            continue;
        }
        for (ssize_t done = 0; done < got && status == 0;) {
            ssize_t put = pwrite(to, buffer + done, (size_t)(got - done), (off_t)offset + done);
            if (put >= 0) done += put;
            else if (errno != EINTR) status = -errno;
        }
        offset += (uint64_t)got;
    }
    free(buffer);
    return status;
}

int mlog_copy_range(int from, int to, uint64_t offset, uint64_t byte_count) {
    uint64_t end = offset + byte_count;
    while (offset < end) {
        loff_t source = (loff_t)offset, target = (loff_t)offset;
        size_t wanted = end - offset < 1u << 30 ? (size_t)(end - offset) : 1u << 30;
        ssize_t count = copy_file_range(from, &source, to, &target, wanted, 0);
        if (count > 0) {
            offset += (uint64_t)count;
        } else if (count < 0 && errno == EINTR) {
            continue;
        } else if (count < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EIO)) {
            return -errno;
        } else {
            return mlog_copy_by_hand(from, to, offset, end - offset);
        }
    }
    return 0;
}

int mlog_begin_flush(int descriptor, uint64_t offset, uint64_t byte_count) {
    int status = sync_file_range(descriptor, (off_t)offset, (off_t)byte_count, SYNC_FILE_RANGE_WRITE);
    return status < 0 && errno == ENOSYS ? 0 : result(status);
}

int mlog_write_out(int descriptor, uint64_t offset, uint64_t byte_count) {
    const unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    int status = sync_file_range(descriptor, (off_t)offset, (off_t)byte_count, flags);
    return status < 0 && errno == ENOSYS ? 0 : result(status);
}

int mlog_rename_noreplace(const char *from, const char *to) {
    return result(renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE));
}

int mlog_link_unnamed(int descriptor, const char *path) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", descriptor);
    return result(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW));
}

int mlog_ofd_lock(int descriptor, short type, off_t byte) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int status;
    // An unlock that nobody repeats would keep the gate shut for as long as this process lives.
    do status = fcntl(descriptor, F_OFD_SETLK, &lock);
    while (status < 0 && errno == EINTR);
    return result(status);
}

int mlog_ofd_is_locked(int descriptor, off_t byte) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    if (fcntl(descriptor, F_OFD_GETLK, &lock) != 0) return -errno;
    return lock.l_type == F_UNLCK ? 0 : lock.l_type == F_RDLCK ? 1 : 2;
}

int64_t mlog_filesystem_type(int descriptor) {
    struct statfs information;
    if (fstatfs(descriptor, &information) != 0) return -errno;
    return (int64_t)(uint32_t)information.f_type;
}

// ---- Memory --------------------------------------------------------------------------------------------------

static void *reserve_at(void *place, size_t byte_count, int flags) {
    flags |= MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *memory = mmap(place, byte_count, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    madvise(memory, byte_count, MADV_DONTFORK);
    // A huge page would keep memory for far more than what was stored to.
    madvise(memory, byte_count, MADV_NOHUGEPAGE);
    return memory;
}

void *mlog_reserve(size_t byte_count) { return reserve_at(NULL, byte_count, 0); }

int mlog_reserve_again(void *place, size_t byte_count) {
    return reserve_at(place, byte_count, MAP_FIXED) == NULL ? -errno : 0;
}

int mlog_move_pages(void *from, void *to, size_t byte_count) {
    int keep_old_place = 4;  // MREMAP_DONTUNMAP, which older headers don't name
    void *moved = mremap(from, byte_count, byte_count, MREMAP_MAYMOVE | MREMAP_FIXED | keep_old_place, to);
    return moved == MAP_FAILED ? -errno : 0;
}

// ---- Mutex ---------------------------------------------------------------------------------------------------

int mlog_mutex_init(void *mutex) {
    pthread_mutexattr_t attributes;
    int status = pthread_mutexattr_init(&attributes);
    if (status == 0) status = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (status == 0) status = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (status == 0) status = pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    if (status == 0) status = pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -status;
}

// Looks so often whether the mutex is free, and takes it then; EBUSY: it never was. It only looks: each try would take the
// cache line from the owner.
static int lock_by_looking(void *mutex, int looks) {
    for (int look = 0; look < looks; look++) {
        mlog_cpu_pause();
        if (mlog_mutex_owner(mutex) != 0) continue;
        int status = pthread_mutex_trylock(mutex);
        if (status != EBUSY) return status;
    }
    return EBUSY;
}

int mlog_mutex_lock_slow(void *mutex, uint64_t timeout_ns) {
    // The lock is held for tens of nanoseconds, of long records for some hundred: a short spin saves two system calls on
    // each side.
    int status = lock_by_looking(mutex, 100);
    // Others append without a pause. Who queued up now would have each of their appends wake him, and who went on spinning
    // would keep a processor from them and from their populators: he comes back instead, unannounced.
    const struct timespec nap = {.tv_nsec = 20000};
    for (int naps = 0; naps < 10 && status == EBUSY; naps++) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        status = lock_by_looking(mutex, 20);
    }
    if (status != EBUSY) return status;
    // In slices: who is killed when it has just been woken takes the wake along, if another has the mutex again by then.
    const uint64_t slice = 20000000;
    for (uint64_t waited = 0;;) {
        uint64_t rest = timeout_ns - waited, share = rest < slice ? rest : slice;
        struct timespec deadline;
        clock_gettime(CLOCK_MONOTONIC, &deadline);
        deadline.tv_nsec += (long)share;
        if (deadline.tv_nsec >= 1000000000) {
            deadline.tv_nsec -= 1000000000;
            deadline.tv_sec++;
        }
        status = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &deadline);
        waited += share;
        if (status != ETIMEDOUT || waited >= timeout_ns) return status;
    }
}

int mlog_mutex_owner(const void *mutex) {
    const pthread_mutex_t *m = mutex;
    return __atomic_load_n(&m->__data.__lock, __ATOMIC_RELAXED) & FUTEX_TID_MASK;
}

int mlog_thread_is_stopped(int id) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", id);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t count = read(file, text, sizeof text - 1);
    close(file);
    if (count <= 0) return 0;
    text[count] = 0;
    // The name may have anything in it; the state follows its last parenthesis.
    const char *state = strrchr(text, ')');
    return state != NULL && state[1] == ' ' && (state[2] == 'T' || state[2] == 't');
}

// ---- Waiting -------------------------------------------------------------------------------------------------

int mlog_futex_wait(const uint32_t *word, uint32_t expected, uint64_t timeout_ns) {
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    long status = syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0);
    return status < 0 && errno != EAGAIN ? -errno : 0;
}

int mlog_futex_wake_all(uint32_t *word) { return result(syscall(SYS_futex, word, FUTEX_WAKE, 0x7FFFFFFF, NULL, NULL, 0)); }

int mlog_futex_wake_one(uint32_t *word) { return result(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0)); }

int mlog_membarrier_register(void) {
    return result(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0));
}

int mlog_membarrier(void) { return result(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0)); }

void mlog_schedule_as_batch(void) {
    struct sched_param parameters = {0};
    if (sched_getscheduler(0) == SCHED_OTHER) sched_setscheduler(0, SCHED_BATCH, &parameters);
}

void mlog_name_thread(const char *name) { (void)pthread_setname_np(pthread_self(), name); }

// ---- fork and re-entry ---------------------------------------------------------------------------------------

static pthread_once_t guard_once = PTHREAD_ONCE_INIT;
static volatile uint32_t *guard;

// A page that is 0 in forked children.
static void *wiped_page(size_t *byte_count) {
    *byte_count = (size_t)sysconf(_SC_PAGESIZE);
    void *memory = mmap(NULL, *byte_count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    if (madvise(memory, *byte_count, MADV_WIPEONFORK) == 0) return memory;
    munmap(memory, *byte_count);
    return NULL;
}

static void make_guard(void) {
    size_t byte_count;
    guard = wiped_page(&byte_count);
    if (guard != NULL) *guard = 1;
}

const volatile uint32_t *mlog_fork_guard(void) {
    pthread_once(&guard_once, make_guard);
    return guard;
}

// A child between fork and exec may only call what is safe in a signal handler, so the set is a plain array. A place
// holds a descriptor + 1; 0 is an empty one. Guarded by the lock, which fork waits for: in no child is there a descriptor
// that was open and not in the set.
enum { PLACES = 1024 };
static int to_close[PLACES];
static pthread_mutex_t close_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t close_once = PTHREAD_ONCE_INIT;

static void before_fork(void) { pthread_mutex_lock(&close_lock); }

static void in_parent(void) { pthread_mutex_unlock(&close_lock); }

static void in_child(void) {
    for (int i = 0; i < PLACES; i++) {
        if (to_close[i] != 0) close(to_close[i] - 1);
        // The number is free for what the child opens, which its own children keep.
        to_close[i] = 0;
    }
    pthread_mutex_unlock(&close_lock);
}

static void register_close(void) { pthread_atfork(before_fork, in_parent, in_child); }

static int *place_of(int stored) {
    for (int i = 0; i < PLACES; i++) {
        if (to_close[i] == stored) return &to_close[i];
    }
    return NULL;
}

int mlog_open_closing_in_children(const char *path, int flags, mode_t mode) {
    pthread_once(&close_once, register_close);
    pthread_mutex_lock(&close_lock);
    int *place = place_of(0);
    int descriptor = place != NULL ? mlog_openat(AT_FDCWD, path, flags, mode) : -EUSERS;
    if (descriptor >= 0) *place = descriptor + 1;
    pthread_mutex_unlock(&close_lock);
    return descriptor;
}

void mlog_close_closing_in_children(int descriptor) {
    pthread_mutex_lock(&close_lock);
    int *place = place_of(descriptor + 1);
    // In a forked child it isn't there: it is closed, and the number may be somebody else's by now.
    if (place != NULL) {
        *place = 0;
        // A process that was cloned without the handlers (posix_spawn(3)) has the descriptor until its exec.
        struct flock all = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
        fcntl(descriptor, F_OFD_SETLK, &all);
        close(descriptor);
    }
    pthread_mutex_unlock(&close_lock);
}

// ---- Threads inside a log ------------------------------------------------------------------------------------

_Thread_local mlog_thread_mark *mlog_this_thread;
static int threads_need_fence;
static mlog_thread_mark *_Atomic all_marks;   // never shrinks; marks of ended threads are taken again
static pthread_once_t marks_once = PTHREAD_ONCE_INIT;
static pthread_key_t marks_key;

static void give_back(void *given) {
    mlog_thread_mark *mark = given;
    // A destructor behind this one may append once more: with a mark of its own, since another thread may have this one.
    mlog_this_thread = NULL;
    // A close may look at it meanwhile.
    mlog_thread_leave(mark);
    __atomic_store_n(&mark->is_taken, 0, __ATOMIC_RELEASE);
}

static void prepare_marks(void) {
    pthread_key_create(&marks_key, give_back);
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0) threads_need_fence = 1;
}

int mlog_threads_prepare(void) {
    pthread_once(&marks_once, prepare_marks);
    return threads_need_fence;
}

// ThreadSanitizer knows a mutex by the C library's calls.
#if defined(__SANITIZE_THREAD__)
#define IS_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_WATCHED 1
#endif
#endif

// The list that the C library has registered, if it chains pthread_mutex_t as mapped_log_lock.h does.
static mlog_robust_list *find_robust_list(void) {
#if defined(__GLIBC__) && defined(__LP64__) && !defined(IS_WATCHED)
    mlog_robust_list *head = NULL;
    size_t length = 0;
    if (syscall(SYS_get_robust_list, 0, &head, &length) != 0 || head == NULL || length != sizeof *head) return NULL;
    long offset = (long)offsetof(pthread_mutex_t, __data.__lock) - (long)offsetof(pthread_mutex_t, __data.__list.__next);
    return head->futex_offset == offset ? head : NULL;
#else
    return NULL;
#endif
}

// A mark that no thread has, or NULL.
static mlog_thread_mark *free_mark(void) {
    mlog_thread_mark *mark = atomic_load(&all_marks);
    for (; mark != NULL; mark = mark->next) {
        uint32_t is_taken = 0;
        if (__atomic_compare_exchange_n(&mark->is_taken, &is_taken, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) break;
    }
    return mark;
}

// A page of marks more. Only the first is taken.
static mlog_thread_mark *add_marks(void) {
    size_t byte_count;
    mlog_thread_mark *marks = wiped_page(&byte_count);
    if (marks == NULL) return NULL;
    size_t count = byte_count / sizeof *marks;
    marks[0].is_taken = 1;
    for (size_t i = 0; i + 1 < count; i++) marks[i].next = &marks[i + 1];
    marks[count - 1].next = atomic_load(&all_marks);
    while (!atomic_compare_exchange_weak(&all_marks, &marks[count - 1].next, marks)) {}
    return marks;
}

mlog_thread_mark *mlog_thread_mark_make(void) {
    // A forked child's marks stay 0.
    const volatile uint32_t *is_parent = mlog_fork_guard();
    if (is_parent == NULL || *is_parent == 0) return NULL;
    mlog_threads_prepare();
    mlog_thread_mark *mark = free_mark();
    if (mark == NULL) mark = add_marks();
    if (mark == NULL) return NULL;
    mark->id = (int)syscall(SYS_gettid);
    mark->robust_list = find_robust_list();
    pthread_setspecific(marks_key, mark);
    mlog_this_thread = mark;
    return mark;
}

void mlog_fence_all_threads(void) {
    mlog_threads_prepare();
    mlog_full_fence();
    if (!threads_need_fence) syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

void mlog_threads_drain(const void *log) {
    for (mlog_thread_mark *mark = atomic_load(&all_marks); mark != NULL; mark = mark->next) {
        if (mark == mlog_this_thread) continue;
        while (__atomic_load_n(&mark->log, __ATOMIC_ACQUIRE) == log) usleep(50);
    }
}
