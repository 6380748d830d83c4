// A robust mutex held for a moment, at a third of what pthread_mutex_trylock(3) and pthread_mutex_unlock(3) cost.
// spec/protocol.md, chapter 3, "The lock".
#ifndef MAPPED_LOG_LOCK_H
#define MAPPED_LOG_LOCK_H

#include "mapped_log_system.h"

// The kernel is told of a held robust mutex in two ways: by the thread's list of them, and by the one entry that the
// thread says it is about to take or to let go (`list_op_pending`, get_robust_list(2)). The C library uses the second
// only around its changes of the list; a lock that is held while nothing else happens to the list can do with it alone.
// The word of the mutex is as the library keeps it, so that threads that take it through the library get along.

#if defined(__GLIBC__) && defined(__LP64__)

MLOG_INLINE void **mlog_lock_entry(void *mutex) {
    return (void **)&((pthread_mutex_t *)mutex)->__data.__list.__next;
}

static inline int mlog_lock_is_brief(void *mutex, const mlog_thread_mark *thread) {
    return thread->robust_list != NULL && thread->robust_list->pending == mlog_lock_entry(mutex);
}

// Where the mutex is the pending entry says, so that nothing has to be kept for it while the lock is held. A signal's
// handler that takes another robust mutex may clear the entry meanwhile: then who waits looks again within 20 ms.
__attribute__((cold, noinline, preserve_most)) static void mlog_lock_wake(const mlog_thread_mark *thread) {
    mlog_futex_wake_one((uint32_t *)((char *)thread->robust_list->pending + thread->robust_list->futex_offset));
}

// Lets go of a mutex that was free and has not been kept since.
MLOG_INLINE void mlog_unlock_brief(void *mutex, const mlog_thread_mark *thread) {
    int *word = &((pthread_mutex_t *)mutex)->__data.__lock;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    // FUTEX_WAITERS is the sign bit. Who is killed here has its waiter woken by the kernel: the entry is pending still.
    if (__builtin_expect(__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) < 0, 0)) mlog_lock_wake(thread);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    thread->robust_list->pending = NULL;
}

// Takes the mutex if it is free. 0: it isn't, or only the library can say.
MLOG_INLINE int mlog_lock_if_free(void *mutex, const mlog_thread_mark *thread) {
    if (__builtin_expect(thread->robust_list == NULL, 0)) return 0;
    struct __pthread_mutex_s *data = &((pthread_mutex_t *)mutex)->__data;
    thread->robust_list->pending = mlog_lock_entry(mutex);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    int free = 0;
    int is_mine = __atomic_compare_exchange_n(&data->__lock, &free, thread->id, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
    if (__builtin_expect(is_mine, 1)) {
        // Else it isn't recoverable.
        if (__builtin_expect(data->__owner == 0, 1)) return 1;
        mlog_unlock_brief(mutex, thread);
    }
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    thread->robust_list->pending = NULL;
    return 0;
}

// Puts a held mutex into the thread's list, as the library does: from here on the thread may take others.
static inline void mlog_lock_keep(void *mutex, const mlog_thread_mark *thread) {
    if (!mlog_lock_is_brief(mutex, thread)) return;
    struct __pthread_mutex_s *data = &((pthread_mutex_t *)mutex)->__data;
    mlog_robust_list *head = thread->robust_list;
    // Entries point at each other's `__next`, in front of which `__prev` stands; bit 0 says something of the mutex.
    void **entry = mlog_lock_entry(mutex), **next = (void **)((uintptr_t)head->next & ~(uintptr_t)1);
    next[-1] = entry;
    entry[0] = head->next;
    entry[-1] = &head->next;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    head->next = entry;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    head->pending = NULL;
    data->__count = 1;
    data->__owner = thread->id;
    data->__nusers++;
}

// Lets go of a mutex, however it is held.
static inline void mlog_unlock(void *mutex, const mlog_thread_mark *thread) {
    if (mlog_lock_is_brief(mutex, thread)) mlog_unlock_brief(mutex, thread);
    else pthread_mutex_unlock((pthread_mutex_t *)mutex);
}

#else

MLOG_INLINE int mlog_lock_if_free(void *mutex, const mlog_thread_mark *thread) {
    (void)mutex, (void)thread;
    return 0;
}
MLOG_INLINE void mlog_unlock_brief(void *mutex, const mlog_thread_mark *thread) { (void)mutex, (void)thread; }
static inline void mlog_lock_keep(void *mutex, const mlog_thread_mark *thread) { (void)mutex, (void)thread; }
static inline void mlog_unlock(void *mutex, const mlog_thread_mark *thread) {
    (void)thread;
    pthread_mutex_unlock((pthread_mutex_t *)mutex);
}

#endif
#endif
