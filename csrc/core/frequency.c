/* The frequency response of a layer: what its filters do to every spatial frequency. */
#include <math.h>

#include "core/ganchroma.h"
#include "core/parallel.h"
#include "cpu/dispatch.h"

enum { PIECE = 1 << 20 }; /* multiply-adds, about, that such columns take: tens of milliseconds */
enum { WAVES = 1 << 14 }; /* cosines and sines between looks at whether to stop: less than a millisecond */

struct gch_frequency_plan {
    struct gch_frequency_call call;
    ptrdiff_t padded;  /* columns, up to whole vectors */
    ptrdiff_t piece;   /* columns between looks at whether to stop */
    size_t per_worker; /* doubles of scratch */
    int filled;        /* whether the waves that lines share are there */
    double *waves;     /* (2 * reach, padded) of columns that all lines share, then each worker's scratch */
};

struct offsets {
    const struct gch_frequency_filters *filters;
    ptrdiff_t first, last;
};

static void gram_offsets(void *context, ptrdiff_t index, int worker)
{
    const struct offsets *range = context;
    const struct gch_frequency_filters *f = range->filters;
    const ptrdiff_t width = 2 * f->kernel[1] - 1, line = f->kernel[1] * f->channels,
                    most = GCH_FREQUENCY_OFFSETS;
    ptrdiff_t offset = range->first + index * most,
              last = offset + most < range->last ? offset + most : range->last;
    (void)worker;
    while (offset < last) { /* those of one line together */
        const ptrdiff_t dy = offset / width, rest = (dy + 1) * width - offset;
        const struct gch_frequency_offsets now = {
            .rows = f->rows,
            .stride = f->kernel[0] * line,
            .lines = f->kernel[0] - dy,
            .taps = f->kernel[1],
            .channels = f->channels,
            .dx = offset % width - (f->kernel[1] - 1),
            .count = last - offset < rest ? last - offset : rest,
        };
        gch_isa()->frequency.products(&now, f->filters + dy * line, f->filters,
                                      f->gram + offset * f->rows * f->rows);
        offset += now.count;
    }
}

void gch_frequency_gram(const struct gch_frequency_filters *filters, ptrdiff_t first, ptrdiff_t last)
{
    struct offsets range = {filters, first, last};
    const ptrdiff_t most = GCH_FREQUENCY_OFFSETS;
    gch_parallel_for(0, (last - first + most - 1) / most, filters->threads, gram_offsets, &range);
}

/* Cosine and sine of a multiple of a frequency in turns; whole turns are taken off first, exactly. */
static void wave(double turns, double times, double *cosine, double *sine)
{
    const double product = turns * times, angle = 6.28318530717958647692 * (product - rint(product));
    *cosine = cos(angle);
    *sine = sin(angle);
}

static void fill_waves(const struct gch_frequency_plan *plan, const double *turns, double *waves)
{
    for (ptrdiff_t j = 0; j < plan->call.reach[1]; ++j) {
        double *cosines = waves + 2 * j * plan->padded, *sines = cosines + plan->padded;
        for (ptrdiff_t x = 0; x < plan->padded; ++x) {
            const ptrdiff_t at = x < plan->call.columns ? x : plan->call.columns - 1;
            if (x % WAVES == 0 && gch_runtime_stopped()) return;
            wave(turns[at], (double)(j + 1), &cosines[x], &sines[x]);
        }
    }
}

/* The vertical sums of a line: `sums` (2 reach + 1, rows, rows, 2), the coefficients of exp(i w dx). With P(-d) the
 * transpose of P(d), the other half of the vertical offsets is the first one, mirrored. */
static void sum_line(const struct gch_frequency_call *call, double turns, double *sums)
{
    const ptrdiff_t n = call->rows, width = 2 * call->reach[1] + 1, square = n * n;
    for (ptrdiff_t i = 0; i < width * square; ++i) {
        sums[2 * i] = call->gram[i];
        sums[2 * i + 1] = 0;
    }
    for (ptrdiff_t dy = 1; dy <= call->reach[0]; ++dy) {
        double cosine, sine;
        wave(turns, (double)dy, &cosine, &sine);
        const double *gram = call->gram + dy * width * square;
        for (ptrdiff_t dx = 0; dx < width; ++dx) {
            const double *below = gram + dx * square, *above = gram + (width - 1 - dx) * square;
            for (ptrdiff_t a = 0; a < n; ++a) {
                for (ptrdiff_t b = a; b < n; ++b) {
                    const double p = below[a * n + b], m = above[b * n + a];
                    double *sum = sums + 2 * (dx * square + a * n + b);
                    sum[0] += (p + m) * cosine;
                    sum[1] += (p - m) * sine;
                }
            }
        }
    }
}

/* The series that the kernel takes: of exp(i w j) and exp(-i w j), the cosine and the sine. */
static void fill_series(const struct gch_frequency_call *call, const double *sums, double *series)
{
    const ptrdiff_t n = call->rows, reach = call->reach[1], length = 2 * reach + 1;
    for (ptrdiff_t a = 0; a < n; ++a) {
        for (ptrdiff_t b = a; b < n; ++b) {
            double *real = series + (a * n + b) * length, *imaginary = series + (b * n + a) * length;
            for (ptrdiff_t j = 0; j <= reach; ++j) {
                const double *right = sums + 2 * ((reach + j) * n * n + a * n + b),
                             *left = sums + 2 * ((reach - j) * n * n + a * n + b);
                if (a != b) { /* on the diagonal these are the same places, and real */
                    imaginary[j ? 2 * j - 1 : 0] = j ? right[1] + left[1] : right[1];
                    if (j) imaginary[2 * j] = right[0] - left[0];
                }
                real[j ? 2 * j - 1 : 0] = j ? right[0] + left[0] : right[0];
                if (j) real[2 * j] = left[1] - right[1];
            }
        }
    }
}

/* Of the columns from `first` on that `piece` has. */
static void write_piece(const struct gch_frequency_plan *plan, ptrdiff_t line, ptrdiff_t first,
                        const struct gch_frequency_line *piece, const double *values, const double *vectors)
{
    const struct gch_frequency_call *call = &plan->call;
    const int mirrored = call->height && line && 2 * line != call->height;
    for (int copy = 0; copy <= mirrored; ++copy) {
        for (ptrdiff_t i = 0; i < piece->columns && first + i < call->columns; ++i) {
            const ptrdiff_t x = first + i;
            const ptrdiff_t at = copy ? (call->height - line) * call->columns + (x ? call->columns - x : 0)
                                      : line * call->columns + x;
            for (ptrdiff_t k = 0; k < call->keep; ++k)
                call->values[at * call->keep + k] = values[k * piece->columns + i];
            if (call->vectors == NULL) continue;
            for (ptrdiff_t k = 0; k < 2 * call->rows; ++k) {
                const double part = vectors[k * piece->columns + i];
                call->vectors[at * 2 * call->rows + k] = copy && k % 2 ? 0 - part : part;
            }
        }
    }
}

/* The largest value of a piece, if it is the largest of its line so far, and where it stands. */
static void keep_peak(double *peaks, ptrdiff_t first, const struct gch_frequency_line *piece, double *bounds)
{
    ptrdiff_t column;
    const double peak = gch_isa()->frequency.peak(piece, bounds, &column);
    if (first && !(peak > peaks[0])) return;
    peaks[0] = peak;
    peaks[1] = (double)(first + column);
}

static void run_line(void *context, ptrdiff_t line, int worker)
{
    const struct gch_frequency_plan *plan = context;
    const struct gch_frequency_call *call = &plan->call;
    const ptrdiff_t n = call->rows, length = 2 * call->reach[1] + 1;
    double *own = plan->waves + 2 * call->reach[1] * plan->padded + (ptrdiff_t)plan->per_worker * worker;
    double *sums = own, *series = sums + 2 * length * n * n, *values = series + length * n * n,
           *vectors = values + n * plan->piece, *waves = plan->waves;
    if (call->own_columns) {
        waves = vectors + 2 * n * plan->piece;
        fill_waves(plan, call->column_turns + line * call->columns, waves);
    }
    sum_line(call, call->line_turns[line], sums);
    fill_series(call, sums, series);
    for (ptrdiff_t first = 0; first < plan->padded && !gch_runtime_stopped(); first += plan->piece) {
        const ptrdiff_t rest = plan->padded - first, count = rest < plan->piece ? rest : plan->piece;
        const struct gch_frequency_line piece = {n,      call->reach[1], count, plan->padded,
                                                 series, waves + first};
        if (call->peaks != NULL) {
            keep_peak(call->peaks + 2 * line, first, &piece, values);
            continue;
        }
        gch_isa()->frequency.values(&piece, call->keep == 1, values, call->vectors == NULL ? NULL : vectors);
        write_piece(plan, line, first, &piece, values, vectors);
    }
}

enum gch_status gch_frequency_open(const struct gch_frequency_call *call, struct gch_frequency_plan **plan)
{
    const ptrdiff_t n = call->rows, most = (ptrdiff_t)1 << 30;
    *plan = NULL;
    if (n < 1 || n > GCH_FREQUENCY_ROWS || call->threads < 1) return GCH_BAD_VALUE;
    if (call->peaks == NULL && (call->keep < 1 || call->keep > n)) return GCH_BAD_VALUE;
    if (call->columns < 1 || call->columns > most || call->reach[1] > most) return GCH_BAD_VALUE;
    if (call->height && call->lines != call->height / 2 + 1) return GCH_BAD_VALUE;
    struct gch_frequency_plan *made = gch_alloc(1, sizeof *made);
    if (made == NULL) return GCH_NO_MEMORY;
    made->call = *call;
    made->padded = (call->columns + GCH_FREQUENCY_LANES - 1) / GCH_FREQUENCY_LANES * GCH_FREQUENCY_LANES;
    const size_t length = 2 * (size_t)call->reach[1] + 1, square = (size_t)(n * n);
    const ptrdiff_t each = n * n * (n + (ptrdiff_t)length);
    made->piece = PIECE / each / GCH_FREQUENCY_LANES * GCH_FREQUENCY_LANES;
    if (made->piece < GCH_FREQUENCY_LANES) made->piece = GCH_FREQUENCY_LANES;
    if (made->piece > made->padded) made->piece = made->padded;
    size_t waves, total;
    enum gch_status status = GCH_TOO_LARGE;
    if (__builtin_mul_overflow(2 * (size_t)call->reach[1], (size_t)made->padded, &waves)) goto failed;
    made->per_worker = 3 * length * square + 3 * (size_t)(n * made->piece) + waves;
    made->per_worker = (made->per_worker + 15) / 16 * 16; /* workers share no cache line */
    if (__builtin_mul_overflow(made->per_worker, (size_t)call->threads, &total)) goto failed;
    if (__builtin_add_overflow(total, waves, &total)) goto failed;
    status = GCH_NO_MEMORY;
    made->waves = gch_alloc(total, sizeof(double));
    if (made->waves == NULL) goto failed;
    made->filled = call->own_columns;
    *plan = made;
    return GCH_OK;
failed:
    gch_free(made);
    return status;
}

void gch_frequency_run(struct gch_frequency_plan *plan, ptrdiff_t first, ptrdiff_t last)
{
    if (!plan->filled) fill_waves(plan, plan->call.column_turns, plan->waves);
    plan->filled = 1;
    gch_parallel_for(first, last, plan->call.threads, run_line, plan);
}

void gch_frequency_close(struct gch_frequency_plan *plan)
{
    if (plan == NULL) return;
    gch_free(plan->waves);
    gch_free(plan);
}
