// Counts what a program allocates: linking this puts a counter before glibc's own functions.
#ifndef MAPPED_LOG_ALLOCATION_COUNT_H
#define MAPPED_LOG_ALLOCATION_COUNT_H

#include <stdint.h>

// How often this thread has called malloc(3) and its relatives; UINT64_MAX under a sanitizer, which has its own.
uint64_t test_allocations(void);

#endif
