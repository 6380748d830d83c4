#define _GNU_SOURCE
#include "bench_system.h"
#include <errno.h>
#include <sched.h>
#include <string.h>

int bench_pin(int cpu) {
    cpu_set_t set;
    if (cpu < 0) {
        memset(&set, 0xff, sizeof set);
    } else {
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
    }
    return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}
