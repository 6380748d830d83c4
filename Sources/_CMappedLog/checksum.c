#include <isa-l/crc.h>
#include <string.h>
#include "mapped_log_system.h"

// Below this many bytes one chain of crc32 instructions is faster than ISA-L's set-up (measured: they meet at 256).
enum { LONG_BYTES = 256 };

static uint32_t extend_long(uint32_t state, const unsigned char *bytes, size_t count) {
    while (count > 0) {
        int piece = count > (1u << 30) ? 1 << 30 : (int)count;
        state = crc32_iscsi((unsigned char *)bytes, piece, state);
        bytes += piece;
        count -= (size_t)piece;
    }
    return state;
}

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

static uint64_t load_u64(const unsigned char *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

HARDWARE static uint32_t extend_hardware(uint32_t state, const unsigned char *bytes, size_t count) {
    if (count >= LONG_BYTES) return extend_long(state, bytes, count);
    for (; count >= 8; count -= 8, bytes += 8) state = CRC_U64(state, load_u64(bytes));
    for (; count > 0; count--, bytes++) state = CRC_U8(state, *bytes);
    return state;
}

HARDWARE static uint32_t frame_hardware(const unsigned char *frame, size_t count, uint64_t word, uint64_t position,
                                        uint32_t seed) {
    uint32_t lag;
    memcpy(&lag, frame + 12, sizeof lag);
    uint32_t state = CRC_U64(CRC_U64(seed, position), word);
    state = CRC_U32(state, lag);
    if (count - 16 >= LONG_BYTES) return ~extend_long(state, frame + 16, count - 16);
    for (size_t at = 16; at < count; at += 8) state = CRC_U64(state, load_u64(frame + at));
    return ~state;
}

// A processor without the instruction: ISA-L's table version.
static uint32_t frame_software(const unsigned char *frame, size_t count, uint64_t word, uint64_t position,
                               uint32_t seed) {
    uint64_t head[2] = {position, word};
    uint32_t state = extend_long(seed, (const unsigned char *)head, sizeof head);
    return ~extend_long(state, frame + 12, count - 12);
}

static uint32_t (*extend)(uint32_t, const unsigned char *, size_t) = extend_long;
static uint32_t (*frame_crc)(const unsigned char *, size_t, uint64_t, uint64_t, uint32_t) = frame_software;

__attribute__((constructor)) static void choose(void) {
    if (HAS_HARDWARE) {
        extend = extend_hardware;
        frame_crc = frame_hardware;
    }
}

uint32_t mlog_crc32c_extend(uint32_t state, const void *bytes, size_t count) { return extend(state, bytes, count); }

uint32_t mlog_frame_crc(const void *frame, size_t frame_bytes, uint64_t word, uint64_t position, uint32_t seed) {
    return frame_crc(frame, frame_bytes, word, position, seed);
}
