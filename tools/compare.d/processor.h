// The instructions that the two kinds of processor name differently.
#pragma once
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#define CRC_TARGET __attribute__((target("sse4.2")))
#define CRC_U64(c, w) _mm_crc32_u64((c), (w))
#define CRC_U8(c, b) _mm_crc32_u8((uint32_t)(c), (b))
#define PAUSE() _mm_pause()
#define VDSO_CLOCK "__vdso_clock_gettime"
typedef uint64_t crc_register;  // what the instruction leaves, so that nothing has to be widened between two
#elif defined(__aarch64__)
#include <arm_acle.h>
#define CRC_TARGET __attribute__((target("+crc")))
#define CRC_U64(c, w) __crc32cd((c), (w))
#define CRC_U8(c, b) __crc32cb((c), (b))
#define PAUSE() __asm__ volatile("yield" ::: "memory")
#define VDSO_CLOCK "__kernel_clock_gettime"
typedef uint32_t crc_register;
#else
#error "x86-64 and arm64"
#endif
