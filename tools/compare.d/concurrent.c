// What appends of several processes cost without a log: each copies a record to the end of one region, and sums it up. The
// pages are there, and as cold as those of a log. Under one lock, as a log has it that knows at each moment what is whole;
// and each with a place of its own, claimed by an addition: who dies there leaves a hole, at which readers wait.
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "bench.h"
#include "processor.h"

enum { ROUND_BYTES = 8 << 20, ROUNDS = 8, HEADER_BYTES = 24, POOL_BYTES = 64 << 10, MOST = 4 };
static const size_t region_bytes = (size_t)ROUND_BYTES * ROUNDS;

typedef struct {
  _Alignas(64) pthread_mutex_t mutex;
  _Alignas(64) uint32_t word;       // the other lock: 1 while it is held
  _Alignas(64) uint64_t tail;
  _Alignas(64) uint64_t start;      // when a round begins; 0: not known yet
  _Alignas(64) uint32_t ready, done;
  uint64_t began[MOST], ended[MOST];
  double waited[MOST];
} board;

static board *shared;
static char *region;
static unsigned record_bytes;
static enum { MUTEX, SPIN, RESERVE, KINDS } kind;
static const char *const kinds[] = {"mutex", "spin", "reserve"};

static void lock(void) {
  if (kind == MUTEX) { CHECK(pthread_mutex_lock(&shared->mutex) == 0); return; }
  for (int looks = 0; __atomic_exchange_n(&shared->word, 1, __ATOMIC_ACQUIRE) != 0;) {
    while (__atomic_load_n(&shared->word, __ATOMIC_RELAXED) != 0) {
      if (++looks % 100 == 0) sched_yield();
      PAUSE();
    }
  }
}

static void unlock(void) {
  if (kind == SPIN) __atomic_store_n(&shared->word, 0, __ATOMIC_RELEASE);
  else CHECK(pthread_mutex_unlock(&shared->mutex) == 0);
}

static void append(const char *record) {
  uint64_t size = HEADER_BYTES + record_bytes, tail;
  if (kind == RESERVE) {
    tail = __atomic_fetch_add(&shared->tail, size, __ATOMIC_ACQ_REL);
  } else {
    lock();
    tail = shared->tail;
    shared->tail = tail + size;
  }
  char *frame = region + tail;
  memcpy(frame + HEADER_BYTES, record, record_bytes);
  uint32_t crc = sum(frame + HEADER_BYTES, record_bytes);
  memcpy(frame + 8, &crc, sizeof crc);
  __atomic_store_n((uint64_t *)frame, record_bytes, __ATOMIC_RELEASE);
  if (kind != RESERVE) unlock();
}

static void work(uint32_t id, uint64_t records) {
  char *pool = malloc(POOL_BYTES + record_bytes);
  fill_random(pool, POOL_BYTES + record_bytes, id + 1);
  CHECK(madvise(region, region_bytes, 23 /* MADV_POPULATE_WRITE */) == 0);
  for (uint32_t round = 0; round < ROUNDS; round++) {
    __atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
    uint64_t start;
    while ((start = __atomic_load_n(&shared->start, __ATOMIC_ACQUIRE)) == 0) usleep(100);
    // Out of a sleep it would begin slowly.
    while (now_ns() + 100000 < start) usleep(50);
    while (now_ns() < start) {}
    cpu_wait();
    shared->began[id] = now_ns();
    for (uint64_t i = 0; i < records; i++) append(pool + i * record_bytes % POOL_BYTES);
    shared->ended[id] = now_ns();
    shared->waited[id] = cpu_wait();
    __atomic_fetch_add(&shared->done, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&shared->start, __ATOMIC_ACQUIRE) == start) usleep(100);
  }
  _exit(0);
}

static double measure(uint32_t processes) {
  uint64_t records = ROUND_BYTES / (HEADER_BYTES + record_bytes) / processes;
  double ns = 0;
  for (uint32_t id = 0; id < processes; id++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) work(id, records);
  }
  for (uint32_t round = 0; round < ROUNDS; round++) {
    while (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) < processes) usleep(100);
    shared->ready = shared->done = 0;
    shared->tail = (uint64_t)round * ROUND_BYTES;
    usleep(30000);
    __atomic_store_n(&shared->start, now_ns() + 2000000, __ATOMIC_RELEASE);
    while (__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE) < processes) usleep(100);
    uint64_t first = UINT64_MAX, last = 0;
    for (uint32_t id = 0; id < processes; id++) {
      if (shared->began[id] < first) first = shared->began[id];
      if (shared->ended[id] > last) last = shared->ended[id];
      if (shared->waited[id] > workers_wait) workers_wait = shared->waited[id];
    }
    ns += (double)(last - first) / (double)(records * processes);
    __atomic_store_n(&shared->start, 0, __ATOMIC_RELEASE);
  }
  int status;
  while (wait(&status) > 0) CHECK(status == 0);
  return ns / ROUNDS;
}

int main(int argc, char **argv) {
  opts o = parse_opts(argc, argv);
  region = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(region != MAP_FAILED && shared != MAP_FAILED);
  pthread_mutexattr_t attributes;
  CHECK(pthread_mutexattr_init(&attributes) == 0);
  CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  CHECK(pthread_mutex_init(&shared->mutex, &attributes) == 0);
  static const unsigned sizes[] = {64, 4096};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    if (o.record_bytes && o.record_bytes != sizes[s]) continue;
    record_bytes = sizes[s];
    for (kind = MUTEX; kind < KINDS; kind++) {
      for (uint32_t processes = 1; processes <= MOST; processes *= MOST) {
        char mode[64];
        double ns[MAXREPS];
        snprintf(mode, sizeof mode, "process%s%u.%s", processes > 1 ? "es" : "", processes, kinds[kind]);
        workers_wait = 0;
        for (int r = 0; r < o.reps; r++) ns[r] = measure(processes);
        emit("limit.append_concurrent", "memory", mode, record_bytes, region_bytes / (HEADER_BYTES + record_bytes), ns, o.reps, "");
      }
    }
  }
  return 0;
}
