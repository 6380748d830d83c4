// The shortest way of one short record into a log: spec/protocol.md, chapter 3, where nothing stands in the way.
#ifndef MAPPED_LOG_APPEND_H
#define MAPPED_LOG_APPEND_H

#include "mapped_log_system.h"

// What an append touches of its own process.
typedef struct mlog_appender {
    const void *identity;                       // what a thread's mark names while it is in this log
    mlog_control *control;
    const uint32_t *sleepers;                   // the "wake me" word for what is committed
    const volatile uint32_t *fork_guard;
    uint64_t data_end;
    int clock;
    uint32_t must_fence;                        // 1: before each look at `sleepers`
    // Under the append lock.
    unsigned char *start;                       // of the active segment's mapping
    uint64_t base;                              // its position; 1 << 63: none
    uint64_t bell_offset;                       // the offset in it behind which the preparer is to be rung
    uint32_t seed;                              // the checksum register behind its salt
    // Looked at by every append.
    uint32_t is_closed;                         // 1: no more appends
    uint32_t wants_bell;                        // 1: the housekeeper sleeps until the next append rings
} mlog_appender;

enum {
    MLOG_NOT_APPENDED = -1,                     // nothing was done: take the long way
    MLOG_RING_PREPARER = 1,                     // appended; the rest is to be done by the caller
    MLOG_WAKE_SLEEPERS = 2,
    MLOG_RING_HOUSEKEEPER = 4,
};

// Appends one record if the lock is free, the segment is mapped and has room, its block has an index entry, and
// nothing is wrong. `before` becomes the slot that the record went into.
int mlog_append_short(mlog_appender *appender, const void *payload, size_t count, int has_timestamp, int64_t timestamp,
                      mlog_append_slot *before);

#endif
