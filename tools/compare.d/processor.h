// The instructions that the two kinds of processor name differently, and a checksum made of them.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
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

CRC_TARGET static inline uint32_t sum(const char *bytes, size_t count) {
  // Three chains at a time, as the instruction's latency allows; what they come to together is not the question.
  crc_register a = 0, b = 0, c = 0;
  uint64_t word[3];
  size_t third = count / 24 * 8;
  for (size_t i = 0; i < third; i += 8) {
    memcpy(&word[0], bytes + i, 8), memcpy(&word[1], bytes + third + i, 8), memcpy(&word[2], bytes + 2 * third + i, 8);
    a = CRC_U64(a, word[0]), b = CRC_U64(b, word[1]), c = CRC_U64(c, word[2]);
  }
  for (size_t i = 3 * third; i < count; i++) a = CRC_U8(a, (unsigned char)bytes[i]);
  return (uint32_t)(a ^ b << 1 ^ c << 2);
}
