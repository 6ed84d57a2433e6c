/* The vocabulary of scalar.h with AArch64 NEON: four floats, two doubles. */
#ifndef GCH_SIMD_NEON_H
#define GCH_SIMD_NEON_H

#include <arm_neon.h>

#include "common.h"

#define F32_LANES 4
#define F64_LANES 2
#define U8_LANES 16
#define GCH_FUSED 1
#define GCH_VECTORS 32
#define GCH_PARTS_ARE_QUICK 0

typedef float32x4_t f32_vec;
typedef uint32x4_t f32_mask;
typedef float64x2_t f64_vec;
typedef uint64x2_t f64_mask;

GCH_INLINE int gch_limit_lane(ptrdiff_t lane, int lanes)
{
    return lane < 0 ? 0 : lane > lanes ? lanes : (int)lane;
}

GCH_INLINE f32_vec f32_set1(float x) { return vdupq_n_f32(x); }
GCH_INLINE f32_vec f32_load(const float *p) { return vld1q_f32(p); }
GCH_INLINE void f32_store(float *p, f32_vec v) { vst1q_f32(p, v); }
GCH_INLINE void f32_stream(float *p, f32_vec v) { f32_store(p, v); }
GCH_INLINE void f32_settle(void) {}
GCH_INLINE f32_mask f32_lanes(ptrdiff_t low, ptrdiff_t high)
{
    static const uint32_t lane_number[4] = {0, 1, 2, 3};
    uint32x4_t lane = vld1q_u32(lane_number);
    uint32x4_t from = vcgeq_u32(lane, vdupq_n_u32((uint32_t)gch_limit_lane(low, 4)));
    return vandq_u32(from, vcltq_u32(lane, vdupq_n_u32((uint32_t)gch_limit_lane(high, 4))));
}
/* NEON has no masked load: lanes outside the mask must not be read at all. */
GCH_INLINE f32_vec f32_load_part(const float *p, f32_mask m)
{
    f32_vec v = vdupq_n_f32(0.0f);
    if (vgetq_lane_u32(m, 0)) v = vld1q_lane_f32(p, v, 0);
    if (vgetq_lane_u32(m, 1)) v = vld1q_lane_f32(p + 1, v, 1);
    if (vgetq_lane_u32(m, 2)) v = vld1q_lane_f32(p + 2, v, 2);
    if (vgetq_lane_u32(m, 3)) v = vld1q_lane_f32(p + 3, v, 3);
    return v;
}
GCH_INLINE f32_vec f32_load_near(const float *p, f32_mask m)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(vld1q_f32(p)), m));
}
GCH_INLINE void f32_store_part(float *p, f32_mask m, f32_vec v)
{
    if (vgetq_lane_u32(m, 0)) vst1q_lane_f32(p, v, 0);
    if (vgetq_lane_u32(m, 1)) vst1q_lane_f32(p + 1, v, 1);
    if (vgetq_lane_u32(m, 2)) vst1q_lane_f32(p + 2, v, 2);
    if (vgetq_lane_u32(m, 3)) vst1q_lane_f32(p + 3, v, 3);
}
GCH_INLINE f32_vec f32_add(f32_vec a, f32_vec b) { return vaddq_f32(a, b); }
GCH_INLINE f32_vec f32_sub(f32_vec a, f32_vec b) { return vsubq_f32(a, b); }
GCH_INLINE f32_vec f32_mul(f32_vec a, f32_vec b) { return vmulq_f32(a, b); }
GCH_INLINE f32_vec f32_div(f32_vec a, f32_vec b) { return vdivq_f32(a, b); }
GCH_INLINE f32_vec f32_sqrt(f32_vec a) { return vsqrtq_f32(a); }
GCH_INLINE f32_vec f32_abs(f32_vec a) { return vabsq_f32(a); }
GCH_INLINE f32_vec f32_neg(f32_vec a) { return vnegq_f32(a); }
GCH_INLINE f32_mask f32_less(f32_vec a, f32_vec b) { return vcltq_f32(a, b); }
GCH_INLINE int f32_any(f32_mask m) { return vmaxvq_u32(m) != 0; }
GCH_INLINE f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b) { return vbslq_f32(m, a, b); }
/* Not vminq / vmaxq: like x86, the second operand answers when one of the two is NaN. */
GCH_INLINE f32_vec f32_min(f32_vec a, f32_vec b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
GCH_INLINE f32_vec f32_max(f32_vec a, f32_vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
GCH_INLINE f32_vec f32_round(f32_vec a) { return vrndnq_f32(a); }
GCH_INLINE f32_vec f32_copysign(f32_vec a, f32_vec s) { return vbslq_f32(vdupq_n_u32(0x80000000u), s, a); }
GCH_INLINE f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c) { return vfmaq_f32(c, a, b); }
GCH_INLINE f32_vec f32_fused(f32_vec a, f32_vec b, f32_vec c) { return f32_fma(a, b, c); }
GCH_INLINE f32_vec f32_join(const float *p, const float *q) { return vcombine_f32(vld1_f32(p), vld1_f32(q)); }
GCH_INLINE f32_vec f32_zip_halves_low(f32_vec a, f32_vec b) { return vtrn1q_f32(a, b); }
GCH_INLINE f32_vec f32_zip_halves_high(f32_vec a, f32_vec b) { return vtrn2q_f32(a, b); }
GCH_INLINE f32_vec f32_zip_low(f32_vec a, f32_vec b) { return vzip1q_f32(a, b); }
GCH_INLINE f32_vec f32_zip_high(f32_vec a, f32_vec b) { return vzip2q_f32(a, b); }
GCH_INLINE f32_vec f32_even(f32_vec a, f32_vec b) { return vuzp1q_f32(a, b); }
GCH_INLINE f32_vec f32_pin(f32_vec a)
{
    __asm__("" : "+w"(a));
    return a;
}
GCH_INLINE f32_vec f32_add_product(f32_vec sum, f32_vec a, f32_vec b) { return f32_fma(a, b, sum); }
GCH_INLINE f32_vec f32_pow2(f32_vec n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
}

GCH_INLINE f64_vec f64_set1(double x) { return vdupq_n_f64(x); }
GCH_INLINE f64_vec f64_load(const double *p) { return vld1q_f64(p); }
GCH_INLINE f64_vec f64_widen(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
GCH_INLINE void f64_narrow(float *p, f64_vec v) { vst1_f32(p, vcvt_f32_f64(v)); }
GCH_INLINE f32_vec f32_from_bytes(const uint8_t *p)
{
    const float lane[4] = {p[0], p[1], p[2], p[3]};
    return vld1q_f32(lane);
}
GCH_INLINE void f32_to_bytes(uint8_t *p, f32_vec v)
{
    uint16x4_t halves = vqmovn_u32(vcvtnq_u32_f32(v));
    uint8x8_t bytes = vqmovn_u16(vcombine_u16(halves, halves));
    vst1_lane_u32((uint32_t *)(void *)p, vreinterpret_u32_u8(bytes), 0);
}

typedef uint8x16_t u8_vec;
typedef uint64x2_t u8_tally;
typedef uint32x4_t u8_products;

GCH_INLINE u8_vec u8_set1(uint8_t x) { return vdupq_n_u8(x); }
GCH_INLINE u8_vec u8_load(const uint8_t *p) { return vld1q_u8(p); }
GCH_INLINE void u8_store(uint8_t *p, u8_vec v) { vst1q_u8(p, v); }
GCH_INLINE int u8_any_up_to(u8_vec a, u8_vec k) { return vmaxvq_u8(vcleq_u8(a, k)) != 0; }
typedef struct {
    uint16x8_t low, high;
} u8_words;
GCH_INLINE u8_words u8_words_load(const uint16_t *p)
{
    u8_words w = {vld1q_u16(p), vld1q_u16(p + 8)};
    return w;
}
GCH_INLINE void u8_words_store(uint16_t *p, u8_words w)
{
    vst1q_u16(p, w.low);
    vst1q_u16(p + 8, w.high);
}
GCH_INLINE u8_words u8_words_add(u8_words w, u8_vec a)
{
    u8_words sum = {vaddw_u8(w.low, vget_low_u8(a)), vaddw_high_u8(w.high, a)};
    return sum;
}
GCH_INLINE u8_vec u8_min(u8_vec a, u8_vec b) { return vminq_u8(a, b); }
GCH_INLINE u8_vec u8_max(u8_vec a, u8_vec b) { return vmaxq_u8(a, b); }
GCH_INLINE u8_vec u8_sub(u8_vec a, u8_vec b) { return vsubq_u8(a, b); }
GCH_INLINE u8_tally u8_tally_none(void) { return vdupq_n_u64(0); }
GCH_INLINE u8_tally u8_tally_sum(u8_tally t, u8_vec a) { return vpadalq_u32(t, vpaddlq_u16(vpaddlq_u8(a))); }
GCH_INLINE u8_tally u8_tally_apart(u8_tally t, u8_vec a, u8_vec b) { return u8_tally_sum(t, vabdq_u8(a, b)); }
GCH_INLINE u8_vec u8_count_up_to(u8_vec c, u8_vec a, u8_vec k) { return vsubq_u8(c, vcleq_u8(a, k)); }
GCH_INLINE u8_vec u8_count_from(u8_vec c, u8_vec a, u8_vec k) { return vsubq_u8(c, vcgeq_u8(a, k)); }
GCH_INLINE void u8_split(const uint8_t *p, u8_vec rgb[3])
{
    uint8x16x3_t planes = vld3q_u8(p);
    for (int i = 0; i < 3; ++i)
        rgb[i] = planes.val[i];
}
GCH_INLINE int64_t u8_tally_total(u8_tally t) { return (int64_t)vaddvq_u64(t); }
GCH_INLINE u8_products u8_products_none(void) { return vdupq_n_u32(0); }
GCH_INLINE u8_products u8_products_add(u8_products s, u8_vec a, u8_vec b)
{
    s = vpadalq_u16(s, vmull_u8(vget_low_u8(a), vget_low_u8(b)));
    return vpadalq_u16(s, vmull_high_u8(a, b));
}
GCH_INLINE u8_products u8_products_yellow(u8_products s, u8_vec r, u8_vec g, u8_vec b)
{
    uint16x8_t low = vabdq_u16(vaddl_u8(vget_low_u8(r), vget_low_u8(g)), vshll_n_u8(vget_low_u8(b), 1));
    uint16x8_t high = vabdq_u16(vaddl_high_u8(r, g), vshll_high_n_u8(b, 1));
    return vpadalq_u16(vpadalq_u16(s, low), high);
}
GCH_INLINE int64_t u8_products_total(u8_products s) { return (int64_t)vaddlvq_u32(s); }
GCH_INLINE void f64_store(double *p, f64_vec v) { vst1q_f64(p, v); }
GCH_INLINE void f64_stream(double *p, f64_vec v) { f64_store(p, v); }
GCH_INLINE void f64_settle(void) {}
GCH_INLINE f64_mask f64_lanes(ptrdiff_t low, ptrdiff_t high)
{
    static const uint64_t lane_number[2] = {0, 1};
    uint64x2_t lane = vld1q_u64(lane_number);
    uint64x2_t from = vcgeq_u64(lane, vdupq_n_u64((uint64_t)gch_limit_lane(low, 2)));
    return vandq_u64(from, vcltq_u64(lane, vdupq_n_u64((uint64_t)gch_limit_lane(high, 2))));
}
GCH_INLINE f64_vec f64_load_part(const double *p, f64_mask m)
{
    f64_vec v = vdupq_n_f64(0.0);
    if (vgetq_lane_u64(m, 0)) v = vld1q_lane_f64(p, v, 0);
    if (vgetq_lane_u64(m, 1)) v = vld1q_lane_f64(p + 1, v, 1);
    return v;
}
GCH_INLINE f64_vec f64_load_near(const double *p, f64_mask m)
{
    return vreinterpretq_f64_u64(vandq_u64(vreinterpretq_u64_f64(vld1q_f64(p)), m));
}
GCH_INLINE void f64_store_part(double *p, f64_mask m, f64_vec v)
{
    if (vgetq_lane_u64(m, 0)) vst1q_lane_f64(p, v, 0);
    if (vgetq_lane_u64(m, 1)) vst1q_lane_f64(p + 1, v, 1);
}
GCH_INLINE f64_vec f64_add(f64_vec a, f64_vec b) { return vaddq_f64(a, b); }
GCH_INLINE f64_vec f64_sub(f64_vec a, f64_vec b) { return vsubq_f64(a, b); }
GCH_INLINE f64_vec f64_mul(f64_vec a, f64_vec b) { return vmulq_f64(a, b); }
GCH_INLINE f64_vec f64_div(f64_vec a, f64_vec b) { return vdivq_f64(a, b); }
GCH_INLINE f64_vec f64_sqrt(f64_vec a) { return vsqrtq_f64(a); }
GCH_INLINE f64_vec f64_abs(f64_vec a) { return vabsq_f64(a); }
GCH_INLINE f64_vec f64_neg(f64_vec a) { return vnegq_f64(a); }
GCH_INLINE f64_mask f64_less(f64_vec a, f64_vec b) { return vcltq_f64(a, b); }
GCH_INLINE f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b) { return vbslq_f64(m, a, b); }
GCH_INLINE int f64_any(f64_mask m) { return (vgetq_lane_u64(m, 0) | vgetq_lane_u64(m, 1)) != 0; }
GCH_INLINE f64_vec f64_min(f64_vec a, f64_vec b) { return vbslq_f64(vcltq_f64(a, b), a, b); }
GCH_INLINE f64_vec f64_max(f64_vec a, f64_vec b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }
GCH_INLINE f64_vec f64_round(f64_vec a) { return vrndnq_f64(a); }
GCH_INLINE f64_vec f64_copysign(f64_vec a, f64_vec s)
{
    return vbslq_f64(vdupq_n_u64(0x8000000000000000u), s, a);
}
GCH_INLINE f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c) { return vfmaq_f64(c, a, b); }
GCH_INLINE f64_vec f64_fused(f64_vec a, f64_vec b, f64_vec c) { return f64_fma(a, b, c); }
GCH_INLINE f64_vec f64_join(const double *p, const double *q)
{
    return vcombine_f64(vld1_f64(p), vld1_f64(q));
}
GCH_INLINE f64_vec f64_zip_halves_low(f64_vec a, GCH_UNUSED f64_vec b) { return a; }
GCH_INLINE f64_vec f64_zip_halves_high(GCH_UNUSED f64_vec a, f64_vec b) { return b; }
GCH_INLINE f64_vec f64_zip_low(f64_vec a, f64_vec b) { return vzip1q_f64(a, b); }
GCH_INLINE f64_vec f64_zip_high(f64_vec a, f64_vec b) { return vzip2q_f64(a, b); }
GCH_INLINE f64_vec f64_even(f64_vec a, f64_vec b) { return vuzp1q_f64(a, b); }
GCH_INLINE f64_vec f64_pin(f64_vec a)
{
    __asm__("" : "+w"(a));
    return a;
}
GCH_INLINE f64_vec f64_add_product(f64_vec sum, f64_vec a, f64_vec b) { return f64_fma(a, b, sum); }
GCH_INLINE f64_vec f64_pow2(f64_vec n)
{
    return vreinterpretq_f64_s64(vshlq_n_s64(vaddq_s64(vcvtq_s64_f64(n), vdupq_n_s64(1023)), 52));
}

GCH_INLINE f32_vec f32_exponent(f32_vec x)
{
    int32x4_t biased = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(x), 23));
    return vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)));
}
GCH_INLINE f32_vec f32_mantissa(f32_vec x)
{
    return vbslq_f32(vdupq_n_u32(0x007fffffu), x, vdupq_n_f32(1.0f));
}
GCH_INLINE f64_vec f64_exponent(f64_vec x)
{
    int64x2_t biased = vreinterpretq_s64_u64(vshrq_n_u64(vreinterpretq_u64_f64(x), 52));
    return vcvtq_f64_s64(vsubq_s64(biased, vdupq_n_s64(1023)));
}
GCH_INLINE f64_vec f64_mantissa(f64_vec x)
{
    return vbslq_f64(vdupq_n_u64(0x000fffffffffffffu), x, vdupq_n_f64(1.0));
}

typedef uint32x4_t u32_vec;

GCH_INLINE u32_vec u32_set1(uint32_t x) { return vdupq_n_u32(x); }
GCH_INLINE u32_vec u32_load(const uint32_t *p) { return vld1q_u32(p); }
GCH_INLINE void u32_store(uint32_t *p, u32_vec v) { vst1q_u32(p, v); }
GCH_INLINE u32_vec u32_add(u32_vec a, u32_vec b) { return vaddq_u32(a, b); }
GCH_INLINE u32_vec u32_sub(u32_vec a, u32_vec b) { return vsubq_u32(a, b); }
GCH_INLINE u32_vec u32_and(u32_vec a, u32_vec b) { return vandq_u32(a, b); }
GCH_INLINE u32_vec u32_xor(u32_vec a, u32_vec b) { return veorq_u32(a, b); }
GCH_INLINE u32_vec u32_shift_left(u32_vec a, int n) { return vshlq_u32(a, vdupq_n_s32(n)); }
GCH_INLINE u32_vec u32_shift_right(u32_vec a, int n) { return vshlq_u32(a, vdupq_n_s32(-n)); }
typedef struct {
    uint64x2_t low, high;
} u32_wide;
GCH_INLINE u32_wide u32_widen(u32_vec a)
{
    u32_wide w = {vmovl_u32(vget_low_u32(a)), vmovl_high_u32(a)};
    return w;
}
GCH_INLINE u32_vec u32_narrow(u32_wide w) { return vmovn_high_u64(vmovn_u64(w.low), w.high); }
GCH_INLINE u32_wide u32_wide_mul(u32_wide w, u32_vec factor)
{
    u32_wide product = {vmull_u32(vmovn_u64(w.low), vget_low_u32(factor)),
                        vmull_u32(vmovn_u64(w.high), vget_low_u32(factor))};
    return product;
}
GCH_INLINE u32_wide u32_wide_mix(u32_wide product, u32_wide w, u32_vec key)
{
    const uint64x2_t keys = vreinterpretq_u64_u32(key);
    u32_wide mixed = {veorq_u64(vshrq_n_u64(product.low, 32), veorq_u64(w.low, keys)),
                      veorq_u64(vshrq_n_u64(product.high, 32), veorq_u64(w.high, keys))};
    return mixed;
}
GCH_INLINE u32_vec u32_max(u32_vec a, u32_vec b) { return vmaxq_u32(a, b); }
GCH_INLINE int u32_any_above(u32_vec a, u32_vec b) { return vmaxvq_u32(vcgtq_u32(a, b)) != 0; }
GCH_INLINE u32_vec f32_bits(f32_vec x) { return vreinterpretq_u32_f32(x); }
/* Each word's four bytes from the 32 of the table. */
GCH_INLINE f32_vec f32_by_exponent(const float table[8], f32_vec x)
{
    const uint8x16x2_t bytes = vld1q_u8_x2((const uint8_t *)table);
    uint32x4_t number = vandq_u32(vshrq_n_u32(vreinterpretq_u32_f32(x), 23), vdupq_n_u32(7));
    uint32x4_t from = vmlaq_u32(vdupq_n_u32(0x03020100), number, vdupq_n_u32(0x04040404));
    return vreinterpretq_f32_u8(vqtbl2q_u8(bytes, vreinterpretq_u8_u32(from)));
}
GCH_INLINE void f32_split(const float *p, f32_vec rgb[3])
{
    float32x4x3_t planes = vld3q_f32(p);
    for (int i = 0; i < 3; ++i)
        rgb[i] = planes.val[i];
}
GCH_INLINE void f32_weave(float *p, const f32_vec rgb[3])
{
    const float32x4x3_t planes = {{rgb[0], rgb[1], rgb[2]}};
    vst3q_f32(p, planes);
}
GCH_INLINE void f64_split(const double *p, f64_vec rgb[3])
{
    float64x2x3_t planes = vld3q_f64(p);
    for (int i = 0; i < 3; ++i)
        rgb[i] = planes.val[i];
}
GCH_INLINE void f64_weave(double *p, const f64_vec rgb[3])
{
    const float64x2x3_t planes = {{rgb[0], rgb[1], rgb[2]}};
    vst3q_f64(p, planes);
}
GCH_INLINE f32_vec f32_from_i32(u32_vec a) { return vcvtq_f32_s32(vreinterpretq_s32_u32(a)); }
GCH_INLINE f64_vec f64_from_i32(const uint32_t *p)
{
    return vcvtq_f64_s64(vmovl_s32(vreinterpret_s32_u32(vld1_u32(p))));
}

#endif
