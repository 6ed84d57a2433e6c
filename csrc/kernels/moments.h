/* Colour moments of rows of pixels. SERIAL. */
#ifndef GCH_KERNELS_MOMENTS_H
#define GCH_KERNELS_MOMENTS_H

#include "common.h"

enum { GCH_MOMENT_LANES = 16 };

/* Centred sums over pixels whose three channels are all finite; the others are only counted. */
struct gch_moments {
    double count;
    double mean[3];
    double scatter[6]; /* sums of products of deviations: RR, RG, RB, GG, GB, BB */
    double nonfinite;
};

struct gch_moments_kernels {
    /* Moments of one row of `count` pixels in three planes of the table's type. Two passes, in double; pixel x adds
     * to lane x mod 16, and the lanes are added by a fixed tree: the same bits for every instruction set with FMA. */
    void (*row)(const void *red, const void *green, const void *blue, ptrdiff_t count,
                struct gch_moments *moments);
};

#endif
