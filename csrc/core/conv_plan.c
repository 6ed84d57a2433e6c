/* Plans: sizes, tables and scratch of one call. */
#include "core/conv_plan.h"

#include <string.h>

enum {
    MOST_SIZE = 1 << 30,    /* of anything along an axis: products of two then fit */
    BAND_POSITIONS = 4096,  /* a block of channels of so many positions stays in the second-level cache ... */
    BAND_SUMS = 128 * 1024, /* ... and so do the sums of a band */
    BAND_PIXELS = 384 * 1024, /* bytes: of channels-last input, what a band reads stays there */
    STREAMED = 4 << 20,       /* bytes: what is larger does not stay in a cache */
    LONG_ROW = 512,           /* beyond this, longer rows gain nothing */
    ITEMS_PER_THREAD = 4,     /* to share the work evenly */
};

static ptrdiff_t round_up(ptrdiff_t n, ptrdiff_t unit) { return (n + unit - 1) / unit * unit; }
static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

/* a * b, or more than any allocation can give. */
static size_t times(size_t a, size_t b)
{
    size_t product;
    return __builtin_mul_overflow(a, b, &product) ? SIZE_MAX : product;
}

/* What little a small layer needs lies behind the plan itself: a dozen allocations would take as long as the layer. */
#ifdef GCH_ASAN
enum { NEAR_BYTES = 0 }; /* each array by itself, with its own end */
#else
enum { NEAR_BYTES = 8192 };
#endif

void *gch_conv_take(struct gch_conv_plan *plan, size_t count, size_t size)
{
    const size_t bytes = times(count, size), left = NEAR_BYTES - plan->taken;
    if (bytes > left || left == 0)
        return gch_alloc(count, size); /* nothing behind the end is ours, not even 0 bytes */
    void *taken = (char *)(plan + 1) + plan->taken;
    plan->taken += (size_t)round_up((ptrdiff_t)bytes, GCH_ALIGNMENT);
    return taken;
}

static void give(const struct gch_conv_plan *plan, void *memory)
{
    const char *near = (const char *)(plan + 1), *given = memory;
    if (given < near || given >= near + NEAR_BYTES) gch_free(memory);
}

/* Whether an array of that shape can exist. */
static int countable(ptrdiff_t a, ptrdiff_t b, ptrdiff_t c, ptrdiff_t d)
{
    ptrdiff_t count = (ptrdiff_t)sizeof(double), bytes;
    const ptrdiff_t size[4] = {a, b, c, d};
    for (int i = 0; i < 4; ++i, count = bytes)
        if (__builtin_mul_overflow(count, size[i], &bytes)) return 0;
    return 1;
}

static int outside(ptrdiff_t value, ptrdiff_t low) { return value < low || value > MOST_SIZE; }

static enum gch_status check(const struct gch_conv_call *call)
{
    const struct gch_conv_geometry *g = &call->geometry;
    if (call->images < 0 || call->channels < 1 || call->filters < 1 || call->threads < 1)
        return GCH_BAD_VALUE;
    if (call->moments != NULL && call->filters != 3) return GCH_BAD_VALUE;
    for (int i = 0; i < 2; ++i) {
        if (call->size[i] < 1 || call->kernel[i] < 1 || g->stride[i] < 1 || g->dilation[i] < 1)
            return GCH_BAD_VALUE;
        const int zeros = !g->transposed && g->padding_mode == GCH_PAD_ZEROS;
        if (g->pad[i][0] < 0 || (g->pad[i][1] < 0 && !zeros) || g->output_padding[i] < 0)
            return GCH_BAD_VALUE;
        if (outside(call->size[i], 1) || outside(call->kernel[i], 1) || outside(g->stride[i], 1))
            return GCH_TOO_LARGE;
        if (outside(g->dilation[i], 1) || outside(g->pad[i][0], 0) || outside(g->pad[i][1], -MOST_SIZE))
            return GCH_TOO_LARGE;
    }
    const ptrdiff_t *size = call->size, *kernel = call->kernel, channels = call->channels;
    if (!countable(call->filters, channels, kernel[0], kernel[1])) return GCH_TOO_LARGE;
    return countable(call->images, channels, size[0], size[1]) ? GCH_OK : GCH_TOO_LARGE;
}

enum gch_status gch_conv_output_size(const struct gch_conv_call *call, ptrdiff_t size[2])
{
    enum gch_status status = check(call);
    for (int i = 0; i < 2 && status == GCH_OK; ++i)
        status = call->geometry.transposed ? gch_conv_transpose_axis_size(call, i, &size[i])
                                           : gch_conv_axis_size(call, i, &size[i]);
    if (status == GCH_OK && !countable(call->images, call->filters, size[0], size[1])) return GCH_TOO_LARGE;
    return status;
}

static enum gch_status plan_weights(struct gch_conv_plan *plan)
{
    const struct gch_conv_axis *rows = &plan->axis[0], *columns = &plan->axis[1];
    const ptrdiff_t kw = plan->call.kernel[1];
    plan->offset = gch_conv_take(plan, times((size_t)columns->phases, (size_t)kw), sizeof *plan->offset);
    plan->weights =
        gch_conv_take(plan, times((size_t)rows->phases, (size_t)columns->phases), sizeof *plan->weights);
    if (plan->offset == NULL || plan->weights == NULL) return GCH_NO_MEMORY;
    for (ptrdiff_t p = 0; p < columns->phases; ++p)
        for (ptrdiff_t t = 0; t < columns->phase[p].taps; ++t)
            plan->offset[p * kw + t] = columns->phase[p].first + t * columns->pitch;
    ptrdiff_t at = 0;
    for (ptrdiff_t py = 0; py < rows->phases; ++py) {
        for (ptrdiff_t px = 0; px < columns->phases; ++px) {
            plan->weights[py * columns->phases + px] = at;
            at += plan->call.channels * plan->call.filters * rows->phase[py].taps * columns->phase[px].taps;
        }
    }
    plan->packed_size = (size_t)at;
    const struct gch_conv_phase *phase = columns->phase;
    if (columns->phases != 2 || columns->pitch != -1 || phase[0].taps == 0 || phase[1].taps == 0)
        return GCH_OK;
    const ptrdiff_t last = least(phase[0].first - phase[0].taps, phase[1].first - phase[1].taps);
    plan->paired = plan->kernels->pair != NULL && plan->call.filters <= GCH_CONV_PAIR_FILTERS &&
                   most(phase[0].first, phase[1].first) - last <= GCH_CONV_PAIR_COLUMNS;
    return GCH_OK;
}

/* Entry i of a run stands for padded column first + i * stride. */
static void plan_run(const struct gch_conv_plan *plan, ptrdiff_t *index, ptrdiff_t count, ptrdiff_t first,
                     struct gch_conv_stage *stage)
{
    const struct gch_conv_geometry *g = &plan->call.geometry;
    const ptrdiff_t stride = g->stride[1], width = plan->call.size[1];
    *stage = (struct gch_conv_stage){.index = index, .count = count, .first = first, .stride = stride};
    for (ptrdiff_t i = 0; i < count; ++i) {
        const ptrdiff_t column = first + i * stride;
        index[i] = column < width + g->pad[1][1] ? gch_conv_pad_index(g->padding_mode, column, width) : -1;
        if (column < 0) stage->begin = stage->end = i + 1;
        if (column >= 0 && column < width) stage->end = i + 1;
    }
}

static enum gch_status stage_segment(struct gch_conv_plan *plan, ptrdiff_t begin, ptrdiff_t end)
{
    const struct gch_conv_geometry *g = &plan->call.geometry;
    const ptrdiff_t stride = g->stride[1], dilation = g->dilation[1], kw = plan->call.kernel[1];
    const ptrdiff_t reach = (kw - 1) * dilation, count = round_up(end - begin, GCH_CONV_COLUMNS);
    ptrdiff_t runs = least(stride, reach + 1), run = count + reach / stride;
    const int apart = kw * count < runs * run; /* taps have few columns in common: a run for each */
    if (apart) runs = kw, run = count;
    struct gch_conv_segment *segment = &plan->segment[plan->segments++];
    *segment = (struct gch_conv_segment){.begin = begin, .end = end, .staged = 1, .length = runs * run};
    segment->index = gch_conv_take(plan, (size_t)segment->length, sizeof *segment->index);
    segment->offset = gch_conv_take(plan, (size_t)kw, sizeof *segment->offset);
    segment->stage = gch_conv_take(plan, (size_t)runs, sizeof *segment->stage);
    segment->runs = runs;
    if (segment->index == NULL || segment->offset == NULL || segment->stage == NULL) return GCH_NO_MEMORY;
    for (ptrdiff_t kx = 0; kx < kw; ++kx)
        segment->offset[kx] =
            (apart ? kx * run : kx * dilation % stride * run + kx * dilation / stride) - begin;
    for (ptrdiff_t r = 0; r < runs; ++r)
        plan_run(plan, segment->index + r * run, run,
                 begin * stride + r * (apart ? dilation : 1) - g->pad[1][0], &segment->stage[r]);
    return GCH_OK;
}

/* Zeros beside a row cost a mask in the tiles at its ends. Other padding needs copies, of those ends alone; a
 * column stride needs one of everything. */
static enum gch_status plan_segments(struct gch_conv_plan *plan)
{
    const struct gch_conv_geometry *g = &plan->call.geometry;
    const ptrdiff_t end = plan->axis[1].phase[0].count;
    const ptrdiff_t before = g->pad[1][0], after = g->pad[1][1];
    ptrdiff_t first = 0, last = end;
    if (!g->transposed && g->stride[1] > 1) {
        last = 0;
    } else if (g->padding_mode != GCH_PAD_ZEROS) {
        const ptrdiff_t whole = plan->call.size[1] - g->dilation[1] * (plan->call.kernel[1] - 1) + before;
        first = round_up(before, GCH_CONV_COLUMNS);
        if (after > 0) last = least(end, most(whole, 0) / GCH_CONV_COLUMNS * GCH_CONV_COLUMNS);
    }
    if (first >= last) return stage_segment(plan, 0, end);
    enum gch_status status = first > 0 ? stage_segment(plan, 0, first) : GCH_OK;
    if (status != GCH_OK) return status;
    plan->segment[plan->segments++] = (struct gch_conv_segment){.begin = first, .end = last};
    return last < end ? stage_segment(plan, last, end) : GCH_OK;
}

static void plan_bands(struct gch_conv_plan *plan)
{
    const struct gch_conv_axis *rows = &plan->axis[0], *columns = &plan->axis[1];
    const ptrdiff_t positions = rows->phase[0].count, unit = GCH_CONV_ROWS;
    plan->sum_row = columns->phase[0].count;
    if (!plan->points) plan->sum_row = round_up(plan->sum_row, GCH_CONV_COLUMNS);
    const size_t planes = times((size_t)(rows->phases * columns->phases), (size_t)plan->call.filters);
    const size_t sums = times(planes, (size_t)plan->sum_row);
    ptrdiff_t band = most(unit, BAND_POSITIONS / plan->sum_row / unit * unit);
    band = least(band, round_up(positions, unit));
    while (band > unit && times(sums, (size_t)band) > BAND_SUMS)
        band = round_up(band / 2, unit);
    const size_t row =
        times((size_t)plan->call.size[1] * gch_real_size(plan->call.real), (size_t)plan->call.channels);
    const ptrdiff_t reach = plan->call.geometry.dilation[0] * (plan->call.kernel[0] - 1);
    while (plan->call.x_last && !plan->points && rows->stride == 1 && band >= 4 * most(reach, unit) &&
           times(row, (size_t)(band + reach)) > BAND_PIXELS)
        band = round_up(band / 2, unit);
    const ptrdiff_t items = (ptrdiff_t)plan->call.threads * ITEMS_PER_THREAD;
    while (plan->call.threads > 1 && band > unit && plan->call.images * ((positions - 1) / band + 1) < items)
        band = round_up(band / 2, unit);
    plan->bands = (positions - 1) / band + 1;
    plan->band = round_up((positions - 1) / plan->bands + 1, unit);
    plan->bands = (positions - 1) / plan->band + 1;
    /* One line apart from a power of two, lest the filters' sums share cache sets. */
    plan->sum_filter = round_up(plan->band * plan->sum_row, GCH_CONV_COLUMNS) + GCH_CONV_COLUMNS;
    const ptrdiff_t column = GCH_CONV_ROWS * GCH_CONV_FILTERS * GCH_CONV_BLOCK * plan->call.kernel[1];
    plan->piece =
        most(GCH_CONV_WATCHED / column / plan->call.kernel[0] / GCH_CONV_COLUMNS, 1) * GCH_CONV_COLUMNS;
}

static size_t output_bytes(const struct gch_conv_plan *plan)
{
    const size_t size = times((size_t)plan->axis[0].output, (size_t)plan->axis[1].output);
    const size_t planes = times((size_t)plan->call.images, (size_t)plan->call.filters);
    return times(times(size, planes), gch_real_size(plan->call.real));
}

static enum gch_status plan_worker(struct gch_conv_plan *plan, struct gch_conv_worker *worker, size_t staged)
{
    const struct gch_conv_call *call = &plan->call;
    const size_t size = gch_real_size(call->real);
    const size_t phases = (size_t)(plan->axis[0].phases * plan->axis[1].phases);
    const size_t table = (size_t)call->kernel[0] * GCH_CONV_ROWS + GCH_CONV_ROWS;
    worker->image = -1;
    worker->sum =
        gch_conv_take(plan, times(times(phases, (size_t)call->filters), (size_t)plan->sum_filter), size);
    worker->row = gch_conv_take(plan, table, sizeof *worker->row);
    worker->step = gch_conv_take(plan, table, sizeof *worker->step);
    if (worker->sum == NULL || worker->row == NULL || worker->step == NULL) return GCH_NO_MEMORY;
    if (staged > 0 && (worker->staged = gch_conv_take(plan, staged, size)) == NULL) return GCH_NO_MEMORY;
    if (call->channel_scale != NULL &&
        (worker->packed = gch_conv_take(plan, plan->packed_size, size)) == NULL)
        return GCH_NO_MEMORY;
    if (call->x_last) {
        const size_t planes = GCH_CONV_COLUMNS + times((size_t)plan->planes_step, GCH_CONV_BLOCK);
        worker->planes = gch_conv_take(plan, planes, size);
        if (worker->planes == NULL) return GCH_NO_MEMORY;
    }
    if (plan->points) {
        worker->chain = gch_conv_take(plan, times(GCH_CONV_FILTERS, GCH_CONV_RUN + GCH_CONV_COLUMNS), size);
        if (worker->chain == NULL) return GCH_NO_MEMORY;
    }
    if (call->out == NULL || call->out_last) {
        worker->line = gch_conv_take(plan, times((size_t)call->filters, (size_t)plan->axis[1].output), size);
        if (worker->line == NULL) return GCH_NO_MEMORY;
    }
    return GCH_OK;
}

ptrdiff_t gch_conv_staged_row(const struct gch_conv_plan *plan, const struct gch_conv_phase *phase,
                              ptrdiff_t below, ptrdiff_t tap)
{
    const struct gch_conv_axis *rows = &plan->axis[0];
    if (plan->apart) return below * plan->call.kernel[0] + phase->tap + tap * rows->tap_pitch;
    return below * rows->stride + phase->first + tap * rows->pitch - plan->lowest;
}

/* Which rows a band copies: all from the first to the last that it reads, or, where most of them lie between the taps,
 * one for each tap of each position. */
static enum gch_status plan_staged_rows(struct gch_conv_plan *plan)
{
    const struct gch_conv_axis *rows = &plan->axis[0];
    const ptrdiff_t kernel = plan->call.kernel[0], nowhere = -4 * (ptrdiff_t)MOST_SIZE;
    ptrdiff_t low = PTRDIFF_MAX, high = PTRDIFF_MIN;
    for (ptrdiff_t p = 0; p < rows->phases; ++p) {
        const struct gch_conv_phase *phase = &rows->phase[p];
        const ptrdiff_t end = phase->first + (phase->taps - 1) * rows->pitch;
        if (phase->taps == 0) continue;
        low = least(low, least(phase->first, end));
        high = most(high, most(phase->first, end));
    }
    if (low > high) low = high = 0;
    const ptrdiff_t range = (plan->band - 1) * rows->stride + high - low + 1;
    plan->lowest = low;
    plan->apart = plan->band * kernel < range;
    plan->staged_rows = plan->apart ? plan->band * kernel : range;
    plan->staged_row = gch_conv_take(plan, (size_t)plan->staged_rows, sizeof *plan->staged_row);
    if (plan->staged_row == NULL) return GCH_NO_MEMORY;
    for (ptrdiff_t i = 0; i < plan->staged_rows; ++i)
        plan->staged_row[i] = plan->apart ? nowhere : low + i;
    for (ptrdiff_t p = 0; plan->apart && p < rows->phases; ++p)
        for (ptrdiff_t below = 0; below < plan->band; ++below)
            for (ptrdiff_t t = 0; t < rows->phase[p].taps; ++t)
                plan->staged_row[gch_conv_staged_row(plan, &rows->phase[p], below, t)] =
                    below * rows->stride + rows->phase[p].first + t * rows->pitch;
    return GCH_OK;
}

/* How the planes of channels-last input lie. One line more than the rows, lest the channels share cache sets. */
static enum gch_status plan_planes(struct gch_conv_plan *plan)
{
    size_t step;
    plan->planes_row = plan->points ? GCH_CONV_LAST_RUN : round_up(plan->call.size[1], GCH_CONV_COLUMNS);
    step = times((size_t)(plan->points ? 1 : plan->staged_rows), (size_t)plan->planes_row);
    if (step > PTRDIFF_MAX / (2 * GCH_CONV_BLOCK)) return GCH_TOO_LARGE;
    plan->planes_step = (ptrdiff_t)step + GCH_CONV_COLUMNS;
    return GCH_OK;
}

static enum gch_status plan_scratch(struct gch_conv_plan *plan)
{
    const struct gch_conv_call *call = &plan->call;
    const struct gch_conv_axis *rows = &plan->axis[0];
    const size_t size = gch_real_size(call->real);
    ptrdiff_t width = call->size[1];
    size_t staged = 0;
    enum gch_status copies = plan_staged_rows(plan);
    if (copies == GCH_OK) copies = plan_planes(plan);
    if (copies != GCH_OK) return copies;
    for (int i = 0; i < plan->segments; ++i) {
        struct gch_conv_segment *segment = &plan->segment[i];
        if (!segment->staged) continue;
        const size_t plane = times((size_t)plan->staged_rows, (size_t)segment->length);
        segment->at = staged;
        if (__builtin_add_overflow(staged, times(plane, GCH_CONV_BLOCK), &staged)) return GCH_TOO_LARGE;
        width = most(width, segment->length);
    }
    width += 2 * GCH_CONV_COLUMNS; /* either side may be read */
    plan->zeros = gch_conv_take(plan, (size_t)width, size);
    if (plan->zeros == NULL) return GCH_NO_MEMORY;
    memset(plan->zeros, 0, (size_t)width * size);
    if (call->moments != NULL) {
        plan->row_moments =
            gch_conv_take(plan, times((size_t)call->images, (size_t)rows->output), sizeof *plan->row_moments);
        if (plan->row_moments == NULL) return GCH_NO_MEMORY;
    }
    plan->workers = (int)least(call->threads, most(1, gch_conv_items(plan)));
    plan->worker = gch_conv_take(plan, (size_t)plan->workers, sizeof *plan->worker);
    if (plan->worker == NULL) return GCH_NO_MEMORY;
    memset(plan->worker, 0, (size_t)plan->workers * sizeof *plan->worker);
    for (int i = 0; i < plan->workers; ++i) {
        enum gch_status status = plan_worker(plan, &plan->worker[i], staged);
        if (status != GCH_OK) return status;
    }
    if (call->channel_scale != NULL) return GCH_OK;
    plan->packed = gch_conv_take(plan, plan->packed_size, size);
    return plan->packed != NULL ? GCH_OK : GCH_NO_MEMORY;
}

/* Whether one block of channels makes the result itself, in whole lines. */
static int is_direct(const struct gch_conv_plan *plan)
{
    const struct gch_conv_call *call = &plan->call;
    const struct gch_conv_axis *rows = &plan->axis[0], *columns = &plan->axis[1];
    return !plan->points && call->channels <= GCH_CONV_BLOCK && call->out != NULL && !call->out_last &&
           call->moments == NULL && call->bias == NULL && call->filter_scale == NULL &&
           call->output_scale == 1.0 && call->activation.kind == GCH_LINEAR && rows->phases == 1 &&
           columns->phases == 1 && rows->output % GCH_CONV_ROWS == 0 &&
           columns->output % GCH_CONV_COLUMNS == 0;
}

static enum gch_status fill(struct gch_conv_plan *plan)
{
    for (int i = 0; i < 2; ++i) {
        enum gch_status status = plan->call.geometry.transposed ? gch_conv_transpose_plan_axis(plan, i)
                                                                : gch_conv_plan_axis(plan, i);
        if (status != GCH_OK) return status;
    }
    enum gch_status status = plan_weights(plan);
    if (status == GCH_OK) status = plan_segments(plan);
    if (status != GCH_OK) return status;
    plan_bands(plan);
    plan->direct = is_direct(plan);
    plan->streamed =
        plan->direct && (uintptr_t)plan->call.out % GCH_ALIGNMENT == 0 && output_bytes(plan) >= STREAMED;
    return plan_scratch(plan);
}

/* Whether every output reads one input, at its own place. */
static int reads_points(const struct gch_conv_call *call, const ptrdiff_t output[2])
{
    const struct gch_conv_geometry *g = &call->geometry;
    for (int i = 0; i < 2; ++i)
        if (call->kernel[i] != 1 || g->stride[i] != 1 || call->size[i] != output[i] || g->pad[i][0] != 0)
            return 0;
    return 1;
}

/* Where rows mean nothing, fewer and longer ones cost less to set up. */
static void lengthen_rows(struct gch_conv_call *call, ptrdiff_t output[2])
{
    while (call->size[0] > GCH_CONV_ROWS && call->size[0] % 2 == 0 && call->size[1] < LONG_ROW) {
        call->size[0] /= 2;
        call->size[1] *= 2;
    }
    output[0] = call->size[0];
    output[1] = call->size[1];
}

enum gch_status gch_conv_open(const struct gch_conv_call *call, struct gch_conv_plan **opened)
{
    ptrdiff_t size[2];
    *opened = NULL;
    enum gch_status status = gch_conv_output_size(call, size);
    if (status != GCH_OK) return status;
    struct gch_conv_plan *plan = gch_alloc(1, sizeof *plan + NEAR_BYTES);
    if (plan == NULL) return GCH_NO_MEMORY;
    memset(plan, 0, sizeof *plan);
    plan->call = *call;
    plan->kernels = &gch_isa()->conv[call->real];
    plan->moments = &gch_isa()->moments[call->real];
    plan->points = reads_points(call, size);
    if (plan->points) lengthen_rows(&plan->call, size);
    plan->axis[0].output = size[0];
    plan->axis[1].output = size[1];
    status = fill(plan);
    if (status == GCH_OK)
        *opened = plan;
    else
        gch_conv_close(plan);
    return status;
}

void gch_conv_close(struct gch_conv_plan *plan)
{
    if (plan == NULL) return;
    for (int i = 0; plan->worker != NULL && i < plan->workers; ++i) {
        struct gch_conv_worker *worker = &plan->worker[i];
        give(plan, worker->sum);
        give(plan, worker->staged);
        give(plan, worker->packed);
        give(plan, worker->planes);
        give(plan, worker->line);
        give(plan, worker->chain);
        give(plan, worker->row);
        give(plan, worker->step);
    }
    for (int i = 0; i < plan->segments; ++i) {
        give(plan, plan->segment[i].index);
        give(plan, plan->segment[i].offset);
        give(plan, plan->segment[i].stage);
    }
    give(plan, plan->worker);
    give(plan, plan->staged_row);
    give(plan, plan->zeros);
    give(plan, plan->packed);
    give(plan, plan->row_moments);
    give(plan, plan->offset);
    give(plan, plan->weights);
    give(plan, plan->axis[0].phase);
    give(plan, plan->axis[1].phase);
    gch_free(plan);
}
