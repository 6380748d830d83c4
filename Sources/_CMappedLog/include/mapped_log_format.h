// The layout of everything MappedLog keeps in files, format 1.0. spec/format.md explains each field; this header
// names it, so that the specification, C and Swift cannot drift apart. All integers are little-endian.
#ifndef MAPPED_LOG_FORMAT_H
#define MAPPED_LOG_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "MappedLog maps its files as they are: it needs a little-endian machine"
#endif

#define MLOG_AT(type, field, offset) \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field " is not at offset " #offset)

// ---- Sizes and bounds ----------------------------------------------------------------------------------------

enum {
    MLOG_FORMAT_MAJOR = 1,
    MLOG_FORMAT_MINOR = 0,
    MLOG_HEADER_PAGE_BYTES = 4096,     // the header page; data begins behind it
    MLOG_FRAME_HEADER_BYTES = 24,
    MLOG_FRAME_ALIGNMENT = 8,
    MLOG_BLOCK_BYTES = 65536,          // one index entry for each block of the segment file
    MLOG_INDEX_ENTRY_BYTES = 32,
    MLOG_INDEX_ALIGNMENT = 4096,       // the index occupies whole pages at the end of the segment
    MLOG_CHECKSUM_CRC32C = 1,
};
#define MLOG_SEGMENT_BYTES_MIN 65536ULL
#define MLOG_SEGMENT_BYTES_MAX 4294967296ULL
#define MLOG_LAG_NO_STATEMENT 0xFFFFFFFFU

// ---- Segment: header page ------------------------------------------------------------------------------------

// 89 'M' 'L' 'O' 'G' 0D 0A 1A, read as a little-endian integer.
#define MLOG_SEGMENT_MAGIC 0x1A0A0D474F4C4D89ULL

// Immutable, at offset 0. `crc` is CRC32C of bytes 0–123.
typedef struct mlog_segment_header {
    uint64_t magic;
    uint16_t format_major;
    uint16_t format_minor;
    uint32_t header_bytes;              // 4096
    uint32_t frame_header_bytes;        // 24
    uint32_t checksum;                  // 1: CRC32C
    uint32_t compatible;                // unknown bits: go on
    uint32_t read_only_compatible;      // unknown bits: may read, must not write
    uint32_t incompatible;              // unknown bits: refuse
    uint32_t reserved0;                 // zero
    uint8_t  log_id[16];                // UUID, in the byte order of its text form
    uint64_t segment_bytes;
    uint64_t base_position;             // segment number × segment_bytes
    int64_t  creation_time;             // nanoseconds since 1970
    uint64_t salt;                      // random
    uint8_t  reserved1[36];             // zero
    uint32_t crc;
} mlog_segment_header;
_Static_assert(sizeof(mlog_segment_header) == 128, "segment header");
MLOG_AT(mlog_segment_header, magic, 0);
MLOG_AT(mlog_segment_header, format_major, 8);
MLOG_AT(mlog_segment_header, format_minor, 10);
MLOG_AT(mlog_segment_header, header_bytes, 12);
MLOG_AT(mlog_segment_header, frame_header_bytes, 16);
MLOG_AT(mlog_segment_header, checksum, 20);
MLOG_AT(mlog_segment_header, compatible, 24);
MLOG_AT(mlog_segment_header, read_only_compatible, 28);
MLOG_AT(mlog_segment_header, incompatible, 32);
MLOG_AT(mlog_segment_header, reserved0, 36);
MLOG_AT(mlog_segment_header, log_id, 40);
MLOG_AT(mlog_segment_header, segment_bytes, 56);
MLOG_AT(mlog_segment_header, base_position, 64);
MLOG_AT(mlog_segment_header, creation_time, 72);
MLOG_AT(mlog_segment_header, salt, 80);
MLOG_AT(mlog_segment_header, reserved1, 88);
MLOG_AT(mlog_segment_header, crc, 124);

// The activation line, in a disk sector of its own: written by the roll that makes the segment active.
// `crc` is CRC32C of salt, base position, bytes 0–27.
#define MLOG_ACTIVATION_OFFSET 512
#define MLOG_ACTIVATION_TAG 0x56544341U   // "ACTV"
typedef struct mlog_activation {
    uint32_t tag;
    uint32_t reserved0;                 // zero
    uint64_t base_sequence;             // of the first record in the segment
    int64_t  largest_timestamp_before;  // of all records before the segment; INT64_MIN: there was none
    uint32_t reserved1;                 // zero
    uint32_t crc;
} mlog_activation;
_Static_assert(sizeof(mlog_activation) == 32, "activation line");
MLOG_AT(mlog_activation, tag, 0);
MLOG_AT(mlog_activation, reserved0, 4);
MLOG_AT(mlog_activation, base_sequence, 8);
MLOG_AT(mlog_activation, largest_timestamp_before, 16);
MLOG_AT(mlog_activation, reserved1, 24);
MLOG_AT(mlog_activation, crc, 28);

// The seal line, in a disk sector of its own: written behind the end frame. A bad one means "not sealed yet".
// `crc` is CRC32C of salt, base position, bytes 0–43.
#define MLOG_SEAL_OFFSET 1024
#define MLOG_SEAL_TAG 0x4C414553U          // "SEAL"
typedef struct mlog_seal {
    uint32_t tag;
    uint32_t reserved0;                 // zero
    uint64_t end_offset;                // offset in the segment of the end frame
    uint64_t record_count;
    int64_t  smallest_timestamp;        // INT64_MAX when there is no record
    int64_t  largest_timestamp;         // INT64_MIN when there is no record
    uint32_t reserved1;                 // zero
    uint32_t crc;
} mlog_seal;
_Static_assert(sizeof(mlog_seal) == 48, "seal line");
MLOG_AT(mlog_seal, tag, 0);
MLOG_AT(mlog_seal, reserved0, 4);
MLOG_AT(mlog_seal, end_offset, 8);
MLOG_AT(mlog_seal, record_count, 16);
MLOG_AT(mlog_seal, smallest_timestamp, 24);
MLOG_AT(mlog_seal, largest_timestamp, 32);
MLOG_AT(mlog_seal, reserved1, 40);
MLOG_AT(mlog_seal, crc, 44);

// ---- Segment: frames -----------------------------------------------------------------------------------------

// `word`: length in bits 0–31, kind in 32–39, flags in 40–47, reserved zero in 48–63. 0: nothing here yet.
// `crc` is CRC32C of salt, position, the word, then everything of the frame from `lag` to the end of the padding.
typedef struct mlog_frame_header {
    uint64_t word;
    uint32_t crc;
    uint32_t lag;                       // (position − durable watermark when appended) ÷ 8
    int64_t  timestamp;                 // nanoseconds since 1970; of a lost frame: sequence of the next record
} mlog_frame_header;
_Static_assert(sizeof(mlog_frame_header) == MLOG_FRAME_HEADER_BYTES, "frame header");
MLOG_AT(mlog_frame_header, word, 0);
MLOG_AT(mlog_frame_header, crc, 8);
MLOG_AT(mlog_frame_header, lag, 12);
MLOG_AT(mlog_frame_header, timestamp, 16);

enum {
    MLOG_KIND_RECORD = 1,
    MLOG_KIND_END = 2,                  // of the segment; no payload
    MLOG_KIND_MARK = 3,                 // carries the durable watermark; no payload, no sequence
    MLOG_KIND_GAP = 4,                  // reserved for keyed compaction
    MLOG_KIND_LOST = 5,                 // written by repair over a damaged range
    MLOG_KIND_SKIPPABLE = 0x80,         // this kind and above: skippable, no sequence
};
enum {
    MLOG_FLAG_BATCH_FIRST = 0x01,
    MLOG_FLAG_BATCH_INNER = 0x02,
    MLOG_FLAG_BATCH_LAST = 0x04,
    MLOG_FLAG_EXTENDED = 0x80,          // reserved
};

// ---- Segment: sparse index -----------------------------------------------------------------------------------

// Entry k speaks of the first frame that starts in block k, which is bytes [k × 65536, (k + 1) × 65536) of the
// segment. All zero: no entry. `crc` is CRC32C of salt, the frame's position, then bytes 0–3 and 8–31.
typedef struct mlog_index_entry {
    uint32_t offset;                    // of that frame in the segment
    uint32_t crc;
    uint64_t sequence;                  // of the first record at or behind that frame
    int64_t  largest_timestamp;         // of the segment's records before that frame; INT64_MIN: none
    uint64_t reserved;                  // zero
} mlog_index_entry;
_Static_assert(sizeof(mlog_index_entry) == MLOG_INDEX_ENTRY_BYTES, "index entry");
MLOG_AT(mlog_index_entry, offset, 0);
MLOG_AT(mlog_index_entry, crc, 4);
MLOG_AT(mlog_index_entry, sequence, 8);
MLOG_AT(mlog_index_entry, largest_timestamp, 16);
MLOG_AT(mlog_index_entry, reserved, 24);

// ---- tailers/NAME --------------------------------------------------------------------------------------------

// Two slots, each in a disk sector of its own; the valid one with the higher counter counts.
// `crc` is CRC32C of the log's UUID, then bytes 0–59.
enum { MLOG_TAILER_FILE_BYTES = 1024, MLOG_TAILER_SLOT_STRIDE = 512 };
#define MLOG_TAILER_MAGIC 0x0A524C54474F4C4DULL      // "MLOGTLR\n"
#define MLOG_TAILER_PROTECTING 1ULL                  // in flags: retention removes no segment it has yet to read
typedef struct mlog_tailer_slot {
    uint64_t magic;
    uint64_t counter;
    uint64_t position;                  // of the next frame to read
    uint64_t sequence;                  // of the next record to read
    uint64_t flags;                     // MLOG_TAILER_PROTECTING; else zero, reserved
    uint8_t  reserved[20];              // zero
    uint32_t crc;
} mlog_tailer_slot;
_Static_assert(sizeof(mlog_tailer_slot) == 64, "named tailer slot");
MLOG_AT(mlog_tailer_slot, magic, 0);
MLOG_AT(mlog_tailer_slot, counter, 8);
MLOG_AT(mlog_tailer_slot, position, 16);
MLOG_AT(mlog_tailer_slot, sequence, 24);
MLOG_AT(mlog_tailer_slot, flags, 32);
MLOG_AT(mlog_tailer_slot, reserved, 40);
MLOG_AT(mlog_tailer_slot, crc, 60);

// ---- Compacted segment ---------------------------------------------------------------------------------------
// A skippable frame with this header, one LZ4 frame whose content is the segment, a skippable frame with the seek
// table. LZ4 frame format 1.6.

#define MLOG_COMPACTED_HEADER_MAGIC 0x184D2A5AU      // LZ4 skippable frame
#define MLOG_COMPACTED_TABLE_MAGIC 0x184D2A5BU       // LZ4 skippable frame
#define MLOG_COMPACTED_TAG 0x0A345A4C474F4C4DULL     // "MLOGLZ4\n"
#define MLOG_COMPACTED_FOOTER_TAG 0x0A444E45474F4C4DULL  // "MLOGEND\n"
#define MLOG_LZ4_FRAME_MAGIC 0x184D2204U
#define MLOG_LZ4_STORED 0x80000000U                  // in a block's size: not compressed
enum {
    MLOG_COMPACTED_FORM = 1,
    MLOG_COMPACTED_HEADER_BYTES = 256,
    MLOG_COMPACTED_FOOTER_BYTES = 64,
    MLOG_COMPACTED_ENTRY_BYTES = 16,
    MLOG_LZ4_FRAME_HEADER_BYTES = 15,                // with content size
    MLOG_LZ4_BLOCK_OVERHEAD = 8,                     // size before a block, checksum behind it
    MLOG_LZ4_FRAME_END_BYTES = 8,                    // end mark, content checksum
    MLOG_COMPACTED_BLOCK_BYTES_MIN = 65536,
    MLOG_COMPACTED_BLOCK_BYTES_MAX = 4194304,
};

// At offset 0. `crc` is CRC32C of bytes 0–251.
typedef struct mlog_compacted_header {
    uint32_t skippable_magic;
    uint32_t skippable_bytes;           // 248
    uint64_t tag;
    uint32_t form;                      // 1
    uint32_t block_bytes;               // 64 KiB, 256 KiB, 1 MiB or 4 MiB
    uint32_t level;                     // that it was compressed with; for people
    uint32_t compatible;                // unknown bits: go on
    uint32_t incompatible;              // unknown bits: refuse
    uint32_t reserved;                  // zero
    mlog_segment_header segment;        // the first bytes of the segment
    mlog_activation activation;         // its activation line
    mlog_seal seal;                     // its seal line
    uint32_t reserved1;                 // zero
    uint32_t crc;
} mlog_compacted_header;
_Static_assert(sizeof(mlog_compacted_header) == MLOG_COMPACTED_HEADER_BYTES, "header of a compacted segment");
MLOG_AT(mlog_compacted_header, skippable_magic, 0);
MLOG_AT(mlog_compacted_header, skippable_bytes, 4);
MLOG_AT(mlog_compacted_header, tag, 8);
MLOG_AT(mlog_compacted_header, form, 16);
MLOG_AT(mlog_compacted_header, block_bytes, 20);
MLOG_AT(mlog_compacted_header, level, 24);
MLOG_AT(mlog_compacted_header, compatible, 28);
MLOG_AT(mlog_compacted_header, incompatible, 32);
MLOG_AT(mlog_compacted_header, reserved, 36);
MLOG_AT(mlog_compacted_header, segment, 40);
MLOG_AT(mlog_compacted_header, activation, 168);
MLOG_AT(mlog_compacted_header, seal, 200);
MLOG_AT(mlog_compacted_header, reserved1, 248);
MLOG_AT(mlog_compacted_header, crc, 252);

// One for each block, behind the eight bytes that begin the last skippable frame.
typedef struct mlog_compacted_entry {
    uint64_t offset;                    // in the file, of the block's size field
    uint32_t size;                      // as in that field: bytes of data, and the highest bit if stored
    uint32_t crc;                       // CRC32C of size field, data and checksum, as they stand in the file
} mlog_compacted_entry;
_Static_assert(sizeof(mlog_compacted_entry) == MLOG_COMPACTED_ENTRY_BYTES, "seek table entry");
MLOG_AT(mlog_compacted_entry, offset, 0);
MLOG_AT(mlog_compacted_entry, size, 8);
MLOG_AT(mlog_compacted_entry, crc, 12);

// The file's last bytes, inside the skippable frame. `crc` is CRC32C of all from that frame's first byte to `crc`.
typedef struct mlog_compacted_footer {
    uint64_t table_offset;              // in the file, of that skippable frame
    uint64_t segment_bytes;
    uint64_t base_position;
    uint64_t salt;                      // these three as in the segment's header
    uint32_t block_bytes;
    uint32_t block_count;               // segment_bytes ÷ block_bytes, rounded up
    uint32_t frame_crc;                 // CRC32C of the LZ4 frame's header, end mark and content checksum
    uint32_t reserved0;                 // zero
    uint32_t reserved1;                 // zero
    uint32_t crc;
    uint64_t tag;
} mlog_compacted_footer;
_Static_assert(sizeof(mlog_compacted_footer) == MLOG_COMPACTED_FOOTER_BYTES, "footer of a compacted segment");
MLOG_AT(mlog_compacted_footer, table_offset, 0);
MLOG_AT(mlog_compacted_footer, segment_bytes, 8);
MLOG_AT(mlog_compacted_footer, base_position, 16);
MLOG_AT(mlog_compacted_footer, salt, 24);
MLOG_AT(mlog_compacted_footer, block_bytes, 32);
MLOG_AT(mlog_compacted_footer, block_count, 36);
MLOG_AT(mlog_compacted_footer, frame_crc, 40);
MLOG_AT(mlog_compacted_footer, reserved0, 44);
MLOG_AT(mlog_compacted_footer, reserved1, 48);
MLOG_AT(mlog_compacted_footer, crc, 52);
MLOG_AT(mlog_compacted_footer, tag, 56);

// ---- live/control --------------------------------------------------------------------------------------------
// The running system's state. Never needed to recover data; layout_version guards it, not the format version.

#define MLOG_CONTROL_MAGIC 0x0A4C5443474F4C4DULL     // "MLOGCTL\n"
enum {
    MLOG_CONTROL_BYTES = 4096,
    MLOG_CONTROL_LAYOUT = 2,
    MLOG_MUTEX_BYTES = 48,              // room for pthread_mutex_t of each supported libc and machine
    MLOG_STATE_RECOVERING = 1,
    MLOG_STATE_READY = 2,
    MLOG_REPAIR_DUE = 1 << 30,          // in needs_recovery: who takes the append lock repairs first; it is no errno
};

// Everything an append moves, in one piece: `generation` says which of the two counts.
typedef struct mlog_append_slot {
    uint64_t tail;                      // position behind the last committed frame
    uint64_t sequence;                  // of the next record
    int64_t  smallest_timestamp;        // of the active segment's records; INT64_MAX: none
    int64_t  largest_timestamp;         // of the active segment's records; INT64_MIN: none
} mlog_append_slot;
_Static_assert(sizeof(mlog_append_slot) == 32, "append slot");

// Written at a clean close, behind the last flush. `crc` is CRC32C of bytes 0–59.
typedef struct mlog_close_note {
    uint64_t device;
    uint64_t inode;                     // of live/control itself
    mlog_append_slot slot;
    uint64_t written;                   // 1
    uint32_t lost_count;                // how many sequences the active segment's lost frames took
    uint32_t crc;
} mlog_close_note;
_Static_assert(sizeof(mlog_close_note) == 64, "clean-close note");

typedef struct mlog_control {
    uint64_t magic;                     // who may use this file: stored before state becomes ready
    uint32_t layout_version;
    uint32_t c_library;                 // 1: glibc, 2: musl
    uint32_t pointer_bytes;
    uint32_t mutex_bytes;               // sizeof(pthread_mutex_t)
    uint64_t pid_namespace;             // inode of /proc/self/ns/pid
    uint64_t device;
    uint64_t inode;
    uint8_t  boot_id[16];
    uint8_t  log_id[16];
    uint64_t segment_bytes;
    uint32_t state;                     // atomic
    uint8_t  reserved0[36];
    mlog_close_note note;               // 128
    uint8_t  reserved1[64];
    uint64_t durable;                   // 256, atomic: the durable watermark
    uint64_t epoch;                     // atomic: rises whenever files were replaced or the tail was cut
    uint32_t reserved7;
    uint32_t flushing;                  // atomic: 1 while a flush is under way
    uint64_t flushed_sequence;          // 280, hint: where the last flush began, the sequence of the next record
    uint32_t flushed_records;           // hint: how many records it covered, if somebody waited for it; else 0
    uint32_t flush_microseconds;        // hint: how long it took
    uint8_t  reserved2[24];
    uint8_t  flush_mutex[MLOG_MUTEX_BYTES];             // 320
    uint8_t  reserved3[16];
    uint8_t  append_mutex[MLOG_MUTEX_BYTES];            // 384: with what each append touches in one cache line
    uint64_t generation;                // 432, atomic
    uint32_t needs_recovery;            // 440, atomic: errno of the repair that failed; MLOG_REPAIR_DUE; 0: none
    uint32_t poison;                    // 444, atomic: errno of the failed flush; 0: none. An append loads both at once
    uint64_t mark_tail;                 // 448: position behind the last mark
    uint64_t lost_position;             // the first position of the segment that lost_count speaks of; 0: none
    uint64_t lost_count;                // how many sequences its lost frames took
    uint32_t batch_words;               // 472, atomic: 1 while words of a batch may stand behind the tail; 2: repair flushes
    uint8_t  reserved5[36];
    mlog_append_slot slot[2];           // 512
    uint8_t  reserved6[3520];
} mlog_control;
_Static_assert(sizeof(mlog_control) == MLOG_CONTROL_BYTES, "control");
MLOG_AT(mlog_control, state, 88);
MLOG_AT(mlog_control, note, 128);
MLOG_AT(mlog_control, durable, 256);
MLOG_AT(mlog_control, epoch, 264);
MLOG_AT(mlog_control, flushing, 276);
MLOG_AT(mlog_control, flushed_sequence, 280);
MLOG_AT(mlog_control, flush_mutex, 320);
MLOG_AT(mlog_control, append_mutex, 384);
MLOG_AT(mlog_control, generation, 432);
MLOG_AT(mlog_control, needs_recovery, 440);
MLOG_AT(mlog_control, poison, 444);
_Static_assert(offsetof(mlog_control, needs_recovery) % 8 == 0, "needs_recovery and poison are loaded as one word");
MLOG_AT(mlog_control, mark_tail, 448);
MLOG_AT(mlog_control, lost_position, 456);
MLOG_AT(mlog_control, batch_words, 472);
MLOG_AT(mlog_control, slot, 512);

// ---- live/waiters and live/lock ------------------------------------------------------------------------------

// Two words, a cache line each: bit 0 while a tailer sleeps or is about to, above it a count of wakes.
enum { MLOG_WAITERS_BYTES = 4096, MLOG_WAITERS_COMMITTED_OFFSET = 0, MLOG_WAITERS_DURABLE_OFFSET = 64 };

// Bytes of live/lock on which open file description locks are taken.
enum { MLOG_LOCK_GATE = 0, MLOG_LOCK_WRITER = 1, MLOG_LOCK_COMPACTOR = 2, MLOG_LOCK_WINDOW = 3 };

#endif
