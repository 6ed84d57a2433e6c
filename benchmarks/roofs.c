/* What the machine can do at most, in the vocabulary of the kernels: the limits that benchmarks divide by.
 *
 * Compiled by roofs.py for one instruction set at a time, with SIMD_HEADER naming its file under
 * csrc/kernels/simd.
 */
#include <stddef.h>
#include <stdint.h>

#include SIMD_HEADER

enum {
    CHAINS = 12, /* latency times throughput of FMA is 8 to 10 today; 16 registers hold 12 and a factor */
    REGISTERS = 8,
    BLOCK = REGISTERS * F32_LANES, /* words */
};

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

/* Reads `count` words once, whatever they hold; what is left after whole blocks is not read. */
uint32_t roof_read(const uint32_t *p, ptrdiff_t count)
{
    u32_vec sum[REGISTERS];
    for (int i = 0; i < REGISTERS; ++i)
        sum[i] = u32_set1(0);
    for (ptrdiff_t at = 0; at + BLOCK <= count; at += BLOCK)
#pragma GCC unroll 8
        for (int i = 0; i < REGISTERS; ++i)
            sum[i] = u32_xor(sum[i], u32_load(p + at + i * F32_LANES));
    for (int i = 1; i < REGISTERS; ++i)
        sum[0] = u32_xor(sum[0], sum[i]);
    uint32_t lanes[F32_LANES];
    u32_store(lanes, sum[0]);
    return lanes[0];
}

/* Writes `count` words, but for what is left after whole blocks. */
void roof_write(uint32_t *p, ptrdiff_t count)
{
    u32_vec value = u32_set1(0x3f000000); /* .5f: what reads it as floats meets no subnormal */
    for (ptrdiff_t at = 0; at + BLOCK <= count; at += BLOCK)
#pragma GCC unroll 8
        for (int i = 0; i < REGISTERS; ++i)
            u32_store(p + at + i * F32_LANES, value);
}
