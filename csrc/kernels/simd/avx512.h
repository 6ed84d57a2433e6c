/* The vocabulary of scalar.h with AVX-512 (F, DQ, BW, VL): sixteen floats, eight doubles. */
#ifndef GCH_SIMD_AVX512_H
#define GCH_SIMD_AVX512_H

#include <immintrin.h>

#include "common.h"

#define F32_LANES 16
#define F64_LANES 8
#define U8_LANES 64
#define GCH_FUSED 1
#define GCH_VECTORS 32
#define GCH_PARTS_ARE_QUICK 1

typedef __m512 f32_vec;
typedef __mmask16 f32_mask;
typedef __m512d f64_vec;
typedef __mmask8 f64_mask;

/* The lowest `lanes` bits: a shift count outside 0..32 never reaches the shift. */
GCH_INLINE uint32_t gch_low_bits(ptrdiff_t lanes, int most)
{
    return lanes <= 0 ? 0 : lanes >= most ? (1u << most) - 1 : (1u << lanes) - 1;
}

GCH_INLINE f32_vec f32_set1(float x) { return _mm512_set1_ps(x); }
GCH_INLINE f32_vec f32_load(const float *p) { return _mm512_loadu_ps(p); }
GCH_INLINE void f32_store(float *p, f32_vec v) { _mm512_storeu_ps(p, v); }
GCH_INLINE void f32_stream(float *p, f32_vec v) { _mm512_stream_ps(p, v); }
GCH_INLINE void f32_settle(void) { _mm_sfence(); }
GCH_INLINE f32_mask f32_lanes(ptrdiff_t low, ptrdiff_t high)
{
    return (f32_mask)(gch_low_bits(high, 16) & ~gch_low_bits(low, 16));
}
GCH_INLINE f32_vec f32_load_part(const float *p, f32_mask m) { return _mm512_maskz_loadu_ps(m, p); }
GCH_INLINE f32_vec f32_load_near(const float *p, f32_mask m) { return f32_load_part(p, m); }
GCH_INLINE void f32_store_part(float *p, f32_mask m, f32_vec v) { _mm512_mask_storeu_ps(p, m, v); }
GCH_INLINE f32_vec f32_add(f32_vec a, f32_vec b) { return _mm512_add_ps(a, b); }
GCH_INLINE f32_vec f32_sub(f32_vec a, f32_vec b) { return _mm512_sub_ps(a, b); }
GCH_INLINE f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm512_mul_ps(a, b); }
GCH_INLINE f32_vec f32_div(f32_vec a, f32_vec b) { return _mm512_div_ps(a, b); }
GCH_INLINE f32_vec f32_sqrt(f32_vec a) { return _mm512_sqrt_ps(a); }
GCH_INLINE f32_vec f32_abs(f32_vec a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
GCH_INLINE f32_vec f32_neg(f32_vec a) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a); }
GCH_INLINE f32_vec f32_min(f32_vec a, f32_vec b) { return _mm512_min_ps(a, b); }
GCH_INLINE f32_vec f32_max(f32_vec a, f32_vec b) { return _mm512_max_ps(a, b); }
GCH_INLINE f32_vec f32_round(f32_vec a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
GCH_INLINE f32_mask f32_less(f32_vec a, f32_vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
GCH_INLINE int f32_any(f32_mask m) { return m != 0; }
GCH_INLINE f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b) { return _mm512_mask_blend_ps(m, b, a); }
GCH_INLINE f32_vec f32_copysign(f32_vec a, f32_vec s)
{
    const __m512 sign = _mm512_set1_ps(-0.0f);
    return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, s));
}
GCH_INLINE f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c) { return _mm512_fmadd_ps(a, b, c); }
GCH_INLINE f32_vec f32_fused(f32_vec a, f32_vec b, f32_vec c) { return f32_fma(a, b, c); }
GCH_INLINE f32_vec f32_join(const float *p, const float *q)
{
    const __m512d first = _mm512_castpd256_pd512(_mm256_castps_pd(_mm256_loadu_ps(p)));
    return _mm512_castpd_ps(_mm512_insertf64x4(first, _mm256_castps_pd(_mm256_loadu_ps(q)), 1));
}
GCH_INLINE f32_vec f32_zip_halves_low(f32_vec a, f32_vec b)
{
    const __m512i order = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27);
    return _mm512_permutex2var_ps(a, order, b);
}
GCH_INLINE f32_vec f32_zip_halves_high(f32_vec a, f32_vec b)
{
    const __m512i order = _mm512_setr_epi32(4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(a, order, b);
}
GCH_INLINE f32_vec f32_zip_low(f32_vec a, f32_vec b)
{
    const __m512i order = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(a, order, b);
}
GCH_INLINE f32_vec f32_zip_high(f32_vec a, f32_vec b)
{
    const __m512i order = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(a, order, b);
}
GCH_INLINE f32_vec f32_even(f32_vec a, f32_vec b)
{
    const __m512i order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, order, b);
}
GCH_INLINE f32_vec f32_pin(f32_vec a)
{
    __asm__("" : "+v"(a));
    return a;
}
GCH_INLINE f32_vec f32_add_product(f32_vec sum, f32_vec a, f32_vec b)
{
    __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
GCH_INLINE f32_vec f32_pow2(f32_vec n)
{
    __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
}

GCH_INLINE f64_vec f64_set1(double x) { return _mm512_set1_pd(x); }
GCH_INLINE f64_vec f64_load(const double *p) { return _mm512_loadu_pd(p); }
GCH_INLINE f64_vec f64_widen(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
GCH_INLINE void f64_narrow(float *p, f64_vec v) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(v)); }
GCH_INLINE f32_vec f32_from_bytes(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
GCH_INLINE void f32_to_bytes(uint8_t *p, f32_vec v)
{
    __m512i words = _mm512_max_epi32(_mm512_cvtps_epi32(v), _mm512_setzero_si512());
    _mm_storeu_si128((__m128i *)p, _mm512_cvtusepi32_epi8(words));
}

typedef __m512i u8_vec;
typedef __m512i u8_tally;
typedef __m512i u8_products;

GCH_INLINE u8_vec u8_set1(uint8_t x) { return _mm512_set1_epi8((char)x); }
GCH_INLINE u8_vec u8_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
GCH_INLINE void u8_store(uint8_t *p, u8_vec v) { _mm512_storeu_si512(p, v); }
GCH_INLINE int u8_any_up_to(u8_vec a, u8_vec k) { return _mm512_cmple_epu8_mask(a, k) != 0; }
typedef struct {
    __m512i low, high;
} u8_words;
GCH_INLINE u8_words u8_words_load(const uint16_t *p)
{
    u8_words w = {_mm512_loadu_si512(p), _mm512_loadu_si512(p + 32)};
    return w;
}
GCH_INLINE void u8_words_store(uint16_t *p, u8_words w)
{
    _mm512_storeu_si512(p, w.low);
    _mm512_storeu_si512(p + 32, w.high);
}
GCH_INLINE u8_words u8_words_add(u8_words w, u8_vec a)
{
    u8_words sum = {_mm512_add_epi16(w.low, _mm512_cvtepu8_epi16(_mm512_castsi512_si256(a))),
                    _mm512_add_epi16(w.high, _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(a, 1)))};
    return sum;
}
GCH_INLINE u8_vec u8_min(u8_vec a, u8_vec b) { return _mm512_min_epu8(a, b); }
GCH_INLINE u8_vec u8_max(u8_vec a, u8_vec b) { return _mm512_max_epu8(a, b); }
GCH_INLINE u8_vec u8_sub(u8_vec a, u8_vec b) { return _mm512_sub_epi8(a, b); }
GCH_INLINE u8_tally u8_tally_none(void) { return _mm512_setzero_si512(); }
GCH_INLINE u8_tally u8_tally_apart(u8_tally t, u8_vec a, u8_vec b)
{
    return _mm512_add_epi64(t, _mm512_sad_epu8(a, b));
}
GCH_INLINE u8_tally u8_tally_sum(u8_tally t, u8_vec a)
{
    return u8_tally_apart(t, a, _mm512_setzero_si512());
}
/* Where each channel's bytes lie in the three thirds of 16 pixels; -1: in another third. */
static const signed char gch_split_bytes[3][3][16] = {
    {{0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
     {-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, -1, -1, -1, -1, -1},
     {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 4, 7, 10, 13}},
    {{1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
     {-1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1},
     {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14}},
    {{2, 5, 8, 11, 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1},
     {-1, -1, -1, -1, -1, 1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1},
     {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15}},
};
GCH_INLINE u8_vec u8_count_up_to(u8_vec c, u8_vec a, u8_vec k)
{
    return _mm512_mask_sub_epi8(c, _mm512_cmple_epu8_mask(a, k), c, _mm512_set1_epi8(-1));
}
GCH_INLINE u8_vec u8_count_from(u8_vec c, u8_vec a, u8_vec k)
{
    return _mm512_mask_sub_epi8(c, _mm512_cmpge_epu8_mask(a, k), c, _mm512_set1_epi8(-1));
}
GCH_INLINE void u8_split(const uint8_t *p, u8_vec rgb[3])
{
    __m512i third[3];
    for (int i = 0; i < 3; ++i) {
        third[i] = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(p + 16 * i)));
        third[i] = _mm512_inserti32x4(third[i], _mm_loadu_si128((const __m128i *)(p + 16 * i + 48)), 1);
        third[i] = _mm512_inserti32x4(third[i], _mm_loadu_si128((const __m128i *)(p + 16 * i + 96)), 2);
        third[i] = _mm512_inserti32x4(third[i], _mm_loadu_si128((const __m128i *)(p + 16 * i + 144)), 3);
    }
    for (int i = 0; i < 3; ++i) {
        __m512i part[3];
        for (int k = 0; k < 3; ++k) {
            __m128i from = _mm_loadu_si128((const __m128i *)gch_split_bytes[i][k]);
            part[k] = _mm512_shuffle_epi8(third[k], _mm512_broadcast_i32x4(from));
        }
        rgb[i] = _mm512_or_si512(part[0], _mm512_or_si512(part[1], part[2]));
    }
}
GCH_INLINE int64_t u8_tally_total(u8_tally t) { return _mm512_reduce_add_epi64(t); }
GCH_INLINE __m512i gch_low_words(u8_vec a) { return _mm512_unpacklo_epi8(a, _mm512_setzero_si512()); }
GCH_INLINE __m512i gch_high_words(u8_vec a) { return _mm512_unpackhi_epi8(a, _mm512_setzero_si512()); }
GCH_INLINE u8_products u8_products_none(void) { return _mm512_setzero_si512(); }
GCH_INLINE u8_products u8_products_add(u8_products s, u8_vec a, u8_vec b)
{
    __m512i low = _mm512_madd_epi16(gch_low_words(a), gch_low_words(b)),
            high = _mm512_madd_epi16(gch_high_words(a), gch_high_words(b));
    return _mm512_add_epi32(s, _mm512_add_epi32(low, high));
}
GCH_INLINE __m512i gch_yellow_words(__m512i r, __m512i g, __m512i b)
{
    return _mm512_abs_epi16(_mm512_sub_epi16(_mm512_add_epi16(r, g), _mm512_add_epi16(b, b)));
}
GCH_INLINE u8_products u8_products_yellow(u8_products s, u8_vec r, u8_vec g, u8_vec b)
{
    __m512i low = gch_yellow_words(gch_low_words(r), gch_low_words(g), gch_low_words(b));
    __m512i high = gch_yellow_words(gch_high_words(r), gch_high_words(g), gch_high_words(b));
    return _mm512_add_epi32(s, _mm512_madd_epi16(_mm512_add_epi16(low, high), _mm512_set1_epi16(1)));
}
GCH_INLINE int64_t u8_products_total(u8_products s)
{
    __m512i even = _mm512_and_si512(s, _mm512_set1_epi64(0xffffffff));
    return _mm512_reduce_add_epi64(_mm512_add_epi64(even, _mm512_srli_epi64(s, 32)));
}
GCH_INLINE void f64_store(double *p, f64_vec v) { _mm512_storeu_pd(p, v); }
GCH_INLINE void f64_stream(double *p, f64_vec v) { _mm512_stream_pd(p, v); }
GCH_INLINE void f64_settle(void) { _mm_sfence(); }
GCH_INLINE f64_mask f64_lanes(ptrdiff_t low, ptrdiff_t high)
{
    return (f64_mask)(gch_low_bits(high, 8) & ~gch_low_bits(low, 8));
}
GCH_INLINE f64_vec f64_load_part(const double *p, f64_mask m) { return _mm512_maskz_loadu_pd(m, p); }
GCH_INLINE f64_vec f64_load_near(const double *p, f64_mask m) { return f64_load_part(p, m); }
GCH_INLINE void f64_store_part(double *p, f64_mask m, f64_vec v) { _mm512_mask_storeu_pd(p, m, v); }
GCH_INLINE f64_vec f64_add(f64_vec a, f64_vec b) { return _mm512_add_pd(a, b); }
GCH_INLINE f64_vec f64_sub(f64_vec a, f64_vec b) { return _mm512_sub_pd(a, b); }
GCH_INLINE f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm512_mul_pd(a, b); }
GCH_INLINE f64_vec f64_div(f64_vec a, f64_vec b) { return _mm512_div_pd(a, b); }
GCH_INLINE f64_vec f64_sqrt(f64_vec a) { return _mm512_sqrt_pd(a); }
GCH_INLINE f64_vec f64_abs(f64_vec a) { return _mm512_andnot_pd(_mm512_set1_pd(-0.0), a); }
GCH_INLINE f64_vec f64_neg(f64_vec a) { return _mm512_xor_pd(_mm512_set1_pd(-0.0), a); }
GCH_INLINE f64_vec f64_min(f64_vec a, f64_vec b) { return _mm512_min_pd(a, b); }
GCH_INLINE f64_vec f64_max(f64_vec a, f64_vec b) { return _mm512_max_pd(a, b); }
GCH_INLINE f64_vec f64_round(f64_vec a)
{
    return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
GCH_INLINE f64_mask f64_less(f64_vec a, f64_vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
GCH_INLINE f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b) { return _mm512_mask_blend_pd(m, b, a); }
GCH_INLINE int f64_any(f64_mask m) { return m != 0; }
GCH_INLINE f64_vec f64_copysign(f64_vec a, f64_vec s)
{
    const __m512d sign = _mm512_set1_pd(-0.0);
    return _mm512_or_pd(_mm512_andnot_pd(sign, a), _mm512_and_pd(sign, s));
}
GCH_INLINE f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c) { return _mm512_fmadd_pd(a, b, c); }
GCH_INLINE f64_vec f64_fused(f64_vec a, f64_vec b, f64_vec c) { return f64_fma(a, b, c); }
GCH_INLINE f64_vec f64_join(const double *p, const double *q)
{
    return _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(p)), _mm256_loadu_pd(q), 1);
}
GCH_INLINE f64_vec f64_zip_halves_low(f64_vec a, f64_vec b)
{
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 8, 1, 9, 4, 12, 5, 13), b);
}
GCH_INLINE f64_vec f64_zip_halves_high(f64_vec a, f64_vec b)
{
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(2, 10, 3, 11, 6, 14, 7, 15), b);
}
GCH_INLINE f64_vec f64_zip_low(f64_vec a, f64_vec b)
{
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b);
}
GCH_INLINE f64_vec f64_zip_high(f64_vec a, f64_vec b)
{
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b);
}
GCH_INLINE f64_vec f64_even(f64_vec a, f64_vec b)
{
    return _mm512_permutex2var_pd(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
}
GCH_INLINE f64_vec f64_pin(f64_vec a)
{
    __asm__("" : "+v"(a));
    return a;
}
GCH_INLINE f64_vec f64_add_product(f64_vec sum, f64_vec a, f64_vec b)
{
    __asm__("vfmadd231pd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
GCH_INLINE f64_vec f64_pow2(f64_vec n)
{
    __m512i biased = _mm512_cvtepi32_epi64(_mm256_add_epi32(_mm512_cvtpd_epi32(n), _mm256_set1_epi32(1023)));
    return _mm512_castsi512_pd(_mm512_slli_epi64(biased, 52));
}

GCH_INLINE f32_vec f32_exponent(f32_vec x) { return _mm512_getexp_ps(x); }
GCH_INLINE f32_vec f32_mantissa(f32_vec x)
{
    return _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}
GCH_INLINE f64_vec f64_exponent(f64_vec x) { return _mm512_getexp_pd(x); }
GCH_INLINE f64_vec f64_mantissa(f64_vec x)
{
    return _mm512_getmant_pd(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
}

typedef __m512i u32_vec;

GCH_INLINE u32_vec u32_set1(uint32_t x) { return _mm512_set1_epi32((int32_t)x); }
GCH_INLINE u32_vec u32_load(const uint32_t *p) { return _mm512_loadu_si512(p); }
GCH_INLINE void u32_store(uint32_t *p, u32_vec v) { _mm512_storeu_si512(p, v); }
GCH_INLINE u32_vec u32_add(u32_vec a, u32_vec b) { return _mm512_add_epi32(a, b); }
GCH_INLINE u32_vec u32_sub(u32_vec a, u32_vec b) { return _mm512_sub_epi32(a, b); }
GCH_INLINE u32_vec u32_and(u32_vec a, u32_vec b) { return _mm512_and_si512(a, b); }
GCH_INLINE u32_vec u32_xor(u32_vec a, u32_vec b) { return _mm512_xor_si512(a, b); }
GCH_INLINE u32_vec u32_shift_left(u32_vec a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
GCH_INLINE u32_vec u32_shift_right(u32_vec a, int n) { return _mm512_srli_epi32(a, (unsigned)n); }
/* Words of even and of odd number, each in the low half of 64 bits. */
typedef struct {
    __m512i even, odd;
} u32_wide;
GCH_INLINE u32_wide u32_widen(u32_vec a)
{
    u32_wide w = {a, _mm512_srli_epi64(a, 32)};
    return w;
}
GCH_INLINE u32_vec u32_narrow(u32_wide w)
{
    return _mm512_mask_blend_epi32(0xaaaa, w.even, _mm512_slli_epi64(w.odd, 32));
}
GCH_INLINE u32_wide u32_wide_mul(u32_wide w, u32_vec factor)
{
    u32_wide product = {_mm512_mul_epu32(w.even, factor), _mm512_mul_epu32(w.odd, factor)};
    return product;
}
GCH_INLINE __m512i gch_xor3(__m512i a, __m512i b, __m512i c)
{
    return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}
GCH_INLINE u32_wide u32_wide_mix(u32_wide product, u32_wide w, u32_vec key)
{
    u32_wide mixed = {gch_xor3(_mm512_srli_epi64(product.even, 32), w.even, key),
                      gch_xor3(_mm512_srli_epi64(product.odd, 32), w.odd, key)};
    return mixed;
}
GCH_INLINE u32_vec u32_max(u32_vec a, u32_vec b) { return _mm512_max_epu32(a, b); }
GCH_INLINE int u32_any_above(u32_vec a, u32_vec b) { return _mm512_cmpgt_epu32_mask(a, b) != 0; }
GCH_INLINE u32_vec f32_bits(f32_vec x) { return _mm512_castps_si512(x); }
GCH_INLINE f32_vec f32_by_exponent(const float table[8], f32_vec x)
{
    __m512 twice = _mm512_broadcast_f32x8(_mm256_loadu_ps(table));
    return _mm512_permutexvar_ps(_mm512_srli_epi32(f32_bits(x), 23), twice);
}
/* Of three lines each third lane is of one channel, so that two blends gather it; red's order is what green and blue
 * are brought into, and back. */
static const int32_t gch_order_as_red[2][16] = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0},
                                                {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1}};
static const int32_t gch_order_from_red[2][16] = {{15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14},
                                                  {14, 15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}};
enum { GCH_LANES_0 = 0x9249, GCH_LANES_1 = 0x2492, GCH_LANES_2 = 0x4924 }; /* of number 0, 1, 2 modulo 3 */
GCH_INLINE __m512 gch_gather_thirds(__m512 lanes_0, __m512 lanes_1, __m512 lanes_2)
{
    return _mm512_mask_mov_ps(_mm512_mask_mov_ps(lanes_0, GCH_LANES_1, lanes_1), GCH_LANES_2, lanes_2);
}
GCH_INLINE void f32_split(const float *p, f32_vec rgb[3])
{
    const __m512 a = f32_load(p), b = f32_load(p + 16), c = f32_load(p + 32);
    rgb[0] = gch_gather_thirds(a, c, b);
    rgb[1] = gch_gather_thirds(b, a, c);
    rgb[2] = gch_gather_thirds(c, b, a);
    rgb[1] = _mm512_permutexvar_ps(_mm512_loadu_si512(gch_order_as_red[0]), rgb[1]);
    rgb[2] = _mm512_permutexvar_ps(_mm512_loadu_si512(gch_order_as_red[1]), rgb[2]);
}
GCH_INLINE void f32_weave(float *p, const f32_vec rgb[3])
{
    const __m512 green = _mm512_permutexvar_ps(_mm512_loadu_si512(gch_order_from_red[0]), rgb[1]);
    const __m512 blue = _mm512_permutexvar_ps(_mm512_loadu_si512(gch_order_from_red[1]), rgb[2]);
    f32_store(p, gch_gather_thirds(rgb[0], green, blue));
    f32_store(p + 16, gch_gather_thirds(green, blue, rgb[0]));
    f32_store(p + 32, gch_gather_thirds(blue, rgb[0], green));
}
/* Two pixels lie in three quarters: each line holds a third of all four pairs. */
GCH_INLINE void f64_split(const double *p, f64_vec rgb[3])
{
    __m512d third[3];
    for (int i = 0; i < 3; ++i) {
        third[i] = _mm512_castpd128_pd512(_mm_loadu_pd(p + 2 * i));
        third[i] = _mm512_insertf64x2(third[i], _mm_loadu_pd(p + 2 * i + 6), 1);
        third[i] = _mm512_insertf64x2(third[i], _mm_loadu_pd(p + 2 * i + 12), 2);
        third[i] = _mm512_insertf64x2(third[i], _mm_loadu_pd(p + 2 * i + 18), 3);
    }
    rgb[0] = _mm512_shuffle_pd(third[0], third[1], 0xaa);
    rgb[1] = _mm512_shuffle_pd(third[0], third[2], 0x55);
    rgb[2] = _mm512_shuffle_pd(third[1], third[2], 0xaa);
}
GCH_INLINE void f64_weave(double *p, const f64_vec rgb[3])
{
    const __m512d third[3] = {_mm512_shuffle_pd(rgb[0], rgb[1], 0x00),
                              _mm512_shuffle_pd(rgb[2], rgb[0], 0xaa),
                              _mm512_shuffle_pd(rgb[1], rgb[2], 0xff)};
    for (int i = 0; i < 3; ++i) {
        _mm_storeu_pd(p + 2 * i, _mm512_extractf64x2_pd(third[i], 0));
        _mm_storeu_pd(p + 2 * i + 6, _mm512_extractf64x2_pd(third[i], 1));
        _mm_storeu_pd(p + 2 * i + 12, _mm512_extractf64x2_pd(third[i], 2));
        _mm_storeu_pd(p + 2 * i + 18, _mm512_extractf64x2_pd(third[i], 3));
    }
}
GCH_INLINE f32_vec f32_from_i32(u32_vec a) { return _mm512_cvtepi32_ps(a); }
GCH_INLINE f64_vec f64_from_i32(const uint32_t *p)
{
    return _mm512_cvtepi32_pd(_mm256_loadu_si256((const __m256i *)p));
}

#endif
