/* The vector vocabulary at width one: the fallback, and the meaning of every word in the other files.
 *
 * GCH_VECTORS: how many registers there are. Words, for p in f32 and f64 (whatever the vector unit, the same names):
 *   p_vec, p_mask            a register of P_LANES elements; one truth value per lane
 *   p_set1 p_load p_store    any alignment
 *   p_load_part p_store_part only the lanes of a mask are touched in memory; the others load as zero
 *   p_load_near(p, m)        the same where the other lanes may be read: quicker, unless GCH_PARTS_ARE_QUICK
 *   p_lanes(low, high)       mask of the lanes low <= i < high (the limits may lie outside the register)
 *   p_add p_sub p_mul p_div p_sqrt p_abs p_neg p_min p_max p_round (to nearest, ties to even)
 *   p_fma(a, b, c)           a * b + c, rounded once where the instruction set can (P_FUSED)
 *   p_fused(a, b, c)         a * b + c, rounded once everywhere: by the C library where no instruction does it
 *   p_add_product(s, a, b)   p_fma(a, b, s) in the register of s: the compiler neither copies nor reorders sums
 *   p_less p_select(m, a, b) a < b per lane (false for NaN); a where m, else b
 *   p_any(m)                 whether a lane of the mask is true
 *   p_pow2(n)                2^n for an integral n within the normal exponents
 *   p_copysign(a, s)         magnitude of a, sign of s
 *   p_exponent p_mantissa    the e and m of x = m 2^e, 1 <= m < 2, for a positive normal x
 *   p_zip_low(a, b) p_zip_high(a, b)   the first and the second half of a0 b0 a1 b1 ... (width one: a, b)
 *   p_zip_halves_low(a, b) p_zip_halves_high(a, b)      the same within each half of a and b (two lanes: a, b)
 *   p_join(p, q)             half a vector from memory at p, then half of one from q (width one: that at p)
 *   p_even(a, b)             a0 a2 ... b0 b2 ... (width one: a)
 *   p_split(p, rgb) p_weave(p, rgb)    P_LANES pixels of three elements in memory to three planes and back, in
 *                            an order of its own
 *   p_pin(v)                 v, held in a register: keeps the compiler from repeating a broadcast at every use
 *   f64_widen(p)             F64_LANES floats from memory as doubles
 *   f64_narrow(p, v)         F64_LANES doubles rounded to floats in memory
 *   f32_from_bytes(p)        F32_LANES bytes from memory as floats
 *   f32_by_exponent(table, x)          the floats of a table of 8 at x's exponent, where -7 is the first, 0 the last
 *   f32_to_bytes(p, v)       integral floats, limited to 0..255, as F32_LANES bytes in memory; any byte for |v| > 2^30
 *   u8_vec                   U8_LANES bytes
 *   u8_set1 u8_load u8_store u8_min u8_max u8_sub (modulo 2^8)
 *   u8_any_up_to(a, k)       whether in any lane a <= k
 *   u8_words                 U8_LANES words of 16 bits: u8_words_load u8_words_store u8_words_add(w, a)
 *   u8_tally                 64-bit counters: u8_tally_none() is zero, u8_tally_total(t) their sum
 *   u8_tally_sum(t, a) u8_tally_apart(t, a, b)          t and all a, or all |a - b|
 *   u8_count_up_to(c, a, k) u8_count_from(c, a, k)      c and 1 in each lane where a <= k, or a >= k: bytes, so at
 *                            most 255 of these before u8_tally_sum
 *   u8_split(p, rgb)         U8_LANES pixels of three bytes from memory as three planes
 *   u8_products              32-bit sums, for at most 8192 of the next two words: _none(), _total(s)
 *   u8_products_add(s, a, b) s and all a * b
 *   u8_products_yellow(s, r, g, b)                      s and all |r + g - 2 b|
 *   u32_vec                  F32_LANES unsigned words
 *   u32_set1 u32_load u32_store u32_add u32_sub u32_and u32_xor (modulo 2^32)
 *   u32_shift_left u32_shift_right(a, n)   0 <= n < 32
 *   u32_wide                 F32_LANES words with as many bits again: u32_widen(a); u32_narrow(w), the low words
 *   u32_wide_mul(w, f)       products of the low words and f, whole
 *   u32_wide_mix(p, w, k)    low words: the high ones of p, xor w, xor k
 *   u32_max(a, b) u32_any_above(a, b)      the larger; whether in any lane a > b
 *   f32_bits(x)              floats as the words they are in memory
 *   f32_from_i32(a)          words read as signed integers, rounded to nearest, ties to even
 *   f64_from_i32(p)          F64_LANES words from memory read as signed integers
 */
#ifndef GCH_SIMD_SCALAR_H
#define GCH_SIMD_SCALAR_H

#include <math.h>
#include <string.h>

#include "common.h"

#define F32_LANES 1
#define F64_LANES 1
#if defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF)
#    define GCH_FUSED 1
#else
#    define GCH_FUSED 0
#endif

#define U8_LANES 1
#define GCH_VECTORS 16
#define GCH_PARTS_ARE_QUICK 1

typedef float f32_vec;
typedef int f32_mask;
typedef double f64_vec;
typedef int f64_mask;

GCH_INLINE f32_vec f32_set1(float x) { return x; }
GCH_INLINE f32_vec f32_load(const float *p) { return *p; }
GCH_INLINE void f32_store(float *p, f32_vec v) { *p = v; }
GCH_INLINE void f32_stream(float *p, f32_vec v) { f32_store(p, v); }
GCH_INLINE void f32_settle(void) {}
GCH_INLINE f32_mask f32_lanes(ptrdiff_t low, ptrdiff_t high) { return low <= 0 && high > 0; }
GCH_INLINE f32_vec f32_load_part(const float *p, f32_mask m) { return m ? *p : 0.0f; }
GCH_INLINE f32_vec f32_load_near(const float *p, f32_mask m) { return f32_load_part(p, m); }
GCH_INLINE void f32_store_part(float *p, f32_mask m, f32_vec v)
{
    if (m) *p = v;
}
GCH_INLINE f32_vec f32_add(f32_vec a, f32_vec b) { return a + b; }
GCH_INLINE f32_vec f32_sub(f32_vec a, f32_vec b) { return a - b; }
GCH_INLINE f32_vec f32_mul(f32_vec a, f32_vec b) { return a * b; }
GCH_INLINE f32_vec f32_div(f32_vec a, f32_vec b) { return a / b; }
GCH_INLINE f32_vec f32_sqrt(f32_vec a) { return sqrtf(a); }
GCH_INLINE f32_vec f32_abs(f32_vec a) { return fabsf(a); }
GCH_INLINE f32_vec f32_neg(f32_vec a) { return -a; }
GCH_INLINE f32_vec f32_min(f32_vec a, f32_vec b) { return a < b ? a : b; }
GCH_INLINE f32_vec f32_max(f32_vec a, f32_vec b) { return a > b ? a : b; }
GCH_INLINE f32_vec f32_round(f32_vec a) { return rintf(a); }
GCH_INLINE f32_mask f32_less(f32_vec a, f32_vec b) { return a < b; }
GCH_INLINE int f32_any(f32_mask m) { return m; }
GCH_INLINE f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b) { return m ? a : b; }
GCH_INLINE f32_vec f32_copysign(f32_vec a, f32_vec s) { return copysignf(a, s); }
GCH_INLINE f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c)
{
#if GCH_FUSED
    return fmaf(a, b, c);
#else
    return a * b + c;
#endif
}
GCH_INLINE f32_vec f32_fused(f32_vec a, f32_vec b, f32_vec c) { return fmaf(a, b, c); }
GCH_INLINE f32_vec f32_join(const float *p, GCH_UNUSED const float *q) { return *p; }
GCH_INLINE f32_vec f32_zip_halves_low(f32_vec a, GCH_UNUSED f32_vec b) { return a; }
GCH_INLINE f32_vec f32_zip_halves_high(GCH_UNUSED f32_vec a, f32_vec b) { return b; }
GCH_INLINE f32_vec f32_zip_low(f32_vec a, GCH_UNUSED f32_vec b) { return a; }
GCH_INLINE f32_vec f32_zip_high(GCH_UNUSED f32_vec a, f32_vec b) { return b; }
GCH_INLINE f32_vec f32_even(f32_vec a, GCH_UNUSED f32_vec b) { return a; }
GCH_INLINE f32_vec f32_pin(f32_vec a) { return a; }
GCH_INLINE f32_vec f32_add_product(f32_vec sum, f32_vec a, f32_vec b) { return f32_fma(a, b, sum); }
GCH_INLINE f32_vec f32_pow2(f32_vec n)
{
    uint32_t bits = (uint32_t)((n == n ? (int32_t)n : 0) + 127) << 23; // of NaN any: what it scales is NaN
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

GCH_INLINE f64_vec f64_set1(double x) { return x; }
GCH_INLINE f64_vec f64_load(const double *p) { return *p; }
GCH_INLINE f64_vec f64_widen(const float *p) { return (double)*p; }
GCH_INLINE void f64_narrow(float *p, f64_vec v) { *p = (float)v; }
GCH_INLINE f32_vec f32_from_bytes(const uint8_t *p) { return (float)*p; }
GCH_INLINE void f32_to_bytes(uint8_t *p, f32_vec v) { *p = v > 0 ? v < 255 ? (uint8_t)v : 255 : 0; }

typedef uint8_t u8_vec;
typedef int64_t u8_tally;
typedef uint32_t u8_products;

GCH_INLINE u8_vec u8_set1(uint8_t x) { return x; }
GCH_INLINE u8_vec u8_load(const uint8_t *p) { return *p; }
GCH_INLINE void u8_store(uint8_t *p, u8_vec v) { *p = v; }
GCH_INLINE int u8_any_up_to(u8_vec a, u8_vec k) { return a <= k; }
typedef uint16_t u8_words;
GCH_INLINE u8_words u8_words_load(const uint16_t *p) { return *p; }
GCH_INLINE void u8_words_store(uint16_t *p, u8_words w) { *p = w; }
GCH_INLINE u8_words u8_words_add(u8_words w, u8_vec a) { return (uint16_t)(w + a); }
GCH_INLINE u8_vec u8_min(u8_vec a, u8_vec b) { return a < b ? a : b; }
GCH_INLINE u8_vec u8_max(u8_vec a, u8_vec b) { return a > b ? a : b; }
GCH_INLINE u8_vec u8_sub(u8_vec a, u8_vec b) { return (uint8_t)(a - b); }
GCH_INLINE u8_tally u8_tally_none(void) { return 0; }
GCH_INLINE u8_tally u8_tally_sum(u8_tally t, u8_vec a) { return t + a; }
GCH_INLINE u8_tally u8_tally_apart(u8_tally t, u8_vec a, u8_vec b) { return t + (a > b ? a - b : b - a); }
GCH_INLINE u8_vec u8_count_up_to(u8_vec c, u8_vec a, u8_vec k) { return (uint8_t)(c + (a <= k)); }
GCH_INLINE u8_vec u8_count_from(u8_vec c, u8_vec a, u8_vec k) { return (uint8_t)(c + (a >= k)); }
GCH_INLINE void u8_split(const uint8_t *p, u8_vec rgb[3])
{
    for (int i = 0; i < 3; ++i)
        rgb[i] = p[i];
}
GCH_INLINE int64_t u8_tally_total(u8_tally t) { return t; }
GCH_INLINE u8_products u8_products_none(void) { return 0; }
GCH_INLINE u8_products u8_products_add(u8_products s, u8_vec a, u8_vec b) { return s + (uint32_t)(a * b); }
GCH_INLINE u8_products u8_products_yellow(u8_products s, u8_vec r, u8_vec g, u8_vec b)
{
    int yellow = r + g - 2 * b;
    return s + (uint32_t)(yellow < 0 ? -yellow : yellow);
}
GCH_INLINE int64_t u8_products_total(u8_products s) { return s; }
GCH_INLINE void f64_store(double *p, f64_vec v) { *p = v; }
GCH_INLINE void f64_stream(double *p, f64_vec v) { f64_store(p, v); }
GCH_INLINE void f64_settle(void) {}
GCH_INLINE f64_mask f64_lanes(ptrdiff_t low, ptrdiff_t high) { return low <= 0 && high > 0; }
GCH_INLINE f64_vec f64_load_part(const double *p, f64_mask m) { return m ? *p : 0.0; }
GCH_INLINE f64_vec f64_load_near(const double *p, f64_mask m) { return f64_load_part(p, m); }
GCH_INLINE void f64_store_part(double *p, f64_mask m, f64_vec v)
{
    if (m) *p = v;
}
GCH_INLINE f64_vec f64_add(f64_vec a, f64_vec b) { return a + b; }
GCH_INLINE f64_vec f64_sub(f64_vec a, f64_vec b) { return a - b; }
GCH_INLINE f64_vec f64_mul(f64_vec a, f64_vec b) { return a * b; }
GCH_INLINE f64_vec f64_div(f64_vec a, f64_vec b) { return a / b; }
GCH_INLINE f64_vec f64_sqrt(f64_vec a) { return sqrt(a); }
GCH_INLINE f64_vec f64_abs(f64_vec a) { return fabs(a); }
GCH_INLINE f64_vec f64_neg(f64_vec a) { return -a; }
GCH_INLINE f64_vec f64_min(f64_vec a, f64_vec b) { return a < b ? a : b; }
GCH_INLINE f64_vec f64_max(f64_vec a, f64_vec b) { return a > b ? a : b; }
GCH_INLINE f64_vec f64_round(f64_vec a) { return rint(a); }
GCH_INLINE f64_mask f64_less(f64_vec a, f64_vec b) { return a < b; }
GCH_INLINE f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b) { return m ? a : b; }
GCH_INLINE int f64_any(f64_mask m) { return m; }
GCH_INLINE f64_vec f64_copysign(f64_vec a, f64_vec s) { return copysign(a, s); }
GCH_INLINE f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c)
{
#if GCH_FUSED
    return fma(a, b, c);
#else
    return a * b + c;
#endif
}
GCH_INLINE f64_vec f64_fused(f64_vec a, f64_vec b, f64_vec c) { return fma(a, b, c); }
GCH_INLINE f64_vec f64_join(const double *p, GCH_UNUSED const double *q) { return *p; }
GCH_INLINE f64_vec f64_zip_halves_low(f64_vec a, GCH_UNUSED f64_vec b) { return a; }
GCH_INLINE f64_vec f64_zip_halves_high(GCH_UNUSED f64_vec a, f64_vec b) { return b; }
GCH_INLINE f64_vec f64_zip_low(f64_vec a, GCH_UNUSED f64_vec b) { return a; }
GCH_INLINE f64_vec f64_zip_high(GCH_UNUSED f64_vec a, f64_vec b) { return b; }
GCH_INLINE f64_vec f64_even(f64_vec a, GCH_UNUSED f64_vec b) { return a; }
GCH_INLINE f64_vec f64_pin(f64_vec a) { return a; }
GCH_INLINE f64_vec f64_add_product(f64_vec sum, f64_vec a, f64_vec b) { return f64_fma(a, b, sum); }
GCH_INLINE f64_vec f64_pow2(f64_vec n)
{
    uint64_t bits = (uint64_t)((n == n ? (int64_t)n : 0) + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

GCH_INLINE f32_vec f32_exponent(f32_vec x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (float)((int32_t)(bits >> 23) - 127);
}
GCH_INLINE f32_vec f32_mantissa(f32_vec x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits & 0x007fffffu) | 0x3f800000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}
GCH_INLINE f64_vec f64_exponent(f64_vec x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (double)((int64_t)(bits >> 52) - 1023);
}
GCH_INLINE f64_vec f64_mantissa(f64_vec x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits & 0x000fffffffffffffu) | 0x3ff0000000000000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

typedef uint32_t u32_vec;

GCH_INLINE u32_vec u32_set1(uint32_t x) { return x; }
GCH_INLINE u32_vec u32_load(const uint32_t *p) { return *p; }
GCH_INLINE void u32_store(uint32_t *p, u32_vec v) { *p = v; }
GCH_INLINE u32_vec u32_add(u32_vec a, u32_vec b) { return a + b; }
GCH_INLINE u32_vec u32_sub(u32_vec a, u32_vec b) { return a - b; }
GCH_INLINE u32_vec u32_and(u32_vec a, u32_vec b) { return a & b; }
GCH_INLINE u32_vec u32_xor(u32_vec a, u32_vec b) { return a ^ b; }
GCH_INLINE u32_vec u32_shift_left(u32_vec a, int n) { return a << n; }
GCH_INLINE u32_vec u32_shift_right(u32_vec a, int n) { return a >> n; }
typedef uint64_t u32_wide;
GCH_INLINE u32_wide u32_widen(u32_vec a) { return a; }
GCH_INLINE u32_vec u32_narrow(u32_wide w) { return (uint32_t)w; }
GCH_INLINE u32_wide u32_wide_mul(u32_wide w, u32_vec factor) { return (w & 0xffffffffu) * factor; }
GCH_INLINE u32_wide u32_wide_mix(u32_wide product, u32_wide w, u32_vec key)
{
    return product >> 32 ^ w ^ key;
}
GCH_INLINE u32_vec u32_max(u32_vec a, u32_vec b) { return a > b ? a : b; }
GCH_INLINE int u32_any_above(u32_vec a, u32_vec b) { return a > b; }
GCH_INLINE u32_vec f32_bits(f32_vec x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
GCH_INLINE f32_vec f32_by_exponent(const float table[8], f32_vec x) { return table[f32_bits(x) >> 23 & 7]; }
GCH_INLINE void f32_split(const float *p, f32_vec rgb[3])
{
    for (int i = 0; i < 3; ++i)
        rgb[i] = p[i];
}
GCH_INLINE void f32_weave(float *p, const f32_vec rgb[3])
{
    for (int i = 0; i < 3; ++i)
        p[i] = rgb[i];
}
GCH_INLINE void f64_split(const double *p, f64_vec rgb[3])
{
    for (int i = 0; i < 3; ++i)
        rgb[i] = p[i];
}
GCH_INLINE void f64_weave(double *p, const f64_vec rgb[3])
{
    for (int i = 0; i < 3; ++i)
        p[i] = rgb[i];
}
GCH_INLINE f32_vec f32_from_i32(u32_vec a) { return (float)(int32_t)a; }
GCH_INLINE f64_vec f64_from_i32(const uint32_t *p) { return (double)(int32_t)*p; }

#endif
