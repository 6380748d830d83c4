#include <isa-l/crc.h>
#include <string.h>
#include "mapped_log_system.h"

// Below this many bytes one chain of crc32 instructions is faster than ISA-L's set-up (measured: they meet at 256).
enum { LONG_BYTES = 256 };

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

static uint32_t extend_long(uint32_t state, const unsigned char *bytes, size_t count) {
    while (count > 0) {
        int piece = count > (1u << 30) ? 1 << 30 : (int)count;
        state = crc32_iscsi((unsigned char *)bytes, piece, state);
        bytes += piece;
        count -= (size_t)piece;
    }
    return state;
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

// ---- Writing a frame -----------------------------------------------------------------------------------------

// Where the next frames will be: the cache lines come while this one is written. Behind the mapping's end it is no fault.
enum { PREFETCH_AHEAD = 512, CACHE_LINE = 64 };
// The processor's own prefetching does for longer ones.
enum { LONGEST_PREFETCHED = 2048 };
// A long payload is summed up in pieces that are in the first cache still, where they were copied to: the caller's bytes
// may be anybody's to change.
enum { PIECE_BYTES = 16384 };

// The last 1 to 7 bytes of a payload, and zeros.
static inline uint64_t load_rest(const unsigned char *at, size_t count) {
    uint64_t value = 0;
    for (size_t done = 0; done < count; done++) value |= (uint64_t)at[done] << (8 * done);
    return value;
}

HARDWARE __attribute__((noinline)) static uint32_t write_long(unsigned char *to, const unsigned char *payload,
                                                              size_t count, uint32_t state) {
    if (count <= LONGEST_PREFETCHED) {
        for (size_t at = 0; at < count; at += CACHE_LINE) __builtin_prefetch(to + count + at, 1);
    }
    while (count > 0) {
        size_t piece = count < PIECE_BYTES ? count : PIECE_BYTES;
        memcpy(to, payload, piece);
        // The padding is 0, as all behind the tail.
        state = extend_long(state, to, (piece + 7) & ~(size_t)7);
        to += piece;
        payload += piece;
        count -= piece;
    }
    return state;
}

HARDWARE static void write_hardware(void *frame_, const void *payload_, uint64_t word, uint64_t position,
                                    int64_t timestamp, uint32_t lag, uint32_t seed) {
    unsigned char *frame = frame_, *to = frame + MLOG_FRAME_HEADER_BYTES;
    const unsigned char *payload = payload_;
    size_t count = (uint32_t)word;
    memcpy(frame + 12, &lag, sizeof lag);
    memcpy(frame + 16, &timestamp, sizeof timestamp);
    uint32_t state = CRC_U32(CRC_U64(CRC_U64(seed, position), word), lag);
    state = CRC_U64(state, (uint64_t)timestamp);
    if (count >= LONG_BYTES) {
        state = ~write_long(to, payload, count, state);
        memcpy(frame + 8, &state, sizeof state);
        return;
    }
    __builtin_prefetch(to + PREFETCH_AHEAD, 1);
    __builtin_prefetch(to + PREFETCH_AHEAD + CACHE_LINE, 1);
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

// A processor without the instruction: ISA-L's table version.
static uint32_t frame_software(const unsigned char *frame, size_t count, uint64_t word, uint64_t position,
                               uint32_t seed) {
    uint64_t head[2] = {position, word};
    uint32_t state = extend_long(seed, (const unsigned char *)head, sizeof head);
    return ~extend_long(state, frame + 12, count - 12);
}

static void write_software(void *frame_, const void *payload, uint64_t word, uint64_t position, int64_t timestamp,
                           uint32_t lag, uint32_t seed) {
    unsigned char *frame = frame_;
    size_t count = (uint32_t)word;
    memcpy(frame + 12, &lag, sizeof lag);
    memcpy(frame + 16, &timestamp, sizeof timestamp);
    if (count > 0) memcpy(frame + MLOG_FRAME_HEADER_BYTES, payload, count);
    uint32_t crc = frame_software(frame, (count + MLOG_FRAME_HEADER_BYTES + 7) & ~(size_t)7, word, position, seed);
    memcpy(frame + 8, &crc, sizeof crc);
}

static uint32_t (*extend)(uint32_t, const unsigned char *, size_t) = extend_long;
static uint32_t (*frame_crc)(const unsigned char *, size_t, uint64_t, uint64_t, uint32_t) = frame_software;
mlog_frame_writer *mlog_frame_writer_of_this_machine = write_software;

__attribute__((constructor)) static void choose(void) {
    if (HAS_HARDWARE) {
        extend = extend_hardware;
        frame_crc = frame_hardware;
        mlog_frame_writer_of_this_machine = write_hardware;
    }
}

uint32_t mlog_crc32c_extend(uint32_t state, const void *bytes, size_t count) { return extend(state, bytes, count); }

uint32_t mlog_frame_crc(const void *frame, size_t frame_bytes, uint64_t word, uint64_t position, uint32_t seed) {
    return frame_crc(frame, frame_bytes, word, position, seed);
}
