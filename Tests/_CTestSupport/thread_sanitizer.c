// Synchronization.Mutex takes its lock inline, where ThreadSanitizer sees it, unless it has to wait: then it does so in
// the toolchain's library, which isn't instrumented. What was done under the lock before would look like a race. Here the
// two functions it calls there say what they do. A Mutex whose layout or whose functions change makes reports of races
// come back, and nothing worse.
#if __has_feature(thread_sanitizer)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

// A forked child of several threads that starts one would be ended: tests make such, to see that the library refuses them.
const char *__tsan_default_options(void) { return "die_after_fork=0"; }

void __tsan_acquire(void *address);
void __tsan_release(void *address);

static void *next(const char *name) {
    void *symbol = dlsym(RTLD_NEXT, name);
    if (symbol == NULL) abort();
    return symbol;
}

SWIFT void test_lock_slow(uint32_t thread, SELF void *mutex) __asm__(LOCK_SLOW);
SWIFT void test_lock_slow(uint32_t thread, SELF void *mutex) {
    ((SWIFT void (*)(uint32_t, SELF void *))next(LOCK_SLOW))(thread, mutex);
    __tsan_acquire(mutex);
}

SWIFT void test_unlock_slow(SELF void *mutex) __asm__(UNLOCK_SLOW);
SWIFT void test_unlock_slow(SELF void *mutex) {
    __tsan_release(mutex);
    ((SWIFT void (*)(SELF void *))next(UNLOCK_SLOW))(mutex);
}
#endif
