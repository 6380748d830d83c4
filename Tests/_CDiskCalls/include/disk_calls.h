// Every call of this process that changes what a disk holds, or what is known to be on it, told to an observer.
//
// Linked into an executable, these definitions come before those of libc. Without an observer they only pass on.
// Stores through a mapping are nobody's call: the observer looks at the files when it is called.
#ifndef MAPPED_LOG_DISK_CALLS_H
#define MAPPED_LOG_DISK_CALLS_H

#include <stdint.h>
#include <sys/types.h>

enum disk_call_kind {
    DISK_CALL_OPENED,       // descriptor, path, flags: a file that is open now, and may have been made
    DISK_CALL_CHANGED,      // descriptor, offset, count: written to; of no count: given another size, or allocated
    DISK_CALL_WILL_FLUSH,   // descriptor: fsync(2) or fdatasync(2) is about to begin
    DISK_CALL_FLUSHED,      // descriptor: it returned 0
    DISK_CALL_NOT_FLUSHED,  // descriptor: it failed, and what was dirty is clean now
    DISK_CALL_POPULATED,    // address, count: MADV_POPULATE_WRITE made the pages of a mapping dirty
    DISK_CALL_LINKED,       // descriptor or path: has the name `target` too
    DISK_CALL_RENAMED,      // path: is `target` now
    DISK_CALL_UNLINKED,     // path: is no name any more
    DISK_CALL_MADE_DIRECTORY,
    DISK_CALL_REMOVED_DIRECTORY,
    DISK_CALL_LOOK,         // nothing happened: disk_look()
};

struct disk_call {
    enum disk_call_kind kind;
    int descriptor;  // or -1
    int flags;
    const char *path, *target;  // or NULL
    off_t offset;
    size_t count;
    const void *address;
};

// Called on the thread that made the call. Calls that the observer makes itself are passed on and not told.
typedef void disk_observer(void *context, const struct disk_call *call);

// One at a time; NULL ends it. Returns once no thread is inside the observer that was.
void disk_observe(disk_observer *observer, void *context);
// Calls the observer, as all others, one call at a time.
void disk_look(void);

// Between the two, other threads' calls wait, and this thread's aren't told: what it stores meanwhile and takes back was
// never there.
void disk_pause(void);
void disk_resume(void);

// This thread's next fdatasync(2) fails with EIO, and writes nothing; and whether it has yet to.
void disk_fail_flush(int fails);
int disk_is_flush_to_fail(void);

// Where another thread than this one has linked a name, its next flush takes up to so long, by chance, from when it has
// begun; 0: no time.
void disk_slow_others(unsigned microseconds);

// A thread takes a pthread_mutex_t, robust and shared, calls back, and ends with the mutex: its dead owner, as the next
// to take it is told. Returns when it has ended; 0: as it should.
int disk_die_with(void *mutex, void (*body)(void *context), void *context);

#endif
