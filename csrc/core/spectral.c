/* Spectral norms: exact for a few rows, and the power method as PyTorch runs it. */
#include <math.h>

#include "core/ganchroma.h"
#include "core/parallel.h"
#include "cpu/dispatch.h"

enum { COLUMNS = 2048 }; /* columns per item of work in W^T u: their sums stay in the first cache */

struct product {
    enum gch_real real;
    const char *matrix;
    ptrdiff_t rows, columns;
    const void *vector;
    double *result;
};

static double element(enum gch_real real, const void *vector, ptrdiff_t i)
{
    return real == GCH_F32 ? ((const float *)vector)[i] : ((const double *)vector)[i];
}

static void times_row(void *context, ptrdiff_t row, int worker)
{
    const struct product *job = context;
    size_t offset = (size_t)(row * job->columns) * gch_real_size(job->real);
    (void)worker;
    job->result[row] = gch_isa()->spectral[job->real].dot(job->matrix + offset, job->vector, job->columns);
}

static void transposed_columns(void *context, ptrdiff_t index, int worker)
{
    const struct product *job = context;
    const struct gch_spectral_kernels *kernels = &gch_isa()->spectral[job->real];
    const ptrdiff_t first = index * COLUMNS, rest = job->columns - first,
                    count = rest < COLUMNS ? rest : COLUMNS;
    double *sum = job->result + first;
    (void)worker;
    for (ptrdiff_t i = 0; i < count; ++i)
        sum[i] = 0;
    for (ptrdiff_t row = 0; row < job->rows; ++row) {
        size_t offset = (size_t)(row * job->columns + first) * gch_real_size(job->real);
        kernels->add(sum, job->matrix + offset, element(job->real, job->vector, row), count);
    }
}

static void normalize(enum gch_real real, const double *from, void *to, ptrdiff_t count, double eps)
{
    double norm = sqrt(gch_isa()->spectral[GCH_F64].dot(from, from, count));
    if (norm < eps) norm = eps; /* a NaN stays */
    for (ptrdiff_t i = 0; i < count; ++i) {
        if (real == GCH_F32)
            ((float *)to)[i] = (float)(from[i] / norm);
        else
            ((double *)to)[i] = from[i] / norm;
    }
}

void gch_spectral_step(enum gch_real real, const void *matrix, ptrdiff_t rows, ptrdiff_t columns, void *u,
                       void *v, int u_first, double eps, double *scratch, int threads)
{
    struct product left = {real, matrix, rows, columns, v, scratch};
    struct product right = {real, matrix, rows, columns, u, scratch + rows};
    for (int half = 0; half < 2; ++half) {
        if (half == !u_first) {
            gch_parallel_for(0, rows, threads, times_row, &left);
            if (gch_runtime_stopped()) return;
            normalize(real, scratch, u, rows, eps);
        } else {
            gch_parallel_for(0, columns / COLUMNS + (columns % COLUMNS != 0), threads, transposed_columns,
                             &right);
            if (gch_runtime_stopped()) return;
            normalize(real, scratch + rows, v, columns, eps);
        }
    }
}

double gch_spectral_bilinear(enum gch_real real, const void *matrix, ptrdiff_t rows, ptrdiff_t columns,
                             const void *u, const void *v, double *scratch, int threads)
{
    struct product left = {real, matrix, rows, columns, v, scratch};
    gch_parallel_for(0, rows, threads, times_row, &left);
    double sum = 0;
    for (ptrdiff_t row = 0; row < rows; ++row)
        sum += element(real, u, row) * scratch[row];
    return sum;
}

/* The largest eigenvalue of a symmetric matrix without negative ones by cyclic Jacobi rotations; `a` is overwritten.
 * Each rotation makes one off-diagonal element zero; for so few rows ten sweeps are twice what any matrix needs, and
 * an element of less than a rounding of the largest eigenvalue needs none. */
static double largest_eigenvalue(double a[GCH_SPECTRAL_ROWS][GCH_SPECTRAL_ROWS], ptrdiff_t rows)
{
    enum { SWEEPS = 10 };
    double trace = 0;
    for (ptrdiff_t i = 0; i < rows; ++i)
        trace += a[i][i];
    const double least = 0x1p-58 * trace;
    for (int sweep = 0; sweep < SWEEPS; ++sweep) {
        for (ptrdiff_t p = 0; p < rows; ++p) {
            for (ptrdiff_t q = p + 1; q < rows; ++q) {
                if (!(fabs(a[p][q]) > least)) continue;
                double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
                double t = (theta < 0 ? -1 : 1) / (fabs(theta) + sqrt(theta * theta + 1));
                double c = 1 / sqrt(t * t + 1), s = t * c;
                a[p][p] -= t * a[p][q];
                a[q][q] += t * a[p][q];
                a[p][q] = a[q][p] = 0;
                for (ptrdiff_t k = 0; k < rows; ++k) {
                    if (k == p || k == q) continue;
                    double kp = a[k][p], kq = a[k][q];
                    a[k][p] = a[p][k] = c * kp - s * kq;
                    a[k][q] = a[q][k] = s * kp + c * kq;
                }
            }
        }
    }
    double largest = a[0][0];
    for (ptrdiff_t i = 1; i < rows; ++i)
        if (a[i][i] > largest) largest = a[i][i];
    return largest;
}

enum gch_status gch_spectral_sigma(enum gch_real real, const void *matrix, ptrdiff_t rows, ptrdiff_t columns,
                                   double *sigma)
{
    if (rows < 1 || rows > GCH_SPECTRAL_ROWS || columns < 0) return GCH_BAD_VALUE;
    const struct gch_spectral_kernels *kernels = &gch_isa()->spectral[real];
    const size_t stride = (size_t)columns * gch_real_size(real);
    double gram[GCH_SPECTRAL_ROWS][GCH_SPECTRAL_ROWS] = {{0}}, total = 0;
    for (ptrdiff_t i = 0; i < rows; ++i) {
        for (ptrdiff_t j = 0; j <= i && !gch_runtime_stopped(); ++j) {
            const char *first = (const char *)matrix + (size_t)i * stride;
            const char *second = (const char *)matrix + (size_t)j * stride;
            gram[i][j] = gram[j][i] = kernels->dot(first, second, columns);
            total += gram[i][j];
        }
    }
    double largest = largest_eigenvalue(gram, rows);
    *sigma = total - total == 0 ? sqrt(largest > 0 ? largest : 0) : NAN;
    return GCH_OK;
}
