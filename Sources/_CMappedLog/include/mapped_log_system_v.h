// System V shared memory and semaphores (shmget(2), shmat(2), semop(2)). Functions return 0 or a value ≥ 0 where they
// succeed, and a negated errno where they don't.
#ifndef MAPPED_LOG_SYSTEM_V_H
#define MAPPED_LOG_SYSTEM_V_H

#include <stddef.h>
#include <stdint.h>
#include "mapped_log_format.h"

// ---- The table segment ---------------------------------------------------------------------------------------
// At the key that names the log. What stands where, and who may store it when: spec/protocol.md, 19.

#define MLOG_TABLE_CLAIM 0x43535953474F4C4DULL       // "MLOGSYSC"
#define MLOG_TABLE_MAGIC 0x56535953474F4C4DULL       // "MLOGSYSV"
enum {
    MLOG_TABLE_LAYOUT = 1,
    MLOG_TABLE_CONTROL_OFFSET = 4096,
    MLOG_TABLE_WAITERS_OFFSET = 8192,
    MLOG_TABLE_SETTINGS_OFFSET = 12288,
    MLOG_TABLE_SETTINGS_BYTES = 4096,
    MLOG_TABLE_SEGMENTS_OFFSET = 16384,
    MLOG_TABLE_SEGMENTS = 1024,
    MLOG_TABLE_TAILERS_OFFSET = 49152,
    MLOG_TABLE_TAILERS = 64,
    MLOG_TABLE_TAILER_STRIDE = 2048,
    MLOG_TABLE_TAILER_FILE_OFFSET = 1024,            // in each tailer's stride: what tailers/NAME holds in files
    MLOG_TABLE_BYTES = 180237,                       // odd: no other program is likely to have one of this size
};

// `claim` is stored first, `magic` last, with release order: without it the creation was never finished.
typedef struct mlog_table {
    uint64_t claim;
    uint64_t magic;                     // atomic
    uint32_t layout_version;
    int32_t  semaphores_key;            // stored before the set is made
    uint64_t segment_bytes;
    uint32_t settings_bytes;            // atomic: of the options at MLOG_TABLE_SETTINGS_OFFSET
    uint32_t reserved;
    uint8_t  log_id[16];
} mlog_table;

enum { MLOG_ENTRY_FREE, MLOG_ENTRY_RESERVED, MLOG_ENTRY_PUBLISHED, MLOG_ENTRY_SPARE };

// A data segment. `key` is stored, and the state is reserved, before the segment is made: so no death leaks one.
typedef struct mlog_table_segment {
    uint32_t state;                     // atomic
    int32_t  key;
    int32_t  id;                        // of shmget(2)
    uint32_t reserved0;
    uint64_t base;                      // atomic
    uint64_t reserved1;
} mlog_table_segment;
_Static_assert(sizeof(mlog_table_segment) == 32, "segment of the table");
_Static_assert(MLOG_TABLE_SEGMENTS_OFFSET + 32 * MLOG_TABLE_SEGMENTS == MLOG_TABLE_TAILERS_OFFSET, "table");
_Static_assert(MLOG_TABLE_TAILERS_OFFSET + MLOG_TABLE_TAILERS * MLOG_TABLE_TAILER_STRIDE < MLOG_TABLE_BYTES, "table");

typedef struct mlog_table_tailer {
    uint32_t is_there;                  // atomic
    uint8_t  name[68];                  // ends with 0
} mlog_table_tailer;

// Semaphores of the set. The first four are the bytes of live/lock.
enum { MLOG_SEMAPHORE_TABLE = 4, MLOG_SEMAPHORE_TAILERS = 5, MLOG_SEMAPHORES = 5 + MLOG_TABLE_TAILERS };

// ---- The system calls ----------------------------------------------------------------------------------------

// What shmctl(2), IPC_STAT, tells.
typedef struct mlog_shm_status {
    uint64_t bytes;
    uint64_t attached;                  // shm_nattch: how many mappings there are, in all processes
    int32_t key;
    uint32_t owner;
    uint32_t mode;                      // permission bits
    uint32_t is_removed;                // marked with IPC_RMID: goes with the last mapping
} mlog_shm_status;

// ftok(3).
int mlog_ftok(const char *path, int id, int32_t *key);
// shmget(2) with IPC_CREAT and IPC_EXCL: the id of a new segment.
int mlog_shm_make(int32_t key, uint64_t byte_count, int mode);
// shmget(2): the id of the segment with this key.
int mlog_shm_find(int32_t key);
int mlog_shm_status_of(int id, mlog_shm_status *status);
// shmat(2); the mapping is not passed on to forked children.
int mlog_shm_attach(int id, int read_only, void **start);
int mlog_shm_detach(const void *start);
// shmctl(2), IPC_RMID.
int mlog_shm_remove(int id);
// The highest index in use in the kernel's table (SHM_INFO), and the id at an index (SHM_STAT).
int mlog_shm_last_index(void);
int mlog_shm_id_at(int index, mlog_shm_status *status);

// semget(2) with IPC_CREAT and IPC_EXCL: the id of a new set, all values 0.
int mlog_sem_make(int32_t key, int count, int mode);
int mlog_sem_find(int32_t key);
// semctl(2), IPC_RMID.
int mlog_sem_remove(int id);
int mlog_sem_value(int id, int number);
// semop(2), undone when the process ends (SEM_UNDO) and never waiting (-EAGAIN): adds `change`; where `from_zero` is
// set, only if the value is 0, in one step.
int mlog_sem_change(int id, int number, int change, int from_zero);

#endif
