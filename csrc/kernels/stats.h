/* Sums over pixels in 8-bit levels, exact. SERIAL. */
#ifndef GCH_KERNELS_STATS_H
#define GCH_KERNELS_STATS_H

#include "common.h"
#include "kernels/color.h"

/* How a value becomes a level: of 255 (v - low) / (high - low), limited to 0..255; NaN becomes 0. */
enum gch_rule { GCH_RULE_ROUND /* to nearest, ties to even */, GCH_RULE_FLOOR };

enum { GCH_CHROMA_BITS = 16 }; /* fraction bits of a pixel's chroma */
enum { GCH_NEAR_LEVELS = 2 };  /* bytes this far from 0 and 255 are within 1 % of the range from its ends */

/* All integers, so the order of addition does not matter. */
struct gch_level_sums {
    int64_t sum[3];
    int64_t product[6];  /* RR, RG, RB, GG, GB, BB */
    int64_t opponent[2]; /* |R - G|, |R + G - 2 B| */
    int64_t gray[3];     /* pixels whose channels differ by at most 0, 1, 2 levels */
    int64_t clipped[2];  /* values at 0 and at 255 */
    int64_t chroma;      /* CIELAB's C*, each pixel's rounded to GCH_CHROMA_BITS */
};

/* Of finite values only. */
struct gch_value_extremes {
    int64_t near[2]; /* values within 1 % of the range from its low and its high end, or beyond */
    double least, most;
};

#define GCH_MOST_PLACED 0x1p40 /* a value's most in a sum at a position: so many times its unit, 256 ranges */
enum { GCH_MOST_IMAGES = 4096 }; /* whose sums of these are exact */

struct gch_stats_kernels {
    /* Levels of `count` values of the table's type, as in double with nothing fused; adds to *extremes. There, of
     * the values near an end only those are counted, and others subtracted, that the levels do not tell: bytes_sums
     * has the rest. */
    void (*quantize)(const struct gch_range *range, enum gch_rule rule, const void *values, uint8_t *levels,
                     ptrdiff_t count, struct gch_value_extremes *extremes);
    /* sums[k] += values[k]'s share of the range, in whole numbers of 2^-32. */
    void (*place)(const struct gch_range *range, const void *values, double *sums, ptrdiff_t count);
};

/* Bytes as floats. */
typedef void (*gch_from_bytes_kernel)(const uint8_t *bytes, float *levels, ptrdiff_t count);

/* Pixels of three bytes into three planes. */
typedef void (*gch_split_kernel)(const uint8_t *pixels, uint8_t *const plane[3], ptrdiff_t count);

/* Adds `count` pixels, three planes of bytes, to *sums, all but the chroma, and to *extremes. */
typedef void (*gch_bytes_kernel)(const uint8_t *const plane[3], ptrdiff_t count, struct gch_level_sums *sums,
                                 struct gch_value_extremes *extremes);

/* Adds `count` pixels' sums and sums of products RR, RG, RB, GG, GB, BB. */
typedef void (*gch_byte_moments_kernel)(const uint8_t *const plane[3], ptrdiff_t count, int64_t sum[3],
                                        int64_t product[6]);

/* Adds `count` pixels' chroma to *sums. */
typedef void (*gch_chroma_kernel)(const uint8_t *const plane[3], ptrdiff_t count,
                                  struct gch_level_sums *sums);

enum { GCH_ADDED = 4, GCH_MOST_ADDED = 256 }; /* arrays of bytes at a time, and to a sum of 16 bits */

/* sums[k] += bytes[i][k] of all GCH_ADDED. */
typedef void (*gch_add_bytes_kernel)(const uint8_t *const bytes[GCH_ADDED], uint16_t *sums, ptrdiff_t count);

#endif
