/* Singular values of a convolution along a line of spatial frequencies. SERIAL. */
#ifndef GCH_KERNELS_FREQUENCY_H
#define GCH_KERNELS_FREQUENCY_H

#include "common.h"

enum {
    GCH_FREQUENCY_ROWS = 16,   /* of the largest matrix: three colours by four phases are 12 */
    GCH_FREQUENCY_LANES = 8,   /* `columns` is a multiple of it */
    GCH_FREQUENCY_OFFSETS = 8, /* of filters, together */
};

/* A matrix at each column is Hermitian, rows x rows, and made of `series`. It is held as real numbers: element (a, b) is
 * the real part of the matrix where a <= b, and the imaginary part of its element (b, a) where a > b.
 *
 * series: [rows * rows][2 * reach + 1], the coefficients of 1, wave 0, wave 1, ...; waves: [2 * reach][columns],
 * `pitch` from one wave to the next. */
struct gch_frequency_line {
    ptrdiff_t rows, reach, columns, pitch;
    const double *series, *waves;
};

/* Filters of `lines` by `taps` by `channels`, `rows` of them and `stride` apart, and horizontal offsets dx, dx + 1 ... */
struct gch_frequency_offsets {
    ptrdiff_t rows, stride, lines, taps, channels, dx, count; /* count <= GCH_FREQUENCY_OFFSETS */
};

struct gch_frequency_kernels {
    /* sums: [count][rows][rows], element (k, a, b) the sum over taps t of first's row a at t + (0, dx + k) times second's
     * row b at t, both of them taps. Element i of a line adds to lane i mod 8 by a fused multiply-add, and the lanes
     * are added by a fixed tree. */
    void (*products)(const struct gch_frequency_offsets *offsets, const double *first, const double *second,
                     double *sums);
    /* values: [rows][columns], the roots of the eigenvalues, descending; of a negative one, 0. With `largest_only` the
     * others are not written. vectors: [2 * rows][columns], the real and imaginary part of each element of the unit
     * vector of the largest, in the phase in which the real part is longest and its sum not negative; or NULL.
     *
     * Every column is computed by itself, in double: the same bits for every instruction set with FMA. An
     * eigenvalue's error is a few roundings of the largest one. */
    void (*values)(const struct gch_frequency_line *line, int largest_only, double *values, double *vectors);
    /* The largest of what `values` would give, to the bit, and its first column; bounds: [columns], scratch. */
    double (*peak)(const struct gch_frequency_line *line, double *bounds, ptrdiff_t *column);
};

#endif
