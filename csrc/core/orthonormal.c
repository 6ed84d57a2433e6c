/* Orthonormal rows, a few at a time: blocks of them are matrix products, which are left to BLAS. */
#include <math.h>

#include "core/ganchroma.h"
#include "cpu/dispatch.h"

void gch_orthonormalize(double *matrix, ptrdiff_t columns, ptrdiff_t first, ptrdiff_t last, double *shortest)
{
    const struct gch_spectral_kernels *kernels = &gch_isa()->spectral[GCH_F64];
    for (ptrdiff_t i = first; i < last && !gch_runtime_stopped(); ++i) {
        double *row = matrix + i * columns;
        for (ptrdiff_t j = 0; j < i; ++j) {
            const double *other = matrix + j * columns;
            kernels->add(row, other, -kernels->dot(row, other, columns), columns);
        }
        const double length = sqrt(kernels->dot(row, row, columns));
        if (!(length >= *shortest)) *shortest = length;
        for (ptrdiff_t x = 0; length > 0 && x < columns; ++x)
            row[x] /= length;
    }
}
