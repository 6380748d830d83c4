// Every call of this process that changes what a disk holds, or what is known to be on it, told to an observer.
//
// Linked into an executable, these definitions come before those of libc. Without an observer they only pass on.
// Stores through a mapping are nobody's call: the observer looks at the files when it is called.
#ifndef MAPPED_LOG_DISK_CALLS_H
#define MAPPED_LOG_DISK_CALLS_H

enum disk_call_kind {
    DISK_CALL_OPENED,       // descriptor, path, flags: a file that is open now, and may have been made
    DISK_CALL_CHANGED,      // descriptor: written to, given another size, or allocated
    DISK_CALL_WILL_FLUSH,   // descriptor: fsync(2) or fdatasync(2) is about to begin
    DISK_CALL_FLUSHED,      // descriptor: it returned 0
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
};

// Called on the thread that made the call. Calls that the observer makes itself are passed on and not told.
typedef void disk_observer(void *context, const struct disk_call *call);

// One at a time; NULL ends it. Returns once no thread is inside the observer that was.
void disk_observe(disk_observer *observer, void *context);
// Calls the observer, as all others, one call at a time.
void disk_look(void);

#endif
