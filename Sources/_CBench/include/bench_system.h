#pragma once
// What mlog bench needs of the system and Swift can't reach.

// Keeps the calling thread on one CPU; cpu < 0: lets it run on all again. sched_setaffinity(2). 0, or an errno.
int bench_pin(int cpu);

// Leaves signals from the terminal to the parent, and ends this process with it: prctl(2), PR_SET_PDEATHSIG.
void bench_follow_parent(void);

// How often the calling thread has given its CPU up by itself: getrusage(2).
long bench_sleeps(void);
