#include <isa-l/crc.h>
#include <string.h>
#include "mapped_log_frame.h"

#if defined(__x86_64__)
#define HAS_CRC32C __builtin_cpu_supports("sse4.2")
#elif defined(__aarch64__)
#include <sys/auxv.h>
#define HAS_CRC32C ((getauxval(AT_HWCAP) & (1 << 7)) != 0)
#else
#error "MappedLog runs on x86-64 and on arm64"
#endif

uint32_t mlog_short_bytes;
__attribute__((constructor)) static void look_for_crc32c(void) { mlog_short_bytes = HAS_CRC32C ? 256 : 0; }

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

// Of whole words.
static inline uint32_t extend_words(uint64_t state, const unsigned char *bytes, size_t count) {
    for (; count >= 32; count -= 32, bytes += 32) {
        for (int at = 0; at < 32; at += 8) state = mlog_crc32c_u64(state, load_u64(bytes + at));
    }
    for (; count > 0; count -= 8, bytes += 8) state = mlog_crc32c_u64(state, load_u64(bytes));
    return (uint32_t)state;
}

uint32_t mlog_crc32c_extend(uint32_t state, const void *bytes, size_t count) {
    if (count >= mlog_short_bytes) return extend_long(state, bytes, count);
    size_t words = count & ~(size_t)7;
    return extend_long(extend_words(state, bytes, words), (const unsigned char *)bytes + words, count - words);
}

// Of what precedes a frame's timestamp: its position, its word, and its lag.
static inline uint32_t frame_beginning(const unsigned char *frame, uint64_t word, uint64_t position, uint32_t seed) {
    if (mlog_short_bytes != 0) {
        uint32_t lag;
        memcpy(&lag, frame + 12, sizeof lag);
        return mlog_crc32c_u32(mlog_crc32c_u64(mlog_crc32c_u64(seed, position), word), lag);
    }
    uint64_t head[2] = {position, word};
    return extend_long(extend_long(seed, (const unsigned char *)head, sizeof head), frame + 12, 4);
}

uint32_t mlog_frame_crc(const void *frame, size_t count, uint64_t word, uint64_t position, uint32_t seed) {
    const unsigned char *rest = (const unsigned char *)frame + 16;
    uint32_t state = frame_beginning(frame, word, position, seed);
    if (count - 16 >= mlog_short_bytes) return ~extend_long(state, rest, count - 16);
    return ~extend_words(state, rest, count - 16);
}

// The processor's own prefetching does for longer ones.
enum { LONGEST_PREFETCHED = 2048, CACHE_LINE = 64 };
// A long payload is summed up in pieces that are in the first cache still, where they were copied to: the caller's bytes
// may be anybody's to change.
enum { PIECE_BYTES = 16384 };

void mlog_frame_write_long(void *frame_, const void *payload_, uint64_t word, uint64_t position, int64_t timestamp,
                           uint32_t lag, uint32_t seed) {
    unsigned char *frame = frame_, *to = frame + MLOG_FRAME_HEADER_BYTES;
    const unsigned char *payload = payload_;
    size_t count = (uint32_t)word;
    memcpy(frame + 12, &lag, sizeof lag);
    memcpy(frame + 16, &timestamp, sizeof timestamp);
    if (count <= LONGEST_PREFETCHED) {
        for (size_t at = 0; at < count; at += CACHE_LINE) __builtin_prefetch(to + count + at, 1);
    }
    uint32_t state = frame_beginning(frame, word, position, seed);
    state = mlog_crc32c_extend(state, &timestamp, sizeof timestamp);
    while (count > 0) {
        size_t piece = count < PIECE_BYTES ? count : PIECE_BYTES;
        memcpy(to, payload, piece);
        // The padding is 0, as all behind the tail.
        state = extend_long(state, to, (piece + 7) & ~(size_t)7);
        to += piece;
        payload += piece;
        count -= piece;
    }
    state = ~state;
    memcpy(frame + 8, &state, sizeof state);
}
