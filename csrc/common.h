/* Compiler differences, and nothing else. GCC and Clang are the supported compilers. */
#ifndef GCH_COMMON_H
#define GCH_COMMON_H

#ifndef _GNU_SOURCE /* glibc hides clocks from -std=c11 */
#    define _GNU_SOURCE 1
#endif

#include <stddef.h>
#include <stdint.h>

#if !defined(__GNUC__)
#    error "ganchroma needs GCC or Clang"
#endif

#define GCH_INLINE static inline __attribute__((always_inline))
#define GCH_APART __attribute__((noinline))
#define GCH_RESTRICT __restrict
#define GCH_ALIGNMENT 64 /* bytes: one cache line, and the widest vector */
#define GCH_ALIGNED __attribute__((aligned(GCH_ALIGNMENT)))
#define GCH_UNUSED __attribute__((unused))
#ifdef GCH_ROLLED /* for sanitizers: the same numbers, from code that is soon compiled */
#    define GCH_UNROLL
#elif defined(__clang__)
#    define GCH_UNROLL _Pragma("unroll")
#else
#    define GCH_UNROLL _Pragma("GCC unroll 16")
#endif
#define GCH_PREFETCH(address) __builtin_prefetch(address)
#define GCH_PREFETCH_SECOND(address) __builtin_prefetch(address, 0, 2) /* no nearer than the second level */

/* What checks the code while it runs: GCC defines a macro for each, Clang is asked. */
#ifdef __has_feature
#    define GCH_CHECKED_BY(sanitizer) __has_feature(sanitizer)
#else
#    define GCH_CHECKED_BY(sanitizer) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || GCH_CHECKED_BY(address_sanitizer)
#    define GCH_ASAN 1
#elif defined(__SANITIZE_THREAD__) || GCH_CHECKED_BY(thread_sanitizer)
#    define GCH_TSAN 1
#endif

#if defined(__x86_64__)
#    define GCH_X86_64 1
#elif defined(__aarch64__)
#    define GCH_AARCH64 1
#endif

/* The two element types of the core; tables of kernels are indexed by it. */
enum gch_real { GCH_F32 = 0, GCH_F64 = 1, GCH_REALS = 2 };

/* What p points to is loaded again: the compiler does not keep it in a register since the last time. */
#define GCH_FORGET(p) __asm__ volatile("" : "+r"(p))

GCH_INLINE size_t gch_real_size(enum gch_real real)
{
    return real == GCH_F32 ? sizeof(float) : sizeof(double);
}

#endif
