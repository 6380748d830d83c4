#pragma once
// What mlog bench needs of the system and Swift can't reach.

// Keeps the calling thread on one CPU; cpu < 0: lets it run on all again. sched_setaffinity(2). 0, or an errno.
int bench_pin(int cpu);
