// Writing a frame: the bulk of an append, inside the append lock.
#ifndef MAPPED_LOG_FRAME_H
#define MAPPED_LOG_FRAME_H

#include <string.h>
#include "mapped_log_system.h"

// As mlog_frame_write, for long payloads, and for all where the processor lacks the instructions.
void mlog_frame_write_long(void *frame, const void *payload, uint64_t word, uint64_t position, int64_t timestamp,
                           uint32_t lag, uint32_t seed);

// What is shorter gets its CRC32C by one chain of instructions; from here on ISA-L is faster (measured: they meet at 256).
// 0 where the processor lacks the instructions. Nearly all have them; Swift is compiled for those that haven't, so that
// intrinsics, which need their caller to be compiled for them, could not be inlined there.
extern uint32_t mlog_short_bytes;
static inline uint32_t mlog_frame_shortest_long(void) { return mlog_short_bytes; }

// The state is the low half of the register; the upper half is 0 where it comes out of one of these.
MLOG_INLINE uint64_t mlog_crc32c_u64(uint64_t state, uint64_t value) {
#if defined(__x86_64__)
    __asm__("crc32q %1, %0" : "+r"(state) : "r"(value));
#else
    __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(state) : "r"(value));
#endif
    return state;
}

MLOG_INLINE uint64_t mlog_crc32c_u32(uint64_t state, uint32_t value) {
#if defined(__x86_64__)
    __asm__("crc32l %1, %k0" : "+r"(state) : "r"(value));
#else
    __asm__(".arch_extension crc\n\tcrc32cw %w0, %w0, %w1" : "+r"(state) : "r"(value));
#endif
    return state;
}

// Inline: a call would have an append keep all it knows in memory.
MLOG_INLINE void mlog_frame_write_short(
    void *frame_, const void *payload_, size_t count, uint64_t word, uint64_t position, int64_t timestamp, uint32_t lag,
    uint32_t seed) {
    unsigned char *frame = frame_, *to = frame + MLOG_FRAME_HEADER_BYTES;
    const unsigned char *payload = payload_;
    memcpy(frame + 12, &lag, sizeof lag);
    memcpy(frame + 16, &timestamp, sizeof timestamp);
    uint64_t state = mlog_crc32c_u64(mlog_crc32c_u64(seed, position), word);
    state = mlog_crc32c_u64(mlog_crc32c_u32(state, lag), (uint64_t)timestamp);
    // Each word is loaded once: a load of what was just stored may have to wait for the store.
    for (; count >= 32; count -= 32, payload += 32, to += 32) {
        uint64_t value[4];
        memcpy(value, payload, sizeof value);
        memcpy(to, value, sizeof value);
        for (int at = 0; at < 4; at++) state = mlog_crc32c_u64(state, value[at]);
    }
    while (count > 0) {
        uint64_t value = 0;
        size_t piece = count < sizeof value ? count : sizeof value;
        if (piece == sizeof value) {
            memcpy(&value, payload, sizeof value);
        } else {
            for (size_t done = 0; done < piece; done++) value |= (uint64_t)payload[done] << (8 * done);
        }
        memcpy(to, &value, sizeof value);
        state = mlog_crc32c_u64(state, value);
        count -= piece, payload += piece, to += piece;
    }
    uint32_t crc = ~(uint32_t)state;
    memcpy(frame + 8, &crc, sizeof crc);
}

// What a frame states of the durable watermark, which is so many bytes behind its position.
MLOG_INLINE uint32_t mlog_frame_lag(uint64_t distance) {
    if (__builtin_expect(distance >> 35 != 0, 0)) return MLOG_LAG_NO_STATEMENT;
    return (uint32_t)(distance >> 3);
}

// Writes a frame but its word: lag, timestamp, CRC, and the payload, whose length is the word's. The padding must be 0.
MLOG_INLINE void mlog_frame_write(void *frame, const void *payload, uint64_t word, uint64_t position, int64_t timestamp,
                                  uint32_t lag, uint32_t seed) {
    if (__builtin_expect((uint32_t)word < mlog_short_bytes, 1)) {
        mlog_frame_write_short(frame, payload, (uint32_t)word, word, position, timestamp, lag, seed);
    } else {
        mlog_frame_write_long(frame, payload, word, position, timestamp, lag, seed);
    }
}

#endif
