// What a group commit costs without a log: threads that wait for one flush, and are all woken behind it.
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "bench.h"

enum { FILE_BYTES = 8 << 20, FRAME_BYTES = 88, PAGE = 4096 };

// What the processes share; each word in a cache line of its own.
typedef struct {
  _Alignas(64) uint32_t arrived;
  _Alignas(64) uint32_t round;     // the futex they sleep at: counts flushes
  _Alignas(64) uint32_t ready, go;
  double waited[64];
} board;

static board *shared;
static char *mapped;               // the file
static int file, flushes;          // flushes: whether there is a flush at all
static uint32_t threads, rounds;

static void *append(void *unused) {
  (void)unused;
  uint32_t id = __atomic_fetch_add(&shared->ready, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&shared->go, __ATOMIC_ACQUIRE) == 0) usleep(100);
  cpu_wait();
  for (uint32_t i = 0; i < rounds; i++) {
    uint32_t seen = __atomic_load_n(&shared->round, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&shared->arrived, 1, __ATOMIC_ACQ_REL) % threads == 0) {
      mapped[(uint64_t)i * threads * FRAME_BYTES % FILE_BYTES]++;
      if (flushes) CHECK(fdatasync(file) == 0);
      __atomic_store_n(&shared->round, seen + 1, __ATOMIC_RELEASE);
      syscall(SYS_futex, &shared->round, FUTEX_WAKE, 0x7FFFFFFF, NULL, NULL, 0);
    } else {
      while (__atomic_load_n(&shared->round, __ATOMIC_ACQUIRE) == seen)
        syscall(SYS_futex, &shared->round, FUTEX_WAIT, seen, NULL, NULL, 0);
    }
  }
  shared->waited[id] = cpu_wait();
  return NULL;
}

static double measure(uint32_t processes, uint32_t each) {
  threads = processes * each;
  memset(shared, 0, sizeof *shared);
  for (uint32_t p = 0; p < processes; p++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child > 0) continue;
    pthread_t thread[64];
    for (uint32_t i = 0; i < each; i++) CHECK(pthread_create(&thread[i], NULL, append, NULL) == 0);
    for (uint32_t i = 0; i < each; i++) pthread_join(thread[i], NULL);
    _exit(0);
  }
  while (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) < threads) usleep(100);
  uint64_t start = now_ns();
  __atomic_store_n(&shared->go, 1, __ATOMIC_RELEASE);
  int status;
  while (wait(&status) > 0) CHECK(status == 0);
  uint64_t end = now_ns();
  for (uint32_t id = 0; id < threads; id++)
    if (shared->waited[id] > workers_wait) workers_wait = shared->waited[id];
  return (double)(end - start) / ((double)rounds * threads);
}

int main(int argc, char **argv) {
  opts o = parse_opts(argc, argv);
  char path[4096];
  snprintf(path, sizeof path, "%s/group-commit", o.dir);
  CHECK((file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
  static const char zeros[PAGE];
  // In small pages, and flushed now and then: so a flush is cheapest.
  for (int i = 0; i < FILE_BYTES / PAGE; i++) {
    CHECK(write(file, zeros, PAGE) == PAGE);
    if (i % 256 == 0) CHECK(fdatasync(file) == 0);
  }
  CHECK(fdatasync(file) == 0);
  mapped = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(mapped != MAP_FAILED && shared != MAP_FAILED);
  const struct { const char *mode; uint32_t processes, each, share; int flushes; } ways[] = {
    {"processes2.threads32.no_flush", 2, 32, 64, 0},
    {"processes2.threads32", 2, 32, 64, 1},
    {"process1.thread1", 1, 1, 8, 1},
  };
  for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
    double ns[MAXREPS];
    rounds = (uint32_t)(o.records / ways[w].share);
    flushes = ways[w].flushes;
    workers_wait = 0;
    for (int r = 0; r < o.reps; r++) ns[r] = measure(ways[w].processes, ways[w].each);
    emit("limit.group_commit", "file", ways[w].mode, 64, o.records, ns, o.reps, "");
  }
  unlink(path);
  return 0;
}
