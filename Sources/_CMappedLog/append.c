#include "mapped_log_append.h"
#include "crc32c.h"

// Each step is the one that Appender.append does in Swift: this is the same protocol without what may fail or wait.

#if defined(__GLIBC__) && defined(__LP64__)

// pthread_mutex_trylock(3) and _unlock of a free robust mutex take a third of an append. What they do is this: the lock
// word gets the thread's id, and the mutex becomes the first of the thread's list of robust locks, which the kernel goes
// through when the thread ends. The list is the C library's; where its head isn't as expected, `robust_list` is NULL,
// and where the word isn't 0, the library does it.
ALWAYS_INLINE void let_go(struct __pthread_mutex_s *m) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    int last = __atomic_exchange_n(&m->__lock, 0, __ATOMIC_RELEASE);
    if (__builtin_expect(last < 0, 0)) mlog_futex_wake_one((uint32_t *)&m->__lock);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

ALWAYS_INLINE int lock(pthread_mutex_t *mutex, const mlog_thread_mark *thread) {
    struct __pthread_mutex_s *m = &mutex->__data;
    mlog_robust_list *head = thread->robust_list;
    void **entry = (void **)&m->__list.__next;
    head->pending = entry;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    int free = 0;
    if (__builtin_expect(!__atomic_compare_exchange_n(&m->__lock, &free, thread->id, 0, __ATOMIC_ACQUIRE,
                                                      __ATOMIC_RELAXED), 0)) {
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        head->pending = NULL;
        return -1;
    }
    if (__builtin_expect(m->__owner != 0, 0)) {
        // Not recoverable: only the library says so.
        let_go(m);
        head->pending = NULL;
        return -1;
    }
    void **next = (void **)((uintptr_t)head->next & ~(uintptr_t)1);
    next[-1] = entry;
    entry[0] = head->next;
    entry[-1] = &head->next;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    head->next = entry;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    head->pending = NULL;
    m->__owner = thread->id;
    m->__nusers++;
    m->__count = 1;
    return 0;
}

ALWAYS_INLINE void unlock(pthread_mutex_t *mutex, const mlog_thread_mark *thread) {
    struct __pthread_mutex_s *m = &mutex->__data;
    mlog_robust_list *head = thread->robust_list;
    void **entry = (void **)&m->__list.__next;
    head->pending = entry;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    void **next = (void **)((uintptr_t)entry[0] & ~(uintptr_t)1);
    void **previous = (void **)((uintptr_t)entry[-1] & ~(uintptr_t)1);
    next[-1] = entry[-1];
    previous[0] = entry[0];
    entry[-1] = NULL;
    entry[0] = NULL;
    m->__owner = 0;
    m->__nusers--;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    let_go(m);
    head->pending = NULL;
}

HARDWARE int mlog_append_short(mlog_appender *appender, const void *payload, size_t count, int has_timestamp,
                               int64_t timestamp, mlog_append_slot *before) {
    mlog_thread_mark *thread = mlog_this_thread;
    if (thread == NULL || thread->robust_list == NULL || mlog_thread_log(thread) != NULL || *appender->fork_guard == 0
        || count >= LONG_BYTES || mlog_frame_writer_of_this_machine != mlog_frame_writer_by_instruction)
        return MLOG_NOT_APPENDED;
    mlog_control *control = appender->control;
    pthread_mutex_t *mutex = (pthread_mutex_t *)control->append_mutex;
    mlog_thread_enter(thread, appender->identity);
    if (__builtin_expect(appender->is_closed, 0) || lock(mutex, thread) != 0) goto leave;

    uint64_t generation = control->generation;
    const mlog_append_slot *slot = &control->slot[generation & 1];
    mlog_append_slot *next = &control->slot[(generation + 1) & 1];
    uint64_t tail = slot->tail, offset = tail - appender->base, size = (count + 31) & ~(size_t)7;
    if (offset > appender->data_end || offset + size + MLOG_FRAME_HEADER_BYTES > appender->data_end) goto unlock;
    if (__atomic_load_n(&control->poison, __ATOMIC_ACQUIRE)
        | __atomic_load_n(&control->needs_recovery, __ATOMIC_ACQUIRE)) goto unlock;
    uint64_t sequence = slot->sequence;
    const uint32_t *entry = (const uint32_t *)(appender->start + appender->data_end
                                               + offset / MLOG_BLOCK_BYTES * MLOG_INDEX_ENTRY_BYTES);
    if ((int64_t)sequence < 0 || *entry == 0) goto unlock;

    if (!has_timestamp) timestamp = mlog_clock_read(appender->clock);
    int64_t smallest = slot->smallest_timestamp, largest = slot->largest_timestamp;
    before->tail = tail;
    before->sequence = sequence;
    next->sequence = sequence + 1;
    next->smallest_timestamp = timestamp < smallest ? timestamp : smallest;
    next->largest_timestamp = timestamp > largest ? timestamp : largest;
    __atomic_store_n(&next->tail, tail + size, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    unsigned char *frame = appender->start + offset;
    uint64_t word = count | (uint64_t)MLOG_KIND_RECORD << 32;
    uint64_t lag = (tail - __atomic_load_n(&control->durable, __ATOMIC_ACQUIRE)) >> 3;
    write_short(frame, payload, word, tail, timestamp, lag < UINT32_MAX ? (uint32_t)lag : MLOG_LAG_NO_STATEMENT,
                appender->seed);
    __atomic_store_n((uint64_t *)frame, word, __ATOMIC_RELEASE);
    __atomic_store_n(&control->generation, generation + 1, __ATOMIC_RELEASE);

    int rest = 0;
    if (offset + size >= appender->bell_offset) {
        appender->bell_offset = UINT64_MAX;
        rest = MLOG_RING_PREPARER;
    }
    unlock(mutex, thread);
    if (appender->must_fence) mlog_full_fence();
    if (__atomic_load_n(appender->sleepers, __ATOMIC_ACQUIRE) & 1) rest |= MLOG_WAKE_SLEEPERS;
    if (__atomic_load_n(&appender->wants_bell, __ATOMIC_RELAXED)) rest |= MLOG_RING_HOUSEKEEPER;
    mlog_thread_leave(thread);
    return rest;

unlock:
    unlock(mutex, thread);
leave:
    mlog_thread_leave(thread);
    return MLOG_NOT_APPENDED;
}

#else

int mlog_append_short(mlog_appender *appender, const void *payload, size_t count, int has_timestamp, int64_t timestamp,
                      mlog_append_slot *before) {
    (void)appender, (void)payload, (void)count, (void)has_timestamp, (void)timestamp, (void)before;
    return MLOG_NOT_APPENDED;
}

#endif
