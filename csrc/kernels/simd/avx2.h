/* The vocabulary of scalar.h with AVX2 and FMA: eight floats, four doubles. */
#ifndef GCH_SIMD_AVX2_H
#define GCH_SIMD_AVX2_H

#include <immintrin.h>

#include "common.h"

#define F32_LANES 8
#define F64_LANES 4
#define U8_LANES 32
#define GCH_FUSED 1
#define GCH_VECTORS 16
#define GCH_PARTS_ARE_QUICK 0

typedef __m256 f32_vec;
typedef __m256 f32_mask;
typedef __m256d f64_vec;
typedef __m256d f64_mask;

GCH_INLINE int gch_limit_lane(ptrdiff_t lane, int lanes)
{
    return lane < 0 ? 0 : lane > lanes ? lanes : (int)lane;
}

GCH_INLINE f32_vec f32_set1(float x) { return _mm256_set1_ps(x); }
GCH_INLINE f32_vec f32_load(const float *p) { return _mm256_loadu_ps(p); }
GCH_INLINE void f32_store(float *p, f32_vec v) { _mm256_storeu_ps(p, v); }
GCH_INLINE void f32_stream(float *p, f32_vec v) { _mm256_stream_ps(p, v); }
GCH_INLINE void f32_settle(void) { _mm_sfence(); }
GCH_INLINE f32_mask f32_lanes(ptrdiff_t low, ptrdiff_t high)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i above = _mm256_cmpgt_epi32(_mm256_set1_epi32(gch_limit_lane(low, 8)), lane);
    __m256i below = _mm256_cmpgt_epi32(_mm256_set1_epi32(gch_limit_lane(high, 8)), lane);
    return _mm256_castsi256_ps(_mm256_andnot_si256(above, below));
}
GCH_INLINE f32_vec f32_load_part(const float *p, f32_mask m)
{
    return _mm256_maskload_ps(p, _mm256_castps_si256(m));
}
GCH_INLINE f32_vec f32_load_near(const float *p, f32_mask m) { return _mm256_and_ps(f32_load(p), m); }
GCH_INLINE void f32_store_part(float *p, f32_mask m, f32_vec v)
{
    _mm256_maskstore_ps(p, _mm256_castps_si256(m), v);
}
GCH_INLINE f32_vec f32_add(f32_vec a, f32_vec b) { return _mm256_add_ps(a, b); }
GCH_INLINE f32_vec f32_sub(f32_vec a, f32_vec b) { return _mm256_sub_ps(a, b); }
GCH_INLINE f32_vec f32_mul(f32_vec a, f32_vec b) { return _mm256_mul_ps(a, b); }
GCH_INLINE f32_vec f32_div(f32_vec a, f32_vec b) { return _mm256_div_ps(a, b); }
GCH_INLINE f32_vec f32_sqrt(f32_vec a) { return _mm256_sqrt_ps(a); }
GCH_INLINE f32_vec f32_abs(f32_vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
GCH_INLINE f32_vec f32_neg(f32_vec a) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a); }
GCH_INLINE f32_vec f32_min(f32_vec a, f32_vec b) { return _mm256_min_ps(a, b); }
GCH_INLINE f32_vec f32_max(f32_vec a, f32_vec b) { return _mm256_max_ps(a, b); }
GCH_INLINE f32_vec f32_round(f32_vec a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
GCH_INLINE f32_mask f32_less(f32_vec a, f32_vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
GCH_INLINE int f32_any(f32_mask m) { return _mm256_movemask_ps(m) != 0; }
GCH_INLINE f32_vec f32_select(f32_mask m, f32_vec a, f32_vec b) { return _mm256_blendv_ps(b, a, m); }
GCH_INLINE f32_vec f32_copysign(f32_vec a, f32_vec s)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return _mm256_or_ps(_mm256_andnot_ps(sign, a), _mm256_and_ps(sign, s));
}
GCH_INLINE f32_vec f32_fma(f32_vec a, f32_vec b, f32_vec c) { return _mm256_fmadd_ps(a, b, c); }
GCH_INLINE f32_vec f32_fused(f32_vec a, f32_vec b, f32_vec c) { return f32_fma(a, b, c); }
GCH_INLINE f32_vec f32_join(const float *p, const float *q)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(q), 1);
}
GCH_INLINE f32_vec f32_zip_halves_low(f32_vec a, f32_vec b) { return _mm256_unpacklo_ps(a, b); }
GCH_INLINE f32_vec f32_zip_halves_high(f32_vec a, f32_vec b) { return _mm256_unpackhi_ps(a, b); }
GCH_INLINE f32_vec f32_zip_low(f32_vec a, f32_vec b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}
GCH_INLINE f32_vec f32_zip_high(f32_vec a, f32_vec b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}
GCH_INLINE f32_vec f32_even(f32_vec a, f32_vec b)
{
    __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8));
}
GCH_INLINE f32_vec f32_pin(f32_vec a)
{
    __asm__("" : "+x"(a));
    return a;
}
GCH_INLINE f32_vec f32_add_product(f32_vec sum, f32_vec a, f32_vec b)
{
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}
GCH_INLINE f32_vec f32_pow2(f32_vec n)
{
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}

GCH_INLINE f64_vec f64_set1(double x) { return _mm256_set1_pd(x); }
GCH_INLINE f64_vec f64_load(const double *p) { return _mm256_loadu_pd(p); }
GCH_INLINE f64_vec f64_widen(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
GCH_INLINE void f64_narrow(float *p, f64_vec v) { _mm_storeu_ps(p, _mm256_cvtpd_ps(v)); }
GCH_INLINE f32_vec f32_from_bytes(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
GCH_INLINE void f32_to_bytes(uint8_t *p, f32_vec v)
{
    __m256i words = _mm256_cvtps_epi32(v);
    __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(halves, halves));
}

typedef __m256i u8_vec;
typedef __m256i u8_tally;
typedef __m256i u8_products;

GCH_INLINE u8_vec u8_set1(uint8_t x) { return _mm256_set1_epi8((char)x); }
GCH_INLINE u8_vec u8_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
GCH_INLINE void u8_store(uint8_t *p, u8_vec v) { _mm256_storeu_si256((__m256i *)p, v); }
GCH_INLINE int u8_any_up_to(u8_vec a, u8_vec k)
{
    return _mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_min_epu8(a, k), a)) != 0;
}
typedef struct {
    __m256i low, high;
} u8_words;
GCH_INLINE u8_words u8_words_load(const uint16_t *p)
{
    u8_words w = {_mm256_loadu_si256((const __m256i *)p), _mm256_loadu_si256((const __m256i *)(p + 16))};
    return w;
}
GCH_INLINE void u8_words_store(uint16_t *p, u8_words w)
{
    _mm256_storeu_si256((__m256i *)p, w.low);
    _mm256_storeu_si256((__m256i *)(p + 16), w.high);
}
GCH_INLINE u8_words u8_words_add(u8_words w, u8_vec a)
{
    u8_words sum = {_mm256_add_epi16(w.low, _mm256_cvtepu8_epi16(_mm256_castsi256_si128(a))),
                    _mm256_add_epi16(w.high, _mm256_cvtepu8_epi16(_mm256_extracti128_si256(a, 1)))};
    return sum;
}
GCH_INLINE u8_vec u8_min(u8_vec a, u8_vec b) { return _mm256_min_epu8(a, b); }
GCH_INLINE u8_vec u8_max(u8_vec a, u8_vec b) { return _mm256_max_epu8(a, b); }
GCH_INLINE u8_vec u8_sub(u8_vec a, u8_vec b) { return _mm256_sub_epi8(a, b); }
GCH_INLINE u8_tally u8_tally_none(void) { return _mm256_setzero_si256(); }
GCH_INLINE u8_tally u8_tally_apart(u8_tally t, u8_vec a, u8_vec b)
{
    return _mm256_add_epi64(t, _mm256_sad_epu8(a, b));
}
GCH_INLINE u8_tally u8_tally_sum(u8_tally t, u8_vec a)
{
    return u8_tally_apart(t, a, _mm256_setzero_si256());
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
    return _mm256_sub_epi8(c, _mm256_cmpeq_epi8(_mm256_min_epu8(a, k), a));
}
GCH_INLINE u8_vec u8_count_from(u8_vec c, u8_vec a, u8_vec k)
{
    return _mm256_sub_epi8(c, _mm256_cmpeq_epi8(_mm256_max_epu8(a, k), a));
}
GCH_INLINE void u8_split(const uint8_t *p, u8_vec rgb[3])
{
    __m256i third[3];
    for (int i = 0; i < 3; ++i) {
        const __m128i *low = (const __m128i *)(p + 16 * i), *high = (const __m128i *)(p + 48 + 16 * i);
        third[i] =
            _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high), 1);
    }
    for (int i = 0; i < 3; ++i) {
        __m256i part[3];
        for (int k = 0; k < 3; ++k) {
            __m128i from = _mm_loadu_si128((const __m128i *)gch_split_bytes[i][k]);
            part[k] = _mm256_shuffle_epi8(third[k], _mm256_broadcastsi128_si256(from));
        }
        rgb[i] = _mm256_or_si256(part[0], _mm256_or_si256(part[1], part[2]));
    }
}
GCH_INLINE int64_t u8_tally_total(u8_tally t)
{
    int64_t lane[4];
    _mm256_storeu_si256((__m256i *)lane, t);
    return lane[0] + lane[1] + lane[2] + lane[3];
}
GCH_INLINE __m256i gch_low_words(u8_vec a) { return _mm256_unpacklo_epi8(a, _mm256_setzero_si256()); }
GCH_INLINE __m256i gch_high_words(u8_vec a) { return _mm256_unpackhi_epi8(a, _mm256_setzero_si256()); }
GCH_INLINE u8_products u8_products_none(void) { return _mm256_setzero_si256(); }
GCH_INLINE u8_products u8_products_add(u8_products s, u8_vec a, u8_vec b)
{
    __m256i low = _mm256_madd_epi16(gch_low_words(a), gch_low_words(b)),
            high = _mm256_madd_epi16(gch_high_words(a), gch_high_words(b));
    return _mm256_add_epi32(s, _mm256_add_epi32(low, high));
}
GCH_INLINE __m256i gch_yellow_words(__m256i r, __m256i g, __m256i b)
{
    return _mm256_abs_epi16(_mm256_sub_epi16(_mm256_add_epi16(r, g), _mm256_add_epi16(b, b)));
}
GCH_INLINE u8_products u8_products_yellow(u8_products s, u8_vec r, u8_vec g, u8_vec b)
{
    __m256i low = gch_yellow_words(gch_low_words(r), gch_low_words(g), gch_low_words(b));
    __m256i high = gch_yellow_words(gch_high_words(r), gch_high_words(g), gch_high_words(b));
    return _mm256_add_epi32(s, _mm256_madd_epi16(_mm256_add_epi16(low, high), _mm256_set1_epi16(1)));
}
GCH_INLINE int64_t u8_products_total(u8_products s)
{
    uint32_t lane[8];
    int64_t total = 0;
    u8_store((uint8_t *)lane, s);
    for (int i = 0; i < 8; ++i)
        total += lane[i];
    return total;
}
GCH_INLINE void f64_store(double *p, f64_vec v) { _mm256_storeu_pd(p, v); }
GCH_INLINE void f64_stream(double *p, f64_vec v) { _mm256_stream_pd(p, v); }
GCH_INLINE void f64_settle(void) { _mm_sfence(); }
GCH_INLINE f64_mask f64_lanes(ptrdiff_t low, ptrdiff_t high)
{
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    __m256i above = _mm256_cmpgt_epi64(_mm256_set1_epi64x(gch_limit_lane(low, 4)), lane);
    __m256i below = _mm256_cmpgt_epi64(_mm256_set1_epi64x(gch_limit_lane(high, 4)), lane);
    return _mm256_castsi256_pd(_mm256_andnot_si256(above, below));
}
GCH_INLINE f64_vec f64_load_part(const double *p, f64_mask m)
{
    return _mm256_maskload_pd(p, _mm256_castpd_si256(m));
}
GCH_INLINE f64_vec f64_load_near(const double *p, f64_mask m) { return _mm256_and_pd(f64_load(p), m); }
GCH_INLINE void f64_store_part(double *p, f64_mask m, f64_vec v)
{
    _mm256_maskstore_pd(p, _mm256_castpd_si256(m), v);
}
GCH_INLINE f64_vec f64_add(f64_vec a, f64_vec b) { return _mm256_add_pd(a, b); }
GCH_INLINE f64_vec f64_sub(f64_vec a, f64_vec b) { return _mm256_sub_pd(a, b); }
GCH_INLINE f64_vec f64_mul(f64_vec a, f64_vec b) { return _mm256_mul_pd(a, b); }
GCH_INLINE f64_vec f64_div(f64_vec a, f64_vec b) { return _mm256_div_pd(a, b); }
GCH_INLINE f64_vec f64_sqrt(f64_vec a) { return _mm256_sqrt_pd(a); }
GCH_INLINE f64_vec f64_abs(f64_vec a) { return _mm256_andnot_pd(_mm256_set1_pd(-0.0), a); }
GCH_INLINE f64_vec f64_neg(f64_vec a) { return _mm256_xor_pd(_mm256_set1_pd(-0.0), a); }
GCH_INLINE f64_vec f64_min(f64_vec a, f64_vec b) { return _mm256_min_pd(a, b); }
GCH_INLINE f64_vec f64_max(f64_vec a, f64_vec b) { return _mm256_max_pd(a, b); }
GCH_INLINE f64_vec f64_round(f64_vec a)
{
    return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
GCH_INLINE f64_mask f64_less(f64_vec a, f64_vec b) { return _mm256_cmp_pd(a, b, _CMP_LT_OQ); }
GCH_INLINE f64_vec f64_select(f64_mask m, f64_vec a, f64_vec b) { return _mm256_blendv_pd(b, a, m); }
GCH_INLINE int f64_any(f64_mask m) { return _mm256_movemask_pd(m) != 0; }
GCH_INLINE f64_vec f64_copysign(f64_vec a, f64_vec s)
{
    const __m256d sign = _mm256_set1_pd(-0.0);
    return _mm256_or_pd(_mm256_andnot_pd(sign, a), _mm256_and_pd(sign, s));
}
GCH_INLINE f64_vec f64_fma(f64_vec a, f64_vec b, f64_vec c) { return _mm256_fmadd_pd(a, b, c); }
GCH_INLINE f64_vec f64_fused(f64_vec a, f64_vec b, f64_vec c) { return f64_fma(a, b, c); }
GCH_INLINE f64_vec f64_join(const double *p, const double *q)
{
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(q), 1);
}
GCH_INLINE f64_vec f64_zip_halves_low(f64_vec a, f64_vec b) { return _mm256_unpacklo_pd(a, b); }
GCH_INLINE f64_vec f64_zip_halves_high(f64_vec a, f64_vec b) { return _mm256_unpackhi_pd(a, b); }
GCH_INLINE f64_vec f64_zip_low(f64_vec a, f64_vec b)
{
    return _mm256_permute2f128_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b), 0x20);
}
GCH_INLINE f64_vec f64_zip_high(f64_vec a, f64_vec b)
{
    return _mm256_permute2f128_pd(_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b), 0x31);
}
GCH_INLINE f64_vec f64_even(f64_vec a, f64_vec b)
{
    return _mm256_permute4x64_pd(_mm256_unpacklo_pd(a, b), 0xd8);
}
GCH_INLINE f64_vec f64_pin(f64_vec a)
{
    __asm__("" : "+x"(a));
    return a;
}
GCH_INLINE f64_vec f64_add_product(f64_vec sum, f64_vec a, f64_vec b)
{
    __asm__("vfmadd231pd %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
    return sum;
}
GCH_INLINE f64_vec f64_pow2(f64_vec n)
{
    __m256i biased = _mm256_cvtepi32_epi64(_mm_add_epi32(_mm256_cvtpd_epi32(n), _mm_set1_epi32(1023)));
    return _mm256_castsi256_pd(_mm256_slli_epi64(biased, 52));
}

GCH_INLINE f32_vec f32_exponent(f32_vec x)
{
    __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(x), 23);
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
}
GCH_INLINE f32_vec f32_mantissa(f32_vec x)
{
    __m256 digits = _mm256_and_ps(x, _mm256_castsi256_ps(_mm256_set1_epi32(0x007fffff)));
    return _mm256_or_ps(digits, _mm256_set1_ps(1.0f));
}
/* AVX2 converts no 64-bit integers: as the low bits of 2^52 the exponent is one already. */
GCH_INLINE f64_vec f64_exponent(f64_vec x)
{
    const __m256d two52 = _mm256_set1_pd(4503599627370496.0);
    __m256i biased = _mm256_srli_epi64(_mm256_castpd_si256(x), 52);
    __m256d shifted = _mm256_castsi256_pd(_mm256_or_si256(biased, _mm256_castpd_si256(two52)));
    return _mm256_sub_pd(shifted, _mm256_set1_pd(4503599627370496.0 + 1023.0));
}
GCH_INLINE f64_vec f64_mantissa(f64_vec x)
{
    __m256d digits = _mm256_and_pd(x, _mm256_castsi256_pd(_mm256_set1_epi64x(0x000fffffffffffff)));
    return _mm256_or_pd(digits, _mm256_set1_pd(1.0));
}

typedef __m256i u32_vec;

GCH_INLINE u32_vec u32_set1(uint32_t x) { return _mm256_set1_epi32((int32_t)x); }
GCH_INLINE u32_vec u32_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
GCH_INLINE void u32_store(uint32_t *p, u32_vec v) { _mm256_storeu_si256((__m256i *)p, v); }
GCH_INLINE u32_vec u32_add(u32_vec a, u32_vec b) { return _mm256_add_epi32(a, b); }
GCH_INLINE u32_vec u32_sub(u32_vec a, u32_vec b) { return _mm256_sub_epi32(a, b); }
GCH_INLINE u32_vec u32_and(u32_vec a, u32_vec b) { return _mm256_and_si256(a, b); }
GCH_INLINE u32_vec u32_xor(u32_vec a, u32_vec b) { return _mm256_xor_si256(a, b); }
GCH_INLINE u32_vec u32_shift_left(u32_vec a, int n) { return _mm256_slli_epi32(a, n); }
GCH_INLINE u32_vec u32_shift_right(u32_vec a, int n) { return _mm256_srli_epi32(a, n); }
/* Words of even and of odd number, each in the low half of 64 bits. */
typedef struct {
    __m256i even, odd;
} u32_wide;
GCH_INLINE u32_wide u32_widen(u32_vec a)
{
    u32_wide w = {a, _mm256_srli_epi64(a, 32)};
    return w;
}
GCH_INLINE u32_vec u32_narrow(u32_wide w)
{
    return _mm256_blend_epi32(w.even, _mm256_slli_epi64(w.odd, 32), 0xaa);
}
GCH_INLINE u32_wide u32_wide_mul(u32_wide w, u32_vec factor)
{
    u32_wide product = {_mm256_mul_epu32(w.even, factor), _mm256_mul_epu32(w.odd, factor)};
    return product;
}
GCH_INLINE u32_wide u32_wide_mix(u32_wide product, u32_wide w, u32_vec key)
{
    const __m256i even = _mm256_xor_si256(w.even, key), odd = _mm256_xor_si256(w.odd, key);
    u32_wide mixed = {_mm256_xor_si256(_mm256_srli_epi64(product.even, 32), even),
                      _mm256_xor_si256(_mm256_srli_epi64(product.odd, 32), odd)};
    return mixed;
}
GCH_INLINE u32_vec u32_max(u32_vec a, u32_vec b) { return _mm256_max_epu32(a, b); }
GCH_INLINE int u32_any_above(u32_vec a, u32_vec b)
{
    return _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(a, b), b)) != -1;
}
GCH_INLINE u32_vec f32_bits(f32_vec x) { return _mm256_castps_si256(x); }
GCH_INLINE f32_vec f32_by_exponent(const float table[8], f32_vec x)
{
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), _mm256_srli_epi32(f32_bits(x), 23));
}
/* Four pixels lie in three quarters of a line: those of both halves, then their channels. */
GCH_INLINE void f32_split(const float *p, f32_vec rgb[3])
{
    __m256 third[3];
    GCH_UNROLL
    for (int i = 0; i < 3; ++i)
        third[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p + 4 * i)),
                                        _mm_loadu_ps(p + 4 * i + 12), 1);
    __m256 early = _mm256_shuffle_ps(third[0], third[1], _MM_SHUFFLE(1, 0, 2, 1)); /* g0 b0 g1 b1 */
    __m256 late = _mm256_shuffle_ps(third[1], third[2], _MM_SHUFFLE(2, 1, 3, 2));  /* r2 g2 r3 g3 */
    rgb[0] = _mm256_shuffle_ps(third[0], late, _MM_SHUFFLE(2, 0, 3, 0));
    rgb[1] = _mm256_shuffle_ps(early, late, _MM_SHUFFLE(3, 1, 2, 0));
    rgb[2] = _mm256_shuffle_ps(early, third[2], _MM_SHUFFLE(3, 0, 3, 1));
}
GCH_INLINE void f32_weave(float *p, const f32_vec rgb[3])
{
    __m256 even = _mm256_shuffle_ps(rgb[0], rgb[1], _MM_SHUFFLE(2, 0, 2, 0));  /* r0 r2 g0 g2 */
    __m256 odd = _mm256_shuffle_ps(rgb[1], rgb[2], _MM_SHUFFLE(3, 1, 3, 1));   /* g1 g3 b1 b3 */
    __m256 mixed = _mm256_shuffle_ps(rgb[2], rgb[0], _MM_SHUFFLE(3, 1, 2, 0)); /* b0 b2 r1 r3 */
    const __m256 third[3] = {_mm256_shuffle_ps(even, mixed, _MM_SHUFFLE(2, 0, 2, 0)),
                             _mm256_shuffle_ps(odd, even, _MM_SHUFFLE(3, 1, 2, 0)),
                             _mm256_shuffle_ps(mixed, odd, _MM_SHUFFLE(3, 1, 3, 1))};
    GCH_UNROLL
    for (int i = 0; i < 3; ++i) {
        _mm_storeu_ps(p + 4 * i, _mm256_castps256_ps128(third[i]));
        _mm_storeu_ps(p + 4 * i + 12, _mm256_extractf128_ps(third[i], 1));
    }
}
GCH_INLINE void f64_split(const double *p, f64_vec rgb[3])
{
    __m256d third[3];
    for (int i = 0; i < 3; ++i)
        third[i] = _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p + 2 * i)),
                                        _mm_loadu_pd(p + 2 * i + 6), 1);
    rgb[0] = _mm256_shuffle_pd(third[0], third[1], 0xa);
    rgb[1] = _mm256_shuffle_pd(third[0], third[2], 0x5);
    rgb[2] = _mm256_shuffle_pd(third[1], third[2], 0xa);
}
GCH_INLINE void f64_weave(double *p, const f64_vec rgb[3])
{
    const __m256d third[3] = {_mm256_shuffle_pd(rgb[0], rgb[1], 0x0), _mm256_shuffle_pd(rgb[2], rgb[0], 0xa),
                              _mm256_shuffle_pd(rgb[1], rgb[2], 0xf)};
    for (int i = 0; i < 3; ++i) {
        _mm_storeu_pd(p + 2 * i, _mm256_castpd256_pd128(third[i]));
        _mm_storeu_pd(p + 2 * i + 6, _mm256_extractf128_pd(third[i], 1));
    }
}
GCH_INLINE f32_vec f32_from_i32(u32_vec a) { return _mm256_cvtepi32_ps(a); }
GCH_INLINE f64_vec f64_from_i32(const uint32_t *p)
{
    return _mm256_cvtepi32_pd(_mm_loadu_si128((const __m128i *)p));
}

#endif
