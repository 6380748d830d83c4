#include <isa-l/crc.h>
#include <string.h>
#include "crc32c.h"
#include "mapped_log_system.h"

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

HARDWARE __attribute__((noinline)) static void write_long(unsigned char *frame, const unsigned char *payload,
                                                          size_t count, uint32_t state) {
    memcpy(frame + MLOG_FRAME_HEADER_BYTES, payload, count);
    state = ~extend_long(state, frame + 16, ((count + 7) & ~(size_t)7) + 8);
    memcpy(frame + 8, &state, sizeof state);
}

HARDWARE void mlog_frame_writer_by_instruction(void *frame, const void *payload, uint64_t word, uint64_t position,
                                    int64_t timestamp, uint32_t lag, uint32_t seed) {
    size_t count = (uint32_t)word;
    if (count < LONG_BYTES) {
        write_short(frame, payload, word, position, timestamp, lag, seed);
        return;
    }
    memcpy((unsigned char *)frame + 12, &lag, sizeof lag);
    memcpy((unsigned char *)frame + 16, &timestamp, sizeof timestamp);
    write_long(frame, payload, count, CRC_U32(CRC_U64(CRC_U64(seed, position), word), lag));
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
        mlog_frame_writer_of_this_machine = mlog_frame_writer_by_instruction;
    }
}

uint32_t mlog_crc32c_extend(uint32_t state, const void *bytes, size_t count) { return extend(state, bytes, count); }

uint32_t mlog_frame_crc(const void *frame, size_t frame_bytes, uint64_t word, uint64_t position, uint32_t seed) {
    return frame_crc(frame, frame_bytes, word, position, seed);
}
