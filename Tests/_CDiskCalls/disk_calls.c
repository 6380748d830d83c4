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

void disk_look(void) { tell((struct disk_call){DISK_CALL_LOOK, -1, 0, NULL, NULL}); }

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
    if (file >= 0 && !begun) tell((struct disk_call){DISK_CALL_OPENED, file, flags, path, NULL});
    end(begun, file >= 0, (struct disk_call){DISK_CALL_OPENED, file, flags, path, NULL});
    return file;
}

int openat(int directory, const char *path, int flags, ...) {
    NEXT(openat)
    MODE_OF(flags)
    int begun = (flags & O_CREAT) != 0 && begin();
    int file = next(directory, path, flags, mode);
    if (file >= 0 && !begun) tell((struct disk_call){DISK_CALL_OPENED, file, flags, path, NULL});
    end(begun, file >= 0, (struct disk_call){DISK_CALL_OPENED, file, flags, path, NULL});
    return file;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    NEXT(pwrite)
    ssize_t done = next(file, bytes, count, offset);
    if (done >= 0) tell((struct disk_call){DISK_CALL_CHANGED, file, 0, NULL, NULL});
    return done;
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t count, unsigned flags) {
    NEXT(copy_file_range)
    ssize_t done = next(from, from_offset, to, to_offset, count, flags);
    if (done >= 0) tell((struct disk_call){DISK_CALL_CHANGED, to, 0, NULL, NULL});
    return done;
}

int ftruncate(int file, off_t size) {
    NEXT(ftruncate)
    int status = next(file, size);
    if (status == 0) tell((struct disk_call){DISK_CALL_CHANGED, file, 0, NULL, NULL});
    return status;
}

int fallocate(int file, int mode, off_t offset, off_t count) {
    NEXT(fallocate)
    int status = next(file, mode, offset, count);
    if (status == 0) tell((struct disk_call){DISK_CALL_CHANGED, file, 0, NULL, NULL});
    return status;
}

int fsync(int file) {
    NEXT(fsync)
    tell((struct disk_call){DISK_CALL_WILL_FLUSH, file, 0, NULL, NULL});
    int status = next(file);
    if (status == 0) tell((struct disk_call){DISK_CALL_FLUSHED, file, 0, NULL, NULL});
    return status;
}

int fdatasync(int file) {
    NEXT(fdatasync)
    tell((struct disk_call){DISK_CALL_WILL_FLUSH, file, 0, NULL, NULL});
    int status = next(file);
    if (status == 0) tell((struct disk_call){DISK_CALL_FLUSHED, file, 0, NULL, NULL});
    return status;
}

int link(const char *path, const char *target) {
    NEXT(link)
    int begun = begin();
    int status = next(path, target);
    end(begun, status == 0, (struct disk_call){DISK_CALL_LINKED, -1, 0, path, target});
    return status;
}

int linkat(int from, const char *path, int to, const char *target, int flags) {
    NEXT(linkat)
    // An unnamed file is linked by its entry under /proc/self/fd.
    int file = -1;
    if (sscanf(path, "/proc/self/fd/%d", &file) != 1) file = -1;
    int begun = begin();
    int status = next(from, path, to, target, flags);
    end(begun, status == 0, (struct disk_call){DISK_CALL_LINKED, file, 0, path, target});
    return status;
}

int rename(const char *path, const char *target) {
    NEXT(rename)
    int begun = begin();
    int status = next(path, target);
    end(begun, status == 0, (struct disk_call){DISK_CALL_RENAMED, -1, 0, path, target});
    return status;
}

int renameat2(int from, const char *path, int to, const char *target, unsigned flags) {
    NEXT(renameat2)
    int begun = begin();
    int status = next(from, path, to, target, flags);
    end(begun, status == 0, (struct disk_call){DISK_CALL_RENAMED, -1, (int)flags, path, target});
    return status;
}

int unlink(const char *path) {
    NEXT(unlink)
    int begun = begin();
    int status = next(path);
    end(begun, status == 0, (struct disk_call){DISK_CALL_UNLINKED, -1, 0, path, NULL});
    return status;
}

int mkdir(const char *path, mode_t mode) {
    NEXT(mkdir)
    int begun = begin();
    int status = next(path, mode);
    end(begun, status == 0, (struct disk_call){DISK_CALL_MADE_DIRECTORY, -1, 0, path, NULL});
    return status;
}

int rmdir(const char *path) {
    NEXT(rmdir)
    int begun = begin();
    int status = next(path);
    end(begun, status == 0, (struct disk_call){DISK_CALL_REMOVED_DIRECTORY, -1, 0, path, NULL});
    return status;
}
