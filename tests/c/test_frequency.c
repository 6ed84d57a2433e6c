/* Eigenvalues of small Hermitian matrices on every instruction set against the sums that they must have, and whole
 * responses against the definition. */
#include "check.h"

#include <complex.h>

#include "core/ganchroma.h"

enum { MOST = GCH_FREQUENCY_ROWS, COLUMNS = 2 * GCH_FREQUENCY_LANES, REACH = 2 };

/* kinds of matrix: any; of rank one; a multiple of one; zero; diagonal */
enum { ANY, RANK_ONE, MULTIPLE, ZERO, DIAGONAL, KINDS };

/* A positive matrix B B* in the kernel's layout. */
static void make_matrix(int rows, int kind, double *h)
{
    double complex b[MOST][MOST];
    for (int a = 0; a < rows; ++a) {
        for (int k = 0; k < rows; ++k) {
            b[a][k] = check_random() + I * check_random();
            if (kind == ZERO || (kind == RANK_ONE && k) || (kind >= MULTIPLE && a != k)) b[a][k] = 0;
            if (kind == MULTIPLE && a == k) b[a][k] = 2;
        }
    }
    for (int a = 0; a < rows; ++a) {
        for (int c = a; c < rows; ++c) {
            double complex sum = 0;
            for (int k = 0; k < rows; ++k)
                sum += b[a][k] * conj(b[c][k]);
            h[c * rows + a] = cimag(sum); /* of the diagonal, 0: written over */
            h[a * rows + c] = creal(sum);
        }
    }
}

static double complex entry(const double *h, int rows, int a, int b)
{
    if (a == b) return h[a * rows + a];
    return a < b ? h[a * rows + b] + I * h[b * rows + a] : h[b * rows + a] - I * h[a * rows + b];
}

/* Coefficients that give the same matrix at every column: its waves are zero there. */
static void check_kernel(const struct gch_isa *isa, int rows, int kind, int reach)
{
    const int length = 2 * reach + 1, square = rows * rows;
    double *series = guarded((size_t)(square * length) * sizeof *series);
    double *waves = guarded((size_t)(2 * reach * COLUMNS) * sizeof *waves);
    double *values = guarded((size_t)(rows * COLUMNS) * sizeof *values);
    double *alone = guarded((size_t)(rows * COLUMNS) * sizeof *alone);
    double *first = guarded((size_t)COLUMNS * sizeof *first);
    double *vectors = guarded((size_t)(2 * rows * COLUMNS) * sizeof *vectors);
    double h[MOST * MOST], trace = 0, norm = 0;
    make_matrix(rows, kind, h);
    memset(waves, 0, (size_t)(2 * reach * COLUMNS) * sizeof *waves);
    for (int i = 0; i < square; ++i)
        for (int j = 0; j < length; ++j)
            series[i * length + j] = j ? check_random() : h[i];
    for (int a = 0; a < rows; ++a) {
        trace += h[a * rows + a];
        for (int b = 0; b < rows; ++b)
            norm += creal(entry(h, rows, a, b) * conj(entry(h, rows, a, b)));
    }
    const struct gch_frequency_line line = {rows, reach, COLUMNS, COLUMNS, series, waves};
    isa->frequency.values(&line, 0, values, vectors);
    isa->frequency.values(&line, 0, alone, NULL);
    isa->frequency.values(&line, 1, first, NULL);
    const double scale = trace * 0x1p-47; /* some rotations' rounding */
    for (int x = 0; x < COLUMNS; ++x) {
        double sum = 0, squares = 0, length_squared = 0, rest = 0;
        for (int i = 0; i < rows; ++i) {
            const double value = values[i * COLUMNS + x];
            sum += value * value;
            squares += value * value * value * value;
            CHECK(i == 0 || value <= values[(i - 1) * COLUMNS + x], "%d rows: not descending", rows);
            CHECK(fabs(alone[i * COLUMNS + x] * alone[i * COLUMNS + x] - value * value) <= scale,
                  "%d rows, kind %d: value %d alone", rows, kind, i);
        }
        CHECK(first[x] == alone[x], "%d rows: largest only", rows);
        CHECK(fabs(sum - trace) <= scale, "%d rows, kind %d: trace %g, not %g", rows, kind, sum, trace);
        CHECK(fabs(squares - norm) <= scale * trace, "%d rows, kind %d: squares", rows, kind);
        for (int a = 0; a < rows; ++a) {
            double complex image = 0,
                           own = vectors[2 * a * COLUMNS + x] + I * vectors[(2 * a + 1) * COLUMNS + x];
            for (int b = 0; b < rows; ++b)
                image += entry(h, rows, a, b) *
                         (vectors[2 * b * COLUMNS + x] + I * vectors[(2 * b + 1) * COLUMNS + x]);
            image -= values[x] * values[x] * own;
            length_squared += creal(own * conj(own));
            rest += creal(image * conj(image));
        }
        CHECK(fabs(length_squared - 1) <= 0x1p-46, "%d rows, kind %d: length", rows, kind);
        CHECK(sqrt(rest) <= scale, "%d rows, kind %d: G v is not lambda v, by %g", rows, kind, sqrt(rest));
    }
}

/* One filter of one channel: the response is the size of its Fourier transform. */
static void check_response(void)
{
    enum { LINES = 5, WIDTH = 3, KERNEL = 3 };
    double filter[KERNEL][KERNEL], gram[KERNEL][2 * KERNEL - 1], lines[LINES], columns[WIDTH];
    for (int i = 0; i < KERNEL * KERNEL; ++i)
        filter[i / KERNEL][i % KERNEL] = check_random();
    struct gch_frequency_filters filters = {1, {KERNEL, KERNEL}, 1, filter[0], gram[0], 2};
    gch_frequency_gram(&filters, 0, KERNEL * (2 * KERNEL - 1));
    for (int i = 0; i < LINES; ++i)
        lines[i] = i / 8.0;
    for (int i = 0; i < WIDTH; ++i)
        columns[i] = i / 3.0;
    double *values = guarded(8 * WIDTH * sizeof *values), *vectors = guarded(2 * 8 * WIDTH * sizeof *vectors);
    struct gch_frequency_call call = {.rows = 1,
                                      .reach = {KERNEL - 1, KERNEL - 1},
                                      .gram = gram[0],
                                      .lines = LINES,
                                      .columns = WIDTH,
                                      .line_turns = lines,
                                      .column_turns = columns,
                                      .height = 8,
                                      .keep = 1,
                                      .values = values,
                                      .vectors = vectors,
                                      .threads = 2};
    struct gch_frequency_plan *plan;
    CHECK(gch_frequency_open(&call, &plan) == GCH_OK, "open");
    gch_frequency_run(plan, 0, LINES);
    gch_frequency_close(plan);
    for (int y = 0; y < 8; ++y) {
        for (int x = 0; x < WIDTH; ++x) {
            double complex sum = 0;
            for (int i = 0; i < KERNEL * KERNEL; ++i)
                sum +=
                    filter[i / KERNEL][i % KERNEL] *
                    cexp(2 * 3.14159265358979323846 * I * (y / 8.0 * (i / KERNEL) + x / 3.0 * (i % KERNEL)));
            CHECK(fabs(values[y * WIDTH + x] - cabs(sum)) < 1e-7, "response at %d, %d: %g, not %g", y, x,
                  values[y * WIDTH + x], cabs(sum)); /* a root of what may all but vanish */
        }
    }
    call.keep = 2;
    CHECK(gch_frequency_open(&call, &plan) == GCH_BAD_VALUE && plan == NULL, "more values than rows");
    call.keep = 1, call.height = 7;
    CHECK(gch_frequency_open(&call, &plan) == GCH_BAD_VALUE, "another height");
    gch_frequency_close(NULL);
}

int main(void)
{
    check_start();
    for (FOR_EACH_ISA(isa))
        for (int rows = 1; rows <= MOST; ++rows)
            for (int kind = 0; kind < KINDS; ++kind)
                for (int reach = 0; reach <= REACH; ++reach)
                    check_kernel(isa, rows, kind, reach);
    check_running = "response";
    check_response();
    return check_end("frequency");
}
