#define _GNU_SOURCE
#include "disk_calls.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t observing = PTHREAD_MUTEX_INITIALIZER;
static disk_observer *observer;
static void *observer_context;
static __thread int is_inside;

void disk_observe(disk_observer *next, void *context) {
    pthread_mutex_lock(&observing);
    __atomic_store_n(&observer, next, __ATOMIC_SEQ_CST);
    observer_context = context;
    pthread_mutex_unlock(&observing);
}

// True: this thread holds the lock, and whatever it calls meanwhile is told before what any other thread calls.
static int begin(void) {
    if (__atomic_load_n(&observer, __ATOMIC_SEQ_CST) == NULL || is_inside) return 0;
    pthread_mutex_lock(&observing);
    is_inside = 1;
    return 1;
}

static void end(int begun, int is_done, struct disk_call call) {
    if (!begun) return;
    int saved = errno;
    if (is_done && observer != NULL) observer(observer_context, &call);
    is_inside = 0;
    pthread_mutex_unlock(&observing);
    errno = saved;
}

static void tell(struct disk_call call) { end(begin(), 1, call); }

void disk_look(void) { tell((struct disk_call){.kind = DISK_CALL_LOOK, .descriptor = -1}); }

void disk_pause(void) {
    pthread_mutex_lock(&observing);
    is_inside = 1;
}

void disk_resume(void) {
    is_inside = 0;
    pthread_mutex_unlock(&observing);
}

static __thread int flush_fails;
static __thread int is_never_slow;
static unsigned slowness;
// This thread has changed a name since its last flush of a directory.
static __thread int has_named;
static __thread unsigned chance;

void disk_fail_flush(int fails) { flush_fails = fails; }
int disk_is_flush_to_fail(void) { return flush_fails; }

void disk_slow_others(unsigned microseconds) {
    is_never_slow = 1;
    __atomic_store_n(&slowness, microseconds, __ATOMIC_SEQ_CST);
}

static void be_slow(void) {
    unsigned longest = __atomic_load_n(&slowness, __ATOMIC_SEQ_CST);
    if (longest == 0 || is_never_slow || !has_named) return;
    has_named = 0;
    if (chance == 0) chance = (unsigned)(uintptr_t)&chance ^ (unsigned)time(NULL);
    usleep((unsigned)rand_r(&chance) % longest);
}

struct death {
    pthread_mutex_t *mutex;
    void (*body)(void *);
    void *context;
    int status;
};

static void *die(void *argument) {
    struct death *death = argument;
    death->status = pthread_mutex_lock(death->mutex);
    if (death->status == 0 || death->status == EOWNERDEAD) {
        death->status = 0;
        death->body(death->context);
    }
    return NULL;
}

int disk_die_with(void *mutex, void (*body)(void *context), void *context) {
    struct death death = {mutex, body, context, 0};
    pthread_t thread;
    int status = pthread_create(&thread, NULL, die, &death);
    if (status == 0) status = pthread_join(thread, NULL);
    return status == 0 ? death.status : status;
}

// A change of names happens under the lock: who sees a name tells what it does with it behind the name's own call.

// The definition behind this one: libc's.
#define NEXT(name)                                                        \
    static __typeof__(&name) next;                                        \
    if (next == NULL) {                                                   \
        void *symbol = dlsym(RTLD_NEXT, #name);                           \
        if (symbol == NULL) abort();                                      \
        memcpy(&next, &symbol, sizeof symbol);                            \
    }

#define MODE_OF(flags)                                                    \
    mode_t mode = 0;                                                      \
    if (((flags) & O_CREAT) != 0 || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list list;                                                     \
        va_start(list, flags);                                            \
        mode = va_arg(list, mode_t);                                      \
        va_end(list);                                                     \
    }

int open(const char *path, int flags, ...) {
    NEXT(open)
    MODE_OF(flags)
    int begun = (flags & O_CREAT) != 0 && begin();
    int file = next(path, flags, mode);
    if (file >= 0 && !begun) tell((struct disk_call){.kind = DISK_CALL_OPENED, .descriptor = file, .flags = flags, .path = path});
    end(begun, file >= 0, (struct disk_call){.kind = DISK_CALL_OPENED, .descriptor = file, .flags = flags, .path = path});
    return file;
}

int openat(int directory, const char *path, int flags, ...) {
    NEXT(openat)
    MODE_OF(flags)
    int begun = (flags & O_CREAT) != 0 && begin();
    int file = next(directory, path, flags, mode);
    if (file >= 0 && !begun) tell((struct disk_call){.kind = DISK_CALL_OPENED, .descriptor = file, .flags = flags, .path = path});
    end(begun, file >= 0, (struct disk_call){.kind = DISK_CALL_OPENED, .descriptor = file, .flags = flags, .path = path});
    return file;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    NEXT(pwrite)
    ssize_t done = next(file, bytes, count, offset);
    if (done >= 0) {
        tell((struct disk_call){
            .kind = DISK_CALL_CHANGED, .descriptor = file, .offset = offset, .count = (size_t)done});
    }
    return done;
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t count, unsigned flags) {
    NEXT(copy_file_range)
    ssize_t done = next(from, from_offset, to, to_offset, count, flags);
    if (done >= 0) tell((struct disk_call){.kind = DISK_CALL_CHANGED, .descriptor = to});
    return done;
}

int ftruncate(int file, off_t size) {
    NEXT(ftruncate)
    int status = next(file, size);
    if (status == 0) tell((struct disk_call){.kind = DISK_CALL_CHANGED, .descriptor = file});
    return status;
}

int fallocate(int file, int mode, off_t offset, off_t count) {
    NEXT(fallocate)
    int status = next(file, mode, offset, count);
    if (status == 0) tell((struct disk_call){.kind = DISK_CALL_CHANGED, .descriptor = file});
    return status;
}

int fsync(int file) {
    NEXT(fsync)
    tell((struct disk_call){.kind = DISK_CALL_WILL_FLUSH, .descriptor = file});
    be_slow();
    int status = next(file);
    if (status == 0) tell((struct disk_call){.kind = DISK_CALL_FLUSHED, .descriptor = file});
    return status;
}

int madvise(void *address, size_t count, int advice) {
    NEXT(madvise)
    int status = next(address, count, advice);
    if (status == 0 && advice == MADV_POPULATE_WRITE) {
        tell((struct disk_call){.kind = DISK_CALL_POPULATED, .descriptor = -1, .address = address, .count = count});
    }
    return status;
}

int fdatasync(int file) {
    NEXT(fdatasync)
    tell((struct disk_call){.kind = DISK_CALL_WILL_FLUSH, .descriptor = file});
    if (flush_fails) {
        flush_fails = 0;
        tell((struct disk_call){.kind = DISK_CALL_NOT_FLUSHED, .descriptor = file});
        errno = EIO;
        return -1;
    }
    int status = next(file);
    if (status == 0) tell((struct disk_call){.kind = DISK_CALL_FLUSHED, .descriptor = file});
    return status;
}

int link(const char *path, const char *target) {
    NEXT(link)
    int begun = begin();
    int status = next(path, target);
    end(begun, status == 0, (struct disk_call){.kind = DISK_CALL_LINKED, .descriptor = -1, .path = path, .target = target});
    return status;
}

int linkat(int from, const char *path, int to, const char *target, int flags) {
    NEXT(linkat)
    // An unnamed file is linked by its entry under /proc/self/fd.
    int file = -1;
    if (sscanf(path, "/proc/self/fd/%d", &file) != 1) file = -1;
    int begun = begin();
    int status = next(from, path, to, target, flags);
    has_named = 1;
    end(begun, status == 0, (struct disk_call){.kind = DISK_CALL_LINKED, .descriptor = file, .path = path, .target = target});
    return status;
}

int rename(const char *path, const char *target) {
    NEXT(rename)
    int begun = begin();
    int status = next(path, target);
    end(begun, status == 0, (struct disk_call){.kind = DISK_CALL_RENAMED, .descriptor = -1, .path = path, .target = target});
    return status;
}

int renameat2(int from, const char *path, int to, const char *target, unsigned flags) {
    NEXT(renameat2)
    int begun = begin();
    int status = next(from, path, to, target, flags);
    end(begun, status == 0, (struct disk_call){
        .kind = DISK_CALL_RENAMED, .descriptor = -1, .flags = (int)flags, .path = path, .target = target});
    return status;
}

int unlink(const char *path) {
    NEXT(unlink)
    int begun = begin();
    int status = next(path);
    end(begun, status == 0, (struct disk_call){.kind = DISK_CALL_UNLINKED, .descriptor = -1, .path = path});
    return status;
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir)
    int begun = begin();
    int status = next(path, mode);
    end(begun, status == 0, (struct disk_call){.kind = DISK_CALL_MADE_DIRECTORY, .descriptor = -1, .path = path});
    return status;
}

int rmdir(const char *path) {
    NEXT(rmdir)
    int begun = begin();
    int status = next(path);
    end(begun, status == 0, (struct disk_call){.kind = DISK_CALL_REMOVED_DIRECTORY, .descriptor = -1, .path = path});
    return status;
}
