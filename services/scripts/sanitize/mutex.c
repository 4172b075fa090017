// Preloaded for ThreadSanitizer: tells it when Swift's Mutex (module Synchronization, Linux) is taken and given back under contention.
// The uncontended way is inlined into our code, where the sanitizer sees its atomic operation. The contended way is a function in a library that
// is not compiled for the sanitizer, so two holders would look like a race. The compiler of the Swift toolchain must compile this (swiftcall).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

// Weak: programs without the sanitizer that a test starts (redis-server, a shell) load this too, and never call it.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

// Synchronization._MutexHandle._lockSlow(Swift.UInt32) -> ()
SWIFT void lock_slow(uint32_t thread, SELF void *mutex) __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
// Synchronization._MutexHandle._unlockSlow() -> ()
SWIFT void unlock_slow(SELF void *mutex) __asm__("$s15Synchronization12_MutexHandleV11_unlockSlowyyF");

static SWIFT void (*own_lock_slow)(uint32_t, SELF void *);
static SWIFT void (*own_unlock_slow)(SELF void *);

__attribute__((constructor)) static void find(void) {
    own_lock_slow = dlsym(RTLD_NEXT, "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");
    own_unlock_slow = dlsym(RTLD_NEXT, "$s15Synchronization12_MutexHandleV11_unlockSlowyyF");
}

SWIFT void lock_slow(uint32_t thread, SELF void *mutex) {
    own_lock_slow(thread, mutex);
    __tsan_acquire(mutex);
}

SWIFT void unlock_slow(SELF void *mutex) {
    __tsan_release(mutex);
    own_unlock_slow(mutex);
}
