/* The gradients of weights and biases.
 *
 * Images are dealt out to slots, runs of neighbours whose number depends on shapes alone. Each slot adds up its images
 * in order, an image being what the kernel sums (kernels/conv.h); a fixed binary tree adds up the slots.
 */
#include "core/conv_products.h"

#include <string.h>

#include "core/parallel.h"

enum {
    MOST_SLOTS = 64,
    SLOT_SUMS = 1 << 21, /* in all slots together, about */
    COMBINED = 1024,     /* sums in an item of the tree */
    PLANES = 12,         /* at a time, where there is much to do: tiles of any instruction set divide it */
    TAPS = 7,            /* of a row: the widest tile */
    WATCHED = 1 << 28,   /* multiply-adds, tens of milliseconds of them, between looks at whether to stop */
    GROUP = 4,           /* maps that a kernel of one tap takes at a time, as if they were its taps */
};

struct worker {
    char *staged, *sum;
    const void **row;
};

struct gch_conv_products_plan {
    struct gch_conv_product_sum call;
    const struct gch_conv_kernels *kernels;
    ptrdiff_t slots, images;   /* images of a slot */
    ptrdiff_t group, groups;   /* maps of an item, items of a slot */
    ptrdiff_t taps, sums;      /* of a map; in all */
    ptrdiff_t *offset, *index; /* columns; index NULL: no staged copies */
    ptrdiff_t width;           /* columns of a row that the kernel reads */
    ptrdiff_t *row; /* where each row of a finds its row of a map under each tap, in elements; -1: zeros */
    char *partial;  /* [slot][plane][map][tap] */
    char *line;     /* zeros, or ones where there is no b: a row, and GCH_CONV_COLUMNS on either side */
    struct worker *worker;
    int workers;
};

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

static int product(size_t *size, size_t by) { return __builtin_mul_overflow(*size, by, size); }

/* Columns of a stride in separate runs, and what lies in the padding. */
static enum gch_status plan_columns(struct gch_conv_products_plan *plan)
{
    const struct gch_conv_product_sum *call = &plan->call;
    const struct gch_conv_geometry *g = call->geometry;
    const ptrdiff_t stride = g->stride[1], dilation = g->dilation[1], kw = call->kernel[1];
    const ptrdiff_t before = g->pad[1][0], after = g->pad[1][1];
    plan->offset = gch_alloc((size_t)kw, sizeof *plan->offset);
    if (plan->offset == NULL) return GCH_NO_MEMORY;
    plan->width = call->other[1];
    for (ptrdiff_t kx = 0; kx < kw; ++kx)
        plan->offset[kx] = kx * dilation - before;
    if (call->b == NULL) {
        plan->offset[0] = 0, plan->width = call->size[1];
        return GCH_OK;
    }
    if (stride == 1 && (g->padding_mode == GCH_PAD_ZEROS || before + after == 0)) return GCH_OK;
    const ptrdiff_t reach = (kw - 1) * dilation, runs = least(stride, reach + 1);
    const ptrdiff_t run = call->size[1] + reach / stride;
    plan->width = runs * run;
    plan->index = gch_alloc((size_t)plan->width, sizeof *plan->index);
    if (plan->index == NULL) return GCH_NO_MEMORY;
    for (ptrdiff_t kx = 0; kx < kw; ++kx)
        plan->offset[kx] = kx * dilation % stride * run + kx * dilation / stride;
    for (ptrdiff_t i = 0; i < plan->width; ++i)
        plan->index[i] =
            gch_conv_pad_index(g->padding_mode, i % run * stride + i / run - before, call->other[1]);
    return GCH_OK;
}

static enum gch_status plan_rows(struct gch_conv_products_plan *plan)
{
    const struct gch_conv_product_sum *call = &plan->call;
    const struct gch_conv_geometry *g = call->geometry;
    const ptrdiff_t rows = call->kernel[0] * call->size[0];
    plan->row = gch_alloc((size_t)rows, sizeof *plan->row);
    if (plan->row == NULL) return GCH_NO_MEMORY;
    for (ptrdiff_t i = 0; i < rows; ++i) {
        const ptrdiff_t padded =
            i % call->size[0] * g->stride[0] + i / call->size[0] * g->dilation[0] - g->pad[0][0];
        const ptrdiff_t row =
            call->b == NULL ? -1 : gch_conv_pad_index(g->padding_mode, padded, call->other[0]);
        plan->row[i] = row < 0 ? -1 : row * plan->width;
    }
    return GCH_OK;
}

static enum gch_status plan_scratch(struct gch_conv_products_plan *plan)
{
    const struct gch_conv_product_sum *call = &plan->call;
    const size_t real = gch_real_size(call->real);
    const ptrdiff_t width =
        (plan->width > call->size[1] ? plan->width : call->size[1]) + 2 * GCH_CONV_COLUMNS;
    size_t sums = (size_t)plan->sums, staged = (size_t)(plan->group * call->other[0]);
    if (product(&sums, (size_t)plan->slots) || product(&staged, (size_t)plan->width)) return GCH_TOO_LARGE;
    plan->workers =
        (int)least(call->threads, plan->slots * plan->groups > 0 ? plan->slots * plan->groups : 1);
    plan->worker = gch_alloc((size_t)plan->workers, sizeof *plan->worker);
    if (plan->worker == NULL) return GCH_NO_MEMORY;
    memset(plan->worker, 0, (size_t)plan->workers * sizeof *plan->worker); /* before anything else can fail */
    plan->partial = gch_alloc(sums, real);
    plan->line = gch_alloc((size_t)width, real);
    if (plan->partial == NULL || plan->line == NULL) return GCH_NO_MEMORY;
    memset(plan->line, 0, (size_t)width * real);
    const double one[2] = {1.0, 1.0};
    const float single[2] = {1.0f, 1.0f};
    for (ptrdiff_t i = 0; call->b == NULL && i < width; ++i)
        memcpy(plan->line + (size_t)i * real,
               call->real == GCH_F64 ? (const void *)one : (const void *)single, real);
    for (int i = 0; i < plan->workers; ++i) {
        struct worker *worker = &plan->worker[i];
        worker->row = gch_alloc((size_t)(plan->group * call->kernel[0] * call->size[0]), sizeof *worker->row);
        worker->sum = gch_alloc((size_t)(call->planes * plan->group * plan->taps), real);
        if (worker->row == NULL || worker->sum == NULL) return GCH_NO_MEMORY;
        if (plan->index != NULL && (worker->staged = gch_alloc(staged, real)) == NULL) return GCH_NO_MEMORY;
    }
    return GCH_OK;
}

enum gch_status gch_conv_products_open(const struct gch_conv_product_sum *call,
                                       struct gch_conv_products_plan **opened)
{
    *opened = NULL;
    struct gch_conv_products_plan *plan = gch_alloc(1, sizeof *plan);
    if (plan == NULL) return GCH_NO_MEMORY;
    memset(plan, 0, sizeof *plan);
    plan->call = *call;
    plan->kernels = &gch_isa()->conv[call->real];
    plan->taps = call->kernel[0] * call->kernel[1];
    plan->group = plan->taps == 1 ? least(GROUP, call->maps) : 1;
    plan->groups = (call->maps + plan->group - 1) / plan->group;
    plan->sums = call->planes * call->maps * plan->taps;
    const ptrdiff_t most = plan->sums > SLOT_SUMS ? 1 : least(MOST_SLOTS, SLOT_SUMS / plan->sums);
    plan->images = (call->images + most - 1) / most;
    plan->slots = call->images > 0 ? (call->images - 1) / plan->images + 1 : 0;
    enum gch_status status = plan_columns(plan);
    if (status == GCH_OK) status = plan_rows(plan);
    if (status == GCH_OK) status = plan_scratch(plan);
    if (status == GCH_OK)
        *opened = plan;
    else
        gch_conv_products_close(plan);
    return status;
}

static const char *map_at(const struct gch_conv_product_sum *call, ptrdiff_t image, ptrdiff_t map)
{
    return (const char *)call->b + (image * call->maps + map) * call->other[0] * call->other[1] *
                                       (ptrdiff_t)gch_real_size(call->real);
}

static void stage(const struct gch_conv_products_plan *plan, const char *source, char *target)
{
    const struct gch_conv_product_sum *call = &plan->call;
    const ptrdiff_t real = (ptrdiff_t)gch_real_size(call->real);
    const ptrdiff_t before = call->geometry->pad[1][0], columns = call->other[1], end = before + columns;
    struct gch_conv_stage row = {.index = plan->index, .count = plan->width, .stride = 1};
    if (call->geometry->stride[1] == 1 && end <= plan->width) {
        row.begin = before;
        row.end = end;
        row.first = -before;
    }
    for (ptrdiff_t y = 0; y < call->other[0]; ++y) {
        plan->kernels->stage(&row, source, target);
        source += columns * real;
        target += plan->width * real;
    }
}

static double scale_at(const struct gch_conv_product_sum *call, ptrdiff_t i)
{
    if (call->scale == NULL) return 1.0;
    return call->real == GCH_F64 ? ((const double *)call->scale)[i] : ((const float *)call->scale)[i];
}

static void merge(const struct gch_conv_products_plan *plan, const struct worker *worker, ptrdiff_t image,
                  ptrdiff_t map, ptrdiff_t maps, char *slot, int add)
{
    const struct gch_conv_product_sum *call = &plan->call;
    const ptrdiff_t real = (ptrdiff_t)gch_real_size(call->real), taps = plan->taps;
    const int per_plane = call->geometry->transposed;
    for (ptrdiff_t p = 0; p < call->planes; ++p) {
        for (ptrdiff_t m = 0; m < maps; ++m) {
            const ptrdiff_t i = per_plane ? image * call->planes + p : image * call->maps + map + m;
            plan->kernels->merge(slot + (p * call->maps + map + m) * taps * real,
                                 worker->sum + (p * maps + m) * taps * real, taps, scale_at(call, i), add);
        }
    }
}

/* How many of `count` to take at a time, whole units of them, where each costs `work` multiply-adds. */
static ptrdiff_t portion(ptrdiff_t count, ptrdiff_t unit, double work)
{
    const double fit = WATCHED / work / (double)unit;
    if (fit * (double)unit >= (double)count) return count;
    return (fit > 1 ? (ptrdiff_t)fit : 1) * unit;
}

/* One image, so little at a time that the call can be stopped in between. */
static void sum_taps(const struct gch_conv_products_plan *plan, const struct gch_conv_products *all)
{
    const ptrdiff_t real = (ptrdiff_t)gch_real_size(plan->call.real), size = all->size[0] * all->size[1];
    const double row = (double)size * (double)all->kw;
    const ptrdiff_t planes = portion(all->planes, PLANES, row * (double)all->kh);
    const ptrdiff_t rows = portion(all->kh, 1, row * (double)planes);
    const ptrdiff_t columns = portion(all->kw, TAPS, (double)size * (double)planes);
    struct gch_conv_products part = *all;
    for (ptrdiff_t p = 0; p < all->planes; p += planes) {
        part.a = (const char *)all->a + p * size * real;
        part.planes = least(planes, all->planes - p);
        for (ptrdiff_t y = 0; y < all->kh; y += rows) {
            part.row = all->row + y * all->size[0];
            part.kh = least(rows, all->kh - y);
            for (ptrdiff_t x = 0; x < all->kw && !gch_runtime_stopped(); x += columns) {
                part.offset = all->offset + x;
                part.kw = least(columns, all->kw - x);
                part.sum = (char *)all->sum + (p * all->sum_plane + y * all->sum_row + x) * real;
                plan->kernels->products(&part);
            }
        }
    }
}

/* Whether GCH_CONV_COLUMNS elements on either side of the rows of these maps, and after those of the image, lie in what
 * was given. Rows of the image that are whole lines are never read past. */
static int maps_are_amid(const struct gch_conv_products_plan *plan, ptrdiff_t image, ptrdiff_t map,
                         ptrdiff_t maps)
{
    const struct gch_conv_product_sum *call = &plan->call;
    const ptrdiff_t images_after = call->images - image - 1, maps_before = image * call->maps + map;
    const ptrdiff_t maps_after = call->images * call->maps - maps_before - maps;
    const ptrdiff_t image_size = call->planes * call->size[0] * call->size[1];
    const ptrdiff_t map_size = call->other[0] * call->other[1];
    if (plan->index != NULL) return 0; /* a copy */
    if (call->size[1] % GCH_CONV_COLUMNS != 0 && images_after * image_size < GCH_CONV_COLUMNS) return 0;
    return call->b == NULL ||
           (maps_before * map_size >= GCH_CONV_COLUMNS && maps_after * map_size >= GCH_CONV_COLUMNS);
}

static void sum_images(const struct gch_conv_products_plan *plan, ptrdiff_t index, struct worker *worker)
{
    const struct gch_conv_product_sum *call = &plan->call;
    const ptrdiff_t real = (ptrdiff_t)gch_real_size(call->real);
    const ptrdiff_t slot = index / plan->groups, map = index % plan->groups * plan->group;
    const ptrdiff_t maps = least(plan->group, call->maps - map), plane = call->size[0] * call->size[1];
    const ptrdiff_t end = least((slot + 1) * plan->images, call->images),
                    rows = call->kernel[0] * call->size[0];
    for (ptrdiff_t image = slot * plan->images; image < end && !gch_runtime_stopped(); ++image) {
        for (ptrdiff_t m = 0; m < maps; ++m) {
            const char *from = call->b == NULL ? NULL : map_at(call, image, map + m);
            if (plan->index != NULL) {
                char *copy = worker->staged + m * call->other[0] * plan->width * real;
                stage(plan, from, copy);
                from = copy;
            }
            const void **row = worker->row + m * rows;
            for (ptrdiff_t i = 0; i < rows; ++i)
                row[i] = plan->row[i] < 0 ? plan->line + GCH_CONV_COLUMNS * real : from + plan->row[i] * real;
        }
        sum_taps(plan, &(struct gch_conv_products){
                           .a = (const char *)call->a + image * call->planes * plane * real,
                           .planes = call->planes,
                           .size = {call->size[0], call->size[1]},
                           .row = worker->row,
                           .offset = plan->offset,
                           .width = plan->width,
                           .amid = maps_are_amid(plan, image, map, maps),
                           .kh = maps * call->kernel[0],
                           .kw = call->kernel[1],
                           .sum = worker->sum,
                           .sum_plane = maps * plan->taps,
                           .sum_row = call->kernel[1],
                       });
        merge(plan, worker, image, map, maps, plan->partial + slot * plan->sums * real,
              image > slot * plan->images);
    }
}

static void combine(const struct gch_conv_products_plan *plan, ptrdiff_t index)
{
    const struct gch_conv_product_sum *call = &plan->call;
    const ptrdiff_t real = (ptrdiff_t)gch_real_size(call->real), slot = plan->sums * real;
    const ptrdiff_t first = index * COMBINED, count = least(COMBINED, plan->sums - first);
    char *partial = plan->partial + first * real, *out = (char *)call->out + first * real;
    for (ptrdiff_t step = 1; step < plan->slots; step *= 2)
        for (ptrdiff_t s = 0; s + step < plan->slots; s += 2 * step)
            plan->kernels->merge(partial + s * slot, partial + (s + step) * slot, count, 1.0, 1);
    if (plan->slots == 0)
        memset(out, 0, (size_t)(count * real));
    else
        plan->kernels->merge(out, partial, count, call->by, 0);
}

static void run_task(void *context, ptrdiff_t index, int worker)
{
    const struct gch_conv_products_plan *plan = context;
    const ptrdiff_t split = plan->slots * plan->groups;
    if (index < split)
        sum_images(plan, index, &plan->worker[worker]);
    else
        combine(plan, index - split);
}

ptrdiff_t gch_conv_products_split(const struct gch_conv_products_plan *plan)
{
    return plan->slots * plan->groups;
}

ptrdiff_t gch_conv_products_items(const struct gch_conv_products_plan *plan)
{
    return gch_conv_products_split(plan) + (plan->sums - 1) / COMBINED + 1;
}

void gch_conv_products_run(struct gch_conv_products_plan *plan, ptrdiff_t first, ptrdiff_t last)
{
    const ptrdiff_t split = gch_conv_products_split(plan),
                    middle = first > split ? first : least(last, split);
    gch_parallel_for(first, middle, plan->workers, run_task, plan);
    gch_parallel_for(middle, last, plan->workers, run_task, plan);
}

void gch_conv_products_close(struct gch_conv_products_plan *plan)
{
    if (plan == NULL) return;
    for (int i = 0; plan->worker != NULL && i < plan->workers; ++i) {
        gch_free(plan->worker[i].staged);
        gch_free(plan->worker[i].sum);
        gch_free(plan->worker[i].row);
    }
    gch_free(plan->worker);
    gch_free(plan->partial);
    gch_free(plan->line);
    gch_free(plan->offset);
    gch_free(plan->index);
    gch_free(plan->row);
    gch_free(plan);
}
