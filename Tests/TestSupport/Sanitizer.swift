import Glibc

/// Whether this process, and so every executable beside it, is built for AddressSanitizer or ThreadSanitizer (`make sanitize`).
///
/// Such a process maps terabytes for the sanitizer's own use and is many times slower; what measures memory makes no sense there.
public let isSanitized = dlsym(nil, "__asan_init") != nil || dlsym(nil, "__tsan_init") != nil
