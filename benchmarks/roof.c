/* What the machine can do at most, in the vocabulary of the kernels: the limits that benchmarks divide by.
 *
 * Compiled by roof.py for one instruction set at a time, with SIMD_HEADER naming its file under
 * csrc/kernels/simd.
 */
#include <stddef.h>

#include SIMD_HEADER

enum {
    CHAINS = 12
}; /* latency times throughput of FMA is 8 to 10 on today's cores; 16 registers hold 12 and a factor */

int roof_lanes(void) { return F32_LANES; }

/* `rounds` times CHAINS independent multiply-adds on registers. */
float roof_fma(ptrdiff_t rounds)
{
    f32_vec factor = f32_set1(0.999f), sum[CHAINS];
    for (int i = 0; i < CHAINS; ++i)
        sum[i] = f32_set1((float)i);
    for (ptrdiff_t round = 0; round < rounds; ++round)
#pragma GCC unroll 12
        for (int i = 0; i < CHAINS; ++i)
            sum[i] = f32_fma(sum[i], factor, factor);
    for (int i = 1; i < CHAINS; ++i)
        sum[0] = f32_add(sum[0], sum[i]);
    float lanes[F32_LANES];
    f32_store(lanes, sum[0]);
    return lanes[0];
}

/* Reads `count` floats, a multiple of 8 registers, once. */
float roof_read(const float *p, ptrdiff_t count)
{
    f32_vec sum[8];
    for (int i = 0; i < 8; ++i)
        sum[i] = f32_set1(0);
    for (ptrdiff_t at = 0; at < count; at += 8 * F32_LANES)
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i)
            sum[i] = f32_add(sum[i], f32_load(p + at + i * F32_LANES));
    for (int i = 1; i < 8; ++i)
        sum[0] = f32_add(sum[0], sum[i]);
    float lanes[F32_LANES];
    f32_store(lanes, sum[0]);
    return lanes[0];
}
