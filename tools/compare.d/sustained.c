// What appends without end cost in files of a log's segments' size, without a log. Mapped: a thread copies records and sums
// them up, while others make the next file and populate pages ahead, as far as a log's. Or written with write(2).
#include <pthread.h>
#include <sys/mman.h>
#include "bench.h"
#include "processor.h"

enum { SEGMENT_BYTES = 64 << 20, AHEAD_BYTES = 16 << 20, PIECE_BYTES = 2 << 20, HEADER_BYTES = 24, POOL_BYTES = 64 << 10 };

static const char *dir;
static unsigned record_bytes;
static uint64_t segments;
static int flushes;                          // each file and its name, before anything is stored there
static char **mapped;                        // by number; NULL: not made yet
static uint64_t appended, populated;         // bytes of all segments, one behind the other

static void path_of(uint64_t number, char *path, size_t size) { snprintf(path, size, "%s/sustained.%llu", dir, (unsigned long long)number); }

static void flush_name(void) {
  int file = open(dir, O_RDONLY | O_DIRECTORY);
  CHECK(file >= 0 && fsync(file) == 0);
  close(file);
}

static void make(uint64_t number) {
  char path[4096];
  path_of(number, path, sizeof path);
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK(file >= 0 && posix_fallocate(file, 0, SEGMENT_BYTES) == 0);
  if (flushes) {
    CHECK(fsync(file) == 0);
    flush_name();
  }
  char *start = mmap(NULL, SEGMENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  CHECK(start != MAP_FAILED);
  madvise(start, SEGMENT_BYTES, MADV_HUGEPAGE);   // a third of the time, where there are such for files
  close(file);
  __atomic_store_n(&mapped[number], start, __ATOMIC_RELEASE);
}

// Each as soon as the one before it is in use.
static void *prepare(void *unused) {
  (void)unused;
  for (uint64_t number = 0; number < segments; number++) {
    while (number >= 2 && __atomic_load_n(&appended, __ATOMIC_ACQUIRE) < (number - 1) * SEGMENT_BYTES) usleep(100);
    make(number);
  }
  return NULL;
}

static void *populate(void *unused) {
  (void)unused;
  for (uint64_t at = 0; at < segments * SEGMENT_BYTES; at += PIECE_BYTES) {
    while (__atomic_load_n(&mapped[at / SEGMENT_BYTES], __ATOMIC_ACQUIRE) == NULL) usleep(100);
    while (__atomic_load_n(&appended, __ATOMIC_ACQUIRE) + AHEAD_BYTES <= at) usleep(100);
    // Behind the appender there is nothing to be populated any more. (Whoever is held up here may find the segment unmapped.)
    if (__atomic_load_n(&appended, __ATOMIC_ACQUIRE) <= at)
      CHECK(madvise(mapped[at / SEGMENT_BYTES] + at % SEGMENT_BYTES, PIECE_BYTES, 23 /* MADV_POPULATE_WRITE */) == 0 || errno == ENOMEM);
    __atomic_store_n(&populated, at + PIECE_BYTES, __ATOMIC_RELEASE);
  }
  return NULL;
}

static double measure_mapped(uint64_t records) {
  static char pool[POOL_BYTES + 4096];
  fill_random(pool, sizeof pool, 1);
  uint64_t size = (HEADER_BYTES + record_bytes + 7) & ~7u, each = SEGMENT_BYTES / size, number = 0, at = 0;
  segments = (records + each - 1) / each;
  CHECK((mapped = calloc(segments, sizeof *mapped)) != NULL);
  appended = populated = 0;
  pthread_t preparer, populator;
  CHECK(pthread_create(&preparer, NULL, prepare, NULL) == 0 && pthread_create(&populator, NULL, populate, NULL) == 0);
  while (__atomic_load_n(&populated, __ATOMIC_ACQUIRE) < AHEAD_BYTES) usleep(100);
  cpu_wait();
  uint64_t start = now_ns();
  for (uint64_t i = 0; i < records; i++) {
    if (at + size > SEGMENT_BYTES) {
      number++, at = 0;
      __atomic_store_n(&appended, number * SEGMENT_BYTES, __ATOMIC_RELEASE);
      while (__atomic_load_n(&mapped[number], __ATOMIC_ACQUIRE) == NULL) usleep(100);
      // The populator may still be in the one before.
      if (number >= 2) CHECK(munmap(mapped[number - 2], SEGMENT_BYTES) == 0);
    }
    char *frame = mapped[number] + at;
    memcpy(frame + HEADER_BYTES, pool + i * record_bytes % POOL_BYTES, record_bytes);
    uint32_t crc = sum(frame + HEADER_BYTES, record_bytes);
    memcpy(frame + 8, &crc, sizeof crc);
    __atomic_store_n((uint64_t *)frame, record_bytes, __ATOMIC_RELEASE);
    at += size;
    __atomic_store_n(&appended, number * SEGMENT_BYTES + at, __ATOMIC_RELEASE);
  }
  double ns = (double)(now_ns() - start) / (double)records;
  workers_wait = cpu_wait();
  __atomic_store_n(&appended, segments * SEGMENT_BYTES, __ATOMIC_RELEASE);
  pthread_join(preparer, NULL);
  pthread_join(populator, NULL);
  char path[4096];
  for (uint64_t i = 0; i < segments; i++) {
    path_of(i, path, sizeof path);
    CHECK(unlink(path) == 0);
    if (i + 2 > number) CHECK(munmap(mapped[i], SEGMENT_BYTES) == 0);
  }
  free(mapped);
  return ns;
}

// As a plain log does it, a thousand records at a time.
static double measure_written(uint64_t records) {
  enum { BATCH = 1000 };
  static char pool[POOL_BYTES + 4096];
  fill_random(pool, sizeof pool, 1);
  uint64_t size = (HEADER_BYTES + record_bytes + 7) & ~7u, each = SEGMENT_BYTES / size / BATCH * BATCH, number = 0;
  char path[4096], *batch = calloc(BATCH, size);
  int file = -1;
  CHECK(batch != NULL);
  cpu_wait();
  uint64_t start = now_ns();
  for (uint64_t i = 0; i < records; i += BATCH) {
    if (i % each == 0) {
      if (file >= 0) close(file);
      path_of(number++, path, sizeof path);
      file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
      CHECK(file >= 0);
    }
    uint64_t count = records - i < BATCH ? records - i : BATCH;
    for (uint64_t j = 0; j < count; j++) {
      char *frame = batch + j * size;
      memcpy(frame + HEADER_BYTES, pool + (i + j) * record_bytes % POOL_BYTES, record_bytes);
      uint32_t crc = sum(frame + HEADER_BYTES, record_bytes);
      memcpy(frame + 8, &crc, sizeof crc);
    }
    CHECK(write(file, batch, count * size) == (ssize_t)(count * size));
  }
  double ns = (double)(now_ns() - start) / (double)records;
  workers_wait = cpu_wait();
  close(file);
  free(batch);
  for (uint64_t i = 0; i < number; i++) {
    path_of(i, path, sizeof path);
    CHECK(unlink(path) == 0);
  }
  return ns;
}

int main(int argc, char **argv) {
  opts o = parse_opts(argc, argv);
  record_bytes = o.record_bytes ? o.record_bytes : 1024;
  CHECK(record_bytes <= 4096 && o.records > 0);
  dir = o.dir;
  static const char *const modes[] = {"mapped.unflushed", "mapped.fsync", "write"};
  for (int m = 0; m < 3; m++) {
    if (!strstr(modes[m], o.mode)) continue;
    double ns[MAXREPS];
    flushes = m == 1;
    for (int r = 0; r < o.reps; r++) ns[r] = m == 2 ? measure_written(o.records) : measure_mapped(o.records);
    emit("limit.append_sustained", "file", modes[m], record_bytes, o.records, ns, o.reps, "");
  }
  return 0;
}
