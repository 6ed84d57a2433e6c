/* The two sums that spectral norms are made of. SERIAL. */
#ifndef GCH_KERNELS_SPECTRAL_H
#define GCH_KERNELS_SPECTRAL_H

#include "common.h"

struct gch_spectral_kernels {
    /* Sum of a[i] b[i] in double, elements of the table's type at any alignment. Element i adds to lane i mod
     * 16 by a fused multiply-add, and the lanes are added by a fixed tree: the same bits for every
     * instruction set with FMA. */
    double (*dot)(const void *a, const void *b, ptrdiff_t count);
    /* sum[i] += factor x[i], fused; x has the table's type, sum is double. */
    void (*add)(double *sum, const void *x, double factor, ptrdiff_t count);
};

#endif
