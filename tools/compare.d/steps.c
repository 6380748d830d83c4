// What the steps of an append cost, one after the other, in plain C and without a log: what is known of a log's append when
// each of them is there, and nothing else. Frames, slots and lock are as spec/protocol.md, chapter 3, has them; into a file
// whose pages are there, as limits.c appends.
#include <dlfcn.h>
#include <sys/mman.h>
#include "bench.h"
#include "processor.h"

enum { SEGMENT_BYTES = 64 << 20, HEADER_BYTES = 24, POOL_BYTES = 64 << 10 };

typedef struct { uint64_t tail, sequence; int64_t smallest, largest; } append_slot;
typedef struct {
  _Alignas(64) int32_t lock;
  uint64_t generation;
  uint32_t needs_recovery;
  _Alignas(64) uint64_t durable;
  uint32_t poison;
  _Alignas(64) append_slot slot[2];
  _Alignas(64) uint32_t waiters;
} control_words;

static control_words *control;
static char *segment, pool[POOL_BYTES + 4096];
static const void *volatile entered, *volatile pending;   // what a thread says of itself
static int (*read_clock)(clockid_t, struct timespec *) = clock_gettime;   // the vDSO's own, as the log asks it

// What a process knows of the log, which an append looks at though there is nothing to do; and where the record stands.
typedef struct {
  uint64_t base, limit, shortest_long, flush_limit;
  uint32_t entry, wants_bell;
} process_words;
typedef struct { uint64_t sequence, position, end; } appended;
static process_words *local;
static __thread const void *inside;   // the log this thread is in

enum { COPY, HEADER, SLOTS, LOCK, MARK, CLOCK, LOOKS, STEPS };
static const char *const names[] = {"copy+crc32c", "+header", "+slots", "+lock", "+mark", "+clock", "+looks"};

// Each has all that come before it.
CRC_TARGET static inline __attribute__((always_inline)) void append(const int steps, const char *record, uint32_t count,
                                                                  appended *where) {
  int64_t time = 1;
  if (steps >= LOOKS) CHECK(count < local->shortest_long && inside == NULL && __atomic_load_n(&local->entry, __ATOMIC_RELAXED) == 0);
  if (steps >= CLOCK) {
    struct timespec now;
    read_clock(CLOCK_REALTIME_COARSE, &now);
    time = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
  }
  if (steps >= MARK) entered = control;
  if (steps >= LOCK) {
    int32_t free = 0;
    pending = &control->lock;
    CHECK(__atomic_compare_exchange_n(&control->lock, &free, 4711, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
  }
  uint64_t generation = control->generation, tail = control->slot[generation & 1].tail, size = (HEADER_BYTES + count + 7) & ~7ull;
  if (steps >= LOOKS) {
    uint64_t offset = tail - local->base;
    CHECK(offset <= local->limit && size <= local->limit - offset);
  }
  if (steps >= SLOTS) {
    CHECK((control->poison | control->needs_recovery) == 0 && tail + size <= SEGMENT_BYTES);
    append_slot *now = &control->slot[generation & 1], *next = &control->slot[(generation + 1) & 1];
    next->sequence = now->sequence + 1;
    next->smallest = now->smallest < time ? now->smallest : time;
    next->largest = now->largest > time ? now->largest : time;
    __atomic_store_n(&next->tail, tail + size, __ATOMIC_RELEASE);
  } else {
    control->slot[0].tail = tail + size;
  }
  char *frame = segment + tail;
  uint64_t word = 1ull << 32 | count;
  crc_register crc = ~0u;
  if (steps >= HEADER) {
    uint32_t lag = (uint32_t)((tail - control->durable) >> 3);
    memcpy(frame + 12, &lag, sizeof lag);
    memcpy(frame + 16, &time, sizeof time);
    crc = CRC_U64(CRC_U64(crc, tail), word);
    crc = CRC_U64(CRC_U64(crc, lag), (uint64_t)time);
  }
  for (uint32_t at = 0; at < count; at += 8) {
    uint64_t value;
    memcpy(&value, record + at, 8);
    memcpy(frame + HEADER_BYTES + at, &value, 8);
    crc = CRC_U64(crc, value);
  }
  uint32_t sum = ~(uint32_t)crc;
  memcpy(frame + 8, &sum, sizeof sum);
  __atomic_store_n((uint64_t *)frame, word, __ATOMIC_RELEASE);
  if (steps >= SLOTS) __atomic_store_n(&control->generation, generation + 1, __ATOMIC_RELEASE);
  if (steps >= LOCK) {
    CHECK(__atomic_exchange_n(&control->lock, 0, __ATOMIC_RELEASE) >= 0);
    pending = NULL;
  }
  if (steps >= LOOKS) {
    CHECK(__atomic_load_n(&local->wants_bell, __ATOMIC_RELAXED) == 0);
    CHECK(local->flush_limit == UINT64_MAX || tail + size - control->durable < local->flush_limit);
  }
  if (steps >= MARK) {
    CHECK((__atomic_load_n(&control->waiters, __ATOMIC_RELAXED) & 1) == 0);
    entered = NULL;
  }
  if (steps >= LOOKS) *where = (appended){control->slot[generation & 1].sequence, tail, tail + size};
}

#define APPEND_WITH(steps) \
  CRC_TARGET static __attribute__((noinline)) void append_##steps(const char *record, uint32_t count, appended *where) { \
    (void)where; \
    append(steps, record, count, where); \
  }
APPEND_WITH(COPY) APPEND_WITH(HEADER) APPEND_WITH(SLOTS) APPEND_WITH(LOCK) APPEND_WITH(MARK) APPEND_WITH(CLOCK) APPEND_WITH(LOOKS)
static void (*const appends[])(const char *, uint32_t, appended *) = {append_COPY, append_HEADER, append_SLOTS, append_LOCK,
                                                                      append_MARK, append_CLOCK, append_LOOKS};

static double measure(const char *path, int steps, uint32_t count) {
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK(file >= 0 && unlink(path) == 0);
  CHECK(posix_fallocate(file, 0, SEGMENT_BYTES) == 0);
  segment = mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  CHECK(segment != MAP_FAILED && madvise(segment, SEGMENT_BYTES, 23 /* MADV_POPULATE_WRITE */) == 0);
  memset(control, 0, sizeof *control);
  *local = (process_words){.limit = SEGMENT_BYTES, .shortest_long = 1 << 20, .flush_limit = UINT64_MAX};
  appended where;
  uint64_t records = SEGMENT_BYTES / ((HEADER_BYTES + count + 7) & ~7u), start = now_ns();
  for (uint64_t i = 0; i < records; i++) appends[steps](pool + i * count % POOL_BYTES, count, &where);
  double ns = (double)(now_ns() - start) / (double)records;
  munmap(segment, SEGMENT_BYTES);
  close(file);
  return ns;
}

int main(int argc, char **argv) {
  opts o = parse_opts(argc, argv);
  uint32_t count = o.record_bytes ? o.record_bytes : 64;
  CHECK(count % 8 == 0 && count <= 4096);
  char path[4096];
  snprintf(path, sizeof path, "%s/append-steps", o.dir);
  control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(control != MAP_FAILED && (local = malloc(sizeof *local)) != NULL);
  fill_random(pool, sizeof pool, 1);
  void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD), *found = vdso ? dlsym(vdso, VDSO_CLOCK) : NULL;
  if (found) read_clock = (int (*)(clockid_t, struct timespec *))found;
  double ns[STEPS][MAXREPS];
  // By turns: a machine is not the same from one second to the next.
  for (int r = 0; r < o.reps; r++)
    for (int steps = 0; steps < STEPS; steps++) ns[steps][r] = measure(path, steps, count);
  for (int steps = 0; steps < STEPS; steps++)
    emit("limit.append_steps", "file", names[steps], count, SEGMENT_BYTES / ((HEADER_BYTES + count + 7) & ~7u), ns[steps], o.reps, "");
  return 0;
}
