// CRC32C by the processor's instruction, and the writing of short frames with it: for the files of this target only.
#ifndef MAPPED_LOG_CRC32C_H
#define MAPPED_LOG_CRC32C_H

#include <string.h>
#include "mapped_log_system.h"

// Below this many bytes one chain of crc32 instructions is faster than ISA-L's set-up (measured: they meet at 256).
enum { LONG_BYTES = 256 };

// A call costs a tenth of an append.
#define ALWAYS_INLINE __attribute__((always_inline)) static inline

#if defined(__x86_64__)
#include <immintrin.h>
#define HARDWARE __attribute__((target("sse4.2")))
#define CRC_U64(state, value) ((uint32_t)_mm_crc32_u64((state), (value)))
#define CRC_U32(state, value) _mm_crc32_u32((state), (value))
#define CRC_U8(state, value) _mm_crc32_u8((state), (value))
#define HAS_HARDWARE __builtin_cpu_supports("sse4.2")
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#define HARDWARE __attribute__((target("+crc")))
#define CRC_U64(state, value) __crc32cd((state), (value))
#define CRC_U32(state, value) __crc32cw((state), (value))
#define CRC_U8(state, value) __crc32cb((state), (value))
#define HAS_HARDWARE ((getauxval(AT_HWCAP) & (1 << 7)) != 0)
#else
#error "MappedLog runs on x86-64 and on arm64"
#endif

static inline uint64_t load_u64(const unsigned char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

// Where the next frames will be: the lines come while this one is written. Behind the file's end it is no fault.
#define PREFETCH_AHEAD 512

// The last 1 to 7 bytes of a payload, and zeros.
static inline uint64_t load_rest(const unsigned char *at, size_t count) {
    uint64_t value = 0;
    if (count & 4) {
        uint32_t part;
        memcpy(&part, at, 4);
        value = part;
        at += 4;
    }
    for (size_t done = count & 4; done < count; done++) value |= (uint64_t)*at++ << (8 * done);
    return value;
}

// Header but the word, and payload, of a frame whose payload is shorter than LONG_BYTES.
HARDWARE ALWAYS_INLINE void write_short(unsigned char *frame, const unsigned char *payload, uint64_t word,
                                        uint64_t position, int64_t timestamp, uint32_t lag, uint32_t seed) {
    unsigned char *to = frame + MLOG_FRAME_HEADER_BYTES;
    size_t count = (uint32_t)word;
    memcpy(frame + 12, &lag, sizeof lag);
    memcpy(frame + 16, &timestamp, sizeof timestamp);
    __builtin_prefetch(to + PREFETCH_AHEAD, 1);
    __builtin_prefetch(to + PREFETCH_AHEAD + 64, 1);
    uint32_t state = CRC_U32(CRC_U64(CRC_U64(seed, position), word), lag);
    state = CRC_U64(state, (uint64_t)timestamp);
    // Each word is loaded once: a load of what was just stored may have to wait for the store.
    for (; count >= 32; count -= 32, payload += 32, to += 32) {
        for (int at = 0; at < 32; at += 8) {
            uint64_t value = load_u64(payload + at);
            memcpy(to + at, &value, sizeof value);
            state = CRC_U64(state, value);
        }
    }
    for (; count >= 8; count -= 8, payload += 8, to += 8) {
        uint64_t value = load_u64(payload);
        memcpy(to, &value, sizeof value);
        state = CRC_U64(state, value);
    }
    if (count > 0) {
        uint64_t value = load_rest(payload, count);
        memcpy(to, &value, sizeof value);
        state = CRC_U64(state, value);
    }
    state = ~state;
    memcpy(frame + 8, &state, sizeof state);
}

#endif
