/* Runs a plan: for each band of output rows, block after block of channels, strip after strip. */
#include "core/conv_plan.h"

#include "core/parallel.h"

enum { MOST_AHEAD = 96 }; /* elements that a tile fetches of a channel: more would wait for memory */

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static ptrdiff_t most(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }

int gch_conv_pack_weights(const struct gch_conv_plan *plan, ptrdiff_t image, char *packed)
{
    const struct gch_conv_call *call = &plan->call;
    const struct gch_conv_axis *rows = &plan->axis[0], *columns = &plan->axis[1];
    const ptrdiff_t kernel = call->kernel[0] * call->kernel[1], size = (ptrdiff_t)gch_real_size(call->real);
    const int transposed = call->geometry.transposed;
    int finite = 1;
    struct gch_conv_pack pack = {
        .weight_filter = transposed ? kernel : call->channels * kernel,
        .weight_channel = transposed ? call->filters * kernel : kernel,
        .weight_row = call->kernel[1],
        .channels = call->channels,
        .pitch = {rows->tap_pitch, columns->tap_pitch},
    };
    if (call->channel_scale != NULL)
        pack.channel_scale = (const char *)call->channel_scale + image * call->channels * size;
    for (ptrdiff_t py = 0; py < rows->phases; ++py) {
        for (ptrdiff_t px = 0; px < columns->phases; ++px) {
            char *target = packed + plan->weights[py * columns->phases + px] * size;
            pack.first[0] = rows->phase[py].tap, pack.first[1] = columns->phase[px].tap;
            pack.taps[0] = rows->phase[py].taps, pack.taps[1] = columns->phase[px].taps;
            for (ptrdiff_t f = 0; f < call->filters && !gch_runtime_stopped(); f += plan->kernels->filters) {
                pack.filters = least(plan->kernels->filters, call->filters - f);
                pack.weight = (const char *)call->weight + f * pack.weight_filter * size;
                pack.packed = target;
                finite &= plan->kernels->pack(&pack);
                target += pack.filters * call->channels * pack.taps[0] * pack.taps[1] * size;
            }
        }
    }
    return finite;
}

/* What one item works on. */
struct band {
    struct gch_conv_plan *plan;
    struct gch_conv_worker *worker;
    ptrdiff_t image, from, to; /* positions along the rows */
    const char *packed;
    int skip;          /* pixels that are not there: infinite weights must not meet them */
    ptrdiff_t channel; /* the block's first */
    int channels;
    ptrdiff_t size;             /* bytes of an element */
    ptrdiff_t following;        /* the item that this worker is likely to take next */
    const char *next;           /* prefetch; or NULL */
    ptrdiff_t next_step, ahead; /* elements: to the next channel, per tile */
};

/* The input row behind a position of the padded input, or -1 for zeros. Strips may hang over the end: zeros
 * too. */
static ptrdiff_t input_row(const struct gch_conv_plan *plan, ptrdiff_t row)
{
    const struct gch_conv_geometry *g = &plan->call.geometry;
    const ptrdiff_t size = plan->call.size[0];
    if (g->transposed) return gch_conv_pad_index(GCH_PAD_ZEROS, row, size);
    if (row < -g->pad[0][0] || row >= size + g->pad[0][1]) return -1;
    return gch_conv_pad_index(g->padding_mode, row, size);
}

static const char *input_at(const struct band *band, ptrdiff_t image, ptrdiff_t channel, ptrdiff_t row)
{
    const struct gch_conv_call *call = &band->plan->call;
    const ptrdiff_t plane = image * call->channels + channel;
    return (const char *)call->x + (plane * call->size[0] + row) * call->size[1] * band->size;
}

/* The padded row behind row i of the band's copies, or -1. */
static ptrdiff_t staged_row(const struct band *band, ptrdiff_t i)
{
    const struct gch_conv_plan *plan = band->plan;
    return input_row(plan, band->from * plan->axis[0].stride + plan->staged_row[i]);
}

/* A row of a channel of the planes. */
static char *plane_row(const struct band *band, ptrdiff_t channel, ptrdiff_t row)
{
    const ptrdiff_t at = channel * band->plan->planes_step + row * band->plan->planes_row;
    return band->worker->planes + (GCH_CONV_COLUMNS + at) * band->size;
}

/* Turns what this block reads of channels-last input into planes. Where rows are strided, strips are too few to fetch the
 * next band's in time: they are fetched meanwhile, in the order in which they lie in memory. */
static void turn(const struct band *band)
{
    const struct gch_conv_plan *plan = band->plan;
    const struct gch_conv_call *call = &plan->call;
    const ptrdiff_t pixel = call->channels * band->size, width = call->size[1];
    const char *image = (const char *)call->x + band->image * call->size[0] * width * pixel;
    ptrdiff_t fetched =
        (band->to * plan->axis[0].stride * call->channels + band->channel * plan->staged_rows) * width;
    struct gch_conv_planes planes = {
        .pixel = call->channels, .count = width, .channels = band->channels, .step = plan->planes_step};
    for (ptrdiff_t i = 0; i < plan->staged_rows; ++i) {
        const ptrdiff_t row = staged_row(band, i);
        if (row < 0) continue;
        planes.x = image + row * width * pixel + band->channel * band->size;
        planes.out = plane_row(band, 0, i);
        if (plan->axis[0].stride > 1) planes.next = image + fetched * band->size;
        fetched += width * band->channels;
        plan->kernels->planes(&planes);
    }
}

/* Copies what a staged segment reads of this block. */
static void stage(const struct band *band, const struct gch_conv_segment *segment)
{
    const struct gch_conv_plan *plan = band->plan;
    char *target = band->worker->staged + (ptrdiff_t)segment->at * band->size;
    for (int c = 0; c < band->channels; ++c) {
        for (ptrdiff_t i = 0; i < plan->staged_rows; ++i) {
            const ptrdiff_t row = staged_row(band, i);
            const char *source = plan->call.x_last ? plane_row(band, c, i)
                                                   : input_at(band, band->image, band->channel + c, row);
            for (ptrdiff_t r = 0; r < segment->runs && row >= 0; ++r)
                plan->kernels->stage(&segment->stage[r], source,
                                     target + r * segment->stage[r].count * band->size);
            target += segment->length * band->size;
        }
    }
}

/* Entry i of the strip's table: the row that a tap reads at a position. */
static void set_row(const struct band *band, const struct gch_conv_segment *segment,
                    const struct gch_conv_phase *phase, ptrdiff_t i, ptrdiff_t position, ptrdiff_t tap)
{
    const struct gch_conv_plan *plan = band->plan;
    const struct gch_conv_axis *rows = &plan->axis[0];
    const ptrdiff_t row = input_row(plan, position * rows->stride + phase->first + tap * rows->pitch);
    const ptrdiff_t copy = gch_conv_staged_row(plan, phase, position - band->from, tap);
    if (row < 0) {
        band->worker->row[i] = plan->zeros + GCH_CONV_COLUMNS * band->size;
        band->worker->step[i] = 0;
    } else if (segment->staged) {
        band->worker->row[i] =
            band->worker->staged + ((ptrdiff_t)segment->at + copy * segment->length) * band->size;
        band->worker->step[i] = plan->staged_rows * segment->length;
    } else if (plan->call.x_last) {
        band->worker->row[i] = plane_row(band, 0, copy);
        band->worker->step[i] = plan->planes_step;
    } else {
        band->worker->row[i] = input_at(band, band->image, band->channel, row);
        band->worker->step[i] = plan->call.size[0] * plan->call.size[1];
    }
}

/* What to prefetch while a block runs: what the next one reads, of this item or of the one that follows. A run of each
 * channel, dealt out to the tiles. Channels-last input is fetched as it lies, in as many runs. */
static void look_ahead(struct band *band)
{
    const struct gch_conv_plan *plan = band->plan;
    const struct gch_conv_call *call = &plan->call;
    const ptrdiff_t stride = plan->axis[0].stride;
    ptrdiff_t image = band->image, from = band->from, channel = band->channel + GCH_CONV_BLOCK;
    ptrdiff_t low = from * stride + plan->lowest, known = low + plan->staged_rows;
    band->next = NULL;
    if (channel >= call->channels || call->x_last) {
        channel = 0;
        image = band->following / plan->bands;
        from = band->following % plan->bands * plan->band;
        low = from * stride + plan->lowest;
    }
    const ptrdiff_t high = least(call->size[0], low + plan->staged_rows);
    if (call->x_last && image == band->image && from == band->to) low = known;
    low = most(0, low);
    if (image >= call->images || low >= high || (call->x_last && stride > 1)) return;
    const ptrdiff_t strips = (band->to - band->from - 1) / GCH_CONV_ROWS + 1,
                    run = (high - low) * call->size[1];
    const ptrdiff_t tiles = strips * ((plan->sum_row - 1) / GCH_CONV_COLUMNS + 1);
    band->ahead = least((run - 1) / tiles + 1, MOST_AHEAD);
    if (call->x_last) {
        const ptrdiff_t row = (image * call->size[0] + low) * call->size[1] * call->channels;
        band->next = (const char *)call->x + (row + band->channel * run) * band->size;
        band->next_step = run;
    } else {
        band->next = input_at(band, image, channel, low);
        band->next_step = call->size[0] * call->size[1];
    }
}

static void set_next(const struct band *band, struct gch_conv_strip *strip, ptrdiff_t position, int first)
{
    const struct gch_conv_plan *plan = band->plan;
    strip->next = plan->zeros, strip->next_step = strip->ahead = 0;
    if (!first || band->next == NULL) return;
    const ptrdiff_t tiles = (plan->sum_row - 1) / GCH_CONV_COLUMNS + 1;
    strip->next = band->next + (position - band->from) / GCH_CONV_ROWS * tiles * band->ahead * band->size;
    strip->next_step = band->next_step;
    strip->ahead = band->ahead;
}

/* Columns of a strip, a piece at a time; 0 where nothing is left, or the call is stopped. */
static int next_piece(const struct band *band, struct gch_conv_strip *strip, ptrdiff_t end)
{
    const ptrdiff_t done = strip->end - strip->begin, taps = (ptrdiff_t)strip->kh * strip->kw;
    if (gch_conv_stopped(band->worker, done * GCH_CONV_ROWS * strip->channels * strip->filters * taps))
        return 0;
    strip->begin = strip->end;
    strip->end = least(end, strip->begin + band->plan->piece);
    return strip->begin < end;
}

/* Both column phases of a stride of two at once. Their taps fall from column to column by one, so the two
 * lists are merged by column. */
static void run_pair(const struct band *band, struct gch_conv_strip *strip, ptrdiff_t top, ptrdiff_t py)
{
    const struct gch_conv_plan *plan = band->plan;
    const struct gch_conv_call *call = &plan->call;
    const struct gch_conv_phase *phase = plan->axis[1].phase;
    const ptrdiff_t taps = plan->axis[0].phase[py].taps;
    struct gch_conv_pair pair;
    const char *weight[2];
    char *sum[2];
    for (int px = 0; px < 2; ++px) {
        const ptrdiff_t from =
            plan->weights[2 * py + px] + band->channel * taps * phase[px].taps * call->filters;
        weight[px] = band->packed + from * band->size;
        sum[px] = band->worker->sum + ((2 * py + px) * call->filters * plan->sum_filter + top) * band->size;
    }
    ptrdiff_t offset[GCH_CONV_PAIR_COLUMNS];
    const ptrdiff_t high = phase[0].first > phase[1].first ? phase[0].first : phase[1].first;
    int columns = 0;
    for (ptrdiff_t column = high; column > high - GCH_CONV_PAIR_COLUMNS; --column) {
        unsigned char use = 0;
        for (int px = 0; px < 2; ++px)
            if (column <= phase[px].first && column > phase[px].first - phase[px].taps)
                use |= (unsigned char)(1 << px);
        if (use == 0) continue;
        offset[columns] = column;
        pair.use[columns++] = use;
    }
    strip->offset = offset, strip->kw = columns;
    strip->end = strip->begin, strip->filters = (int)call->filters;
    strip->weight = weight[0], strip->sum = sum[0];
    pair.strip = *strip, pair.weight = weight[1], pair.sum = sum[1];
    while (next_piece(band, &pair.strip, phase[0].count))
        plan->kernels->pair(&pair);
}

/* The strip's table of rows: rising taps of a turned strip read falling rows, from its last output to its
 * first. */
static void set_rows(const struct band *band, const struct gch_conv_segment *segment,
                     const struct gch_conv_phase *phase, ptrdiff_t position, int dense)
{
    const struct gch_conv_axis *rows = &band->plan->axis[0];
    const ptrdiff_t last = GCH_CONV_ROWS - 1;
    const ptrdiff_t count = dense ? GCH_CONV_ROWS + phase->taps - 1 : GCH_CONV_ROWS * phase->taps;
    for (ptrdiff_t i = 0; i < count; ++i) {
        const ptrdiff_t tap = dense ? (i > last ? i - last : 0) : i / GCH_CONV_ROWS;
        const ptrdiff_t r = dense ? i - tap : i % GCH_CONV_ROWS;
        set_row(band, segment, phase, i, position + (rows->pitch < 0 ? last - r : r), tap);
    }
}

/* Whether GCH_CONV_COLUMNS elements on either side of the first `count` rows of the table may be read, too: of planes they
 * may, of the input where they lie in it. */
static int rows_are_amid(const struct band *band, ptrdiff_t count)
{
    const struct gch_conv_call *call = &band->plan->call;
    if (call->x_last) return 1;
    const ptrdiff_t line = GCH_CONV_COLUMNS * band->size, row = call->size[1] * band->size;
    const char *begin = call->x, *end = begin + call->images * call->channels * call->size[0] * row;
    for (ptrdiff_t i = 0; i < count; ++i) {
        const char *first = band->worker->row[i];
        const ptrdiff_t last = (band->channels - 1) * band->worker->step[i] * band->size + row;
        if (band->worker->step[i] != 0 && (first - begin < line || end - first < last + line)) return 0;
    }
    return 1;
}

/* The sums of a strip go where the result belongs. */
static void set_result(const struct band *band, struct gch_conv_strip *strip, ptrdiff_t f, ptrdiff_t position,
                       int turned)
{
    const struct gch_conv_plan *plan = band->plan;
    const ptrdiff_t rows = plan->axis[0].output, columns = plan->axis[1].output;
    const ptrdiff_t row = position + (turned ? GCH_CONV_ROWS - 1 : 0);
    strip->sum = (char *)plan->call.out +
                 (((band->image * plan->call.filters + f) * rows + row) * columns) * band->size;
    strip->sum_row = turned ? -columns : columns;
    strip->sum_filter = rows * columns;
    strip->stream = plan->streamed;
}

/* One strip of one row phase: every column phase and every filter. With one row and one tap to the next row,
 * the rows of neighbouring outputs are shared; where rising taps read falling rows the strip is turned upside
 * down. */
static void run_strip(const struct band *band, const struct gch_conv_segment *segment, ptrdiff_t position,
                      ptrdiff_t py)
{
    const struct gch_conv_plan *plan = band->plan;
    const struct gch_conv_call *call = &plan->call;
    const struct gch_conv_axis *rows = &plan->axis[0], *columns = &plan->axis[1];
    const struct gch_conv_phase *phase = &rows->phase[py];
    const int turned = rows->pitch < 0;
    const int dense = rows->stride == 1 && (rows->pitch == 1 || rows->pitch == -1 || phase->taps == 1);
    set_rows(band, segment, phase, position, dense);
    struct gch_conv_strip strip = {
        .row = band->worker->row,
        .step = band->worker->step,
        .width = segment->staged ? segment->length - segment->offset[0] : call->size[1],
        .sum_row = turned ? -plan->sum_row : plan->sum_row,
        .sum_filter = plan->sum_filter,
        .begin = segment->begin,
        .dense = dense,
        .channels = band->channels,
        .kh = (int)phase->taps,
        .add = band->channel > 0,
        .skip = band->skip,
        .amid = dense && !segment->staged && rows_are_amid(band, GCH_CONV_ROWS + phase->taps - 1),
    };
    set_next(band, &strip, position, py == 0);
    const ptrdiff_t top = (position - band->from + (turned ? GCH_CONV_ROWS - 1 : 0)) * plan->sum_row;
    if (dense && plan->paired && !band->skip && phase->taps >= 1 && phase->taps <= GCH_CONV_PAIR_TAPS) {
        run_pair(band, &strip, top, py);
        return;
    }
    for (ptrdiff_t px = 0; px < columns->phases; ++px) {
        const ptrdiff_t pair = py * columns->phases + px, taps = phase->taps * columns->phase[px].taps;
        const char *weight = band->packed + plan->weights[pair] * band->size;
        strip.offset = segment->staged ? segment->offset : plan->offset + px * call->kernel[1];
        strip.kw = (int)columns->phase[px].taps;
        const ptrdiff_t end = least(segment->end, columns->phase[px].count);
        for (ptrdiff_t f = 0; f < call->filters; f += plan->kernels->filters) {
            strip.filters = (int)least(plan->kernels->filters, call->filters - f);
            strip.weight = weight + band->channel * taps * strip.filters * band->size;
            strip.sum =
                band->worker->sum + ((pair * call->filters + f) * plan->sum_filter + top) * band->size;
            if (plan->direct) set_result(band, &strip, f, position, turned);
            strip.begin = strip.end = segment->begin;
            while (next_piece(band, &strip, end))
                plan->kernels->strip(&strip);
            set_next(band, &strip, position, 0);
            weight += call->channels * taps * strip.filters * band->size;
        }
    }
}

/* What multiplies plane i of the result. */
static double output_scale(const struct gch_conv_call *call, ptrdiff_t i)
{
    if (call->filter_scale == NULL) return call->output_scale;
    const int f64 = call->real == GCH_F64;
    return call->output_scale *
           (f64 ? ((const double *)call->filter_scale)[i] : ((const float *)call->filter_scale)[i]);
}

static void finish_row(const struct band *band, ptrdiff_t position, ptrdiff_t py)
{
    const struct gch_conv_plan *plan = band->plan;
    const struct gch_conv_call *call = &plan->call;
    const struct gch_conv_axis *rows = &plan->axis[0], *columns = &plan->axis[1];
    const ptrdiff_t row = position * rows->phases + py, width = columns->output;
    struct gch_conv_finish finish = {
        .sum_phase = call->filters * plan->sum_filter,
        .phases = columns->phases,
        .count = width,
        .activation = &call->activation,
    };
    const char *color[3] = {0};
    for (ptrdiff_t f = 0; f < call->filters; ++f) {
        const ptrdiff_t at = (py * columns->phases * call->filters + f) * plan->sum_filter;
        finish.sum = band->worker->sum + (at + (position - band->from) * plan->sum_row) * band->size;
        finish.scale = output_scale(call, band->image * call->filters + f);
        finish.bias = call->bias != NULL ? (const char *)call->bias + f * band->size : NULL;
        const int planes = call->out != NULL && !call->out_last;
        const ptrdiff_t line = planes ? (band->image * call->filters + f) * rows->output + row : f;
        char *out = planes ? call->out : band->worker->line;
        finish.out = out + line * width * band->size;
        plan->kernels->finish(&finish);
        if (f < 3) color[f] = finish.out;
    }
    if (call->out != NULL && call->out_last) {
        char *out = call->out;
        const ptrdiff_t line = (band->image * rows->output + row) * width * call->filters;
        plan->kernels->weave(band->worker->line, call->filters, width, out + line * band->size);
    }
    if (plan->row_moments != NULL)
        plan->moments->row(color[0], color[1], color[2], width,
                           &plan->row_moments[band->image * rows->output + row]);
}

/* All rows of a band as one, where they lie without gaps both in the sums and in the result. */
static int finish_band(const struct band *band)
{
    const struct gch_conv_plan *plan = band->plan;
    const struct gch_conv_call *call = &plan->call;
    const struct gch_conv_axis *rows = &plan->axis[0], *columns = &plan->axis[1];
    if (rows->phases != 1 || columns->phases != 1 || columns->output != plan->sum_row) return 0;
    if (call->out == NULL || call->out_last || plan->row_moments != NULL) return 0;
    struct gch_conv_finish finish = {
        .phases = 1, .count = (band->to - band->from) * plan->sum_row, .activation = &call->activation};
    for (ptrdiff_t f = 0; f < call->filters; ++f) {
        const ptrdiff_t plane = band->image * call->filters + f;
        finish.sum = band->worker->sum + f * plan->sum_filter * band->size;
        finish.bias = call->bias != NULL ? (const char *)call->bias + f * band->size : NULL;
        finish.scale = output_scale(call, plane);
        finish.out = (char *)call->out + (plane * rows->output + band->from) * plan->sum_row * band->size;
        plan->kernels->finish(&finish);
    }
    return 1;
}

static void run_block(const struct band *band)
{
    const struct gch_conv_plan *plan = band->plan;
    if (plan->call.x_last) turn(band);
    for (int i = 0; i < plan->segments; ++i)
        if (plan->segment[i].staged) stage(band, &plan->segment[i]);
    for (ptrdiff_t position = band->from; position < band->to && !band->worker->stopped;
         position += GCH_CONV_ROWS)
        for (ptrdiff_t py = 0; py < plan->axis[0].phases; ++py)
            for (int i = 0; i < plan->segments && position < plan->axis[0].phase[py].count; ++i)
                run_strip(band, &plan->segment[i], position, py);
}

void gch_conv_run_item(struct gch_conv_plan *plan, ptrdiff_t index, struct gch_conv_worker *worker)
{
    const struct gch_conv_call *call = &plan->call;
    struct band band = {.plan = plan, .worker = worker, .image = index / plan->bands, .packed = plan->packed};
    band.from = index % plan->bands * plan->band;
    band.to = least(band.from + plan->band, plan->axis[0].phase[0].count);
    band.size = (ptrdiff_t)gch_real_size(call->real);
    band.following = index + plan->workers;
    if (call->channel_scale != NULL) {
        if (worker->image != band.image)
            worker->finite = gch_conv_pack_weights(plan, band.image, worker->packed);
        worker->image = band.image;
        band.packed = worker->packed;
    }
    /* A convolution pads with zeros, which infinite weights turn into NaN; a transposed one with nothing. */
    const int finite = call->channel_scale != NULL ? worker->finite : plan->finite;
    band.skip = call->geometry.transposed && !finite;
    if (plan->points) gch_conv_run_points(plan, worker, band.image, band.from, band.to, band.packed);
    for (band.channel = 0; band.channel < call->channels && !plan->points && !worker->stopped;
         band.channel += GCH_CONV_BLOCK) {
        band.channels = (int)least(GCH_CONV_BLOCK, call->channels - band.channel);
        look_ahead(&band);
        run_block(&band);
    }
    if (plan->streamed) plan->kernels->settle();
    if (worker->stopped || plan->direct || finish_band(&band)) return;
    for (ptrdiff_t position = band.from; position < band.to; ++position)
        for (ptrdiff_t py = 0; py < plan->axis[0].phases; ++py)
            if (position < plan->axis[0].phase[py].count) finish_row(&band, position, py);
}

static void run_task(void *context, ptrdiff_t index, int worker)
{
    struct gch_conv_plan *plan = context;
    gch_conv_run_item(plan, index, &plan->worker[worker]);
}

ptrdiff_t gch_conv_items(const struct gch_conv_plan *plan) { return plan->call.images * plan->bands; }

void gch_conv_run(struct gch_conv_plan *plan, ptrdiff_t first, ptrdiff_t last)
{
    if (plan->packed != NULL && !plan->filled) plan->finite = gch_conv_pack_weights(plan, 0, plan->packed);
    plan->filled = 1;
    gch_parallel_for(first, last, plan->workers, run_task, plan);
}

void gch_conv_finish(struct gch_conv_plan *plan)
{
    const ptrdiff_t rows = plan->axis[0].output;
    for (ptrdiff_t n = 0; n < plan->call.images && plan->row_moments != NULL; ++n) {
        gch_moments_tree(plan->row_moments + n * rows, rows);
        plan->call.moments[n] = plan->row_moments[n * rows];
    }
}

enum gch_status gch_conv(const struct gch_conv_call *call)
{
    struct gch_conv_plan *plan;
    enum gch_status status = gch_conv_open(call, &plan);
    if (status != GCH_OK) return status;
    gch_conv_run(plan, 0, gch_conv_items(plan));
    gch_conv_finish(plan);
    gch_conv_close(plan);
    return GCH_OK;
}
