/* Singular values of a convolution along a line of spatial frequencies. SERIAL. */
#ifndef GCH_KERNELS_FREQUENCY_H
#define GCH_KERNELS_FREQUENCY_H

#include "common.h"

enum {
    GCH_FREQUENCY_ROWS = 16, /* of the largest matrix: three colours by four phases are 12 */
    GCH_FREQUENCY_LANES = 8, /* `columns` is a multiple of it */
};

/* At each column a Hermitian matrix of rows x rows is made of `series` and diagonalised. It is held as real numbers:
 * element (a, b) is the real part of the matrix where a <= b, and the imaginary part of its element (b, a) where a > b.
 *
 * series: [rows * rows][2 * reach + 1], the coefficients of 1, wave 0, wave 1, ...; waves: [2 * reach][columns].
 * values: [rows][columns], the roots of the eigenvalues, descending; of a negative one, 0.
 * vectors: [2 * rows][columns], the real and imaginary part of each element of the unit vector of the largest, in any
 * phase; or NULL. With `largest_only`, the other values are not written.
 *
 * Every column is computed by itself, in double: the same bits for every instruction set with FMA. An eigenvalue's
 * error is a few roundings of the largest one. */
typedef void (*gch_frequency_kernel)(const double *series, const double *waves, ptrdiff_t rows,
                                     ptrdiff_t reach, ptrdiff_t columns, int largest_only, double *values,
                                     double *vectors);

#endif
