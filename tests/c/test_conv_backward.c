/* Gradients of convolutions against the definition, in double; every array ends where memory does. Tables that fuse
 * must agree to the bit, as must all numbers of threads and slices.
 */
#include "check.h"

#include <float.h>

#include "core/ganchroma.h"

enum { CASES = 120, MOST_TERMS = 4000 };

static int below(int n)
{
    const int i = (int)((check_random() + 1) / 2 * n);
    return i < n ? i : n - 1;
}

#define ONE_OF(...)                                                                                          \
    ((const int[]){__VA_ARGS__}[below((int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))])

static double get(const void *array, enum gch_real real, ptrdiff_t i)
{
    return real == GCH_F32 ? ((const float *)array)[i] : ((const double *)array)[i];
}

static void *some(enum gch_real real, ptrdiff_t count)
{
    char *array = guarded((size_t)count * gch_real_size(real));
    for (ptrdiff_t i = 0; i < count; ++i) {
        if (real == GCH_F32)
            ((float *)array)[i] = (float)check_random();
        else
            ((double *)array)[i] = check_random();
    }
    return array;
}

/* The input position behind a padded one; -1 for a zero. */
static ptrdiff_t unpad(enum gch_padding_mode mode, ptrdiff_t i, ptrdiff_t size)
{
    if (i >= 0 && i < size) return i;
    if (mode == GCH_PAD_REFLECT) return i < 0 ? -i : 2 * size - 2 - i;
    if (mode == GCH_PAD_REPLICATE) return i < 0 ? 0 : size - 1;
    if (mode == GCH_PAD_CIRCULAR) return (i + size) % size;
    return -1;
}

/* A problem, and what it must give: sums and sums of magnitudes of input, weight and bias. */
struct problem {
    struct gch_conv_call layer;
    const void *grad;
    ptrdiff_t output[2], counts[3];
    double *sum[3], *size[3];
};

static void add(struct problem *p, int which, ptrdiff_t i, double value)
{
    p->sum[which][i] += value;
    p->size[which][i] += fabs(value);
}

/* Pixel (y, x) of the small side, tap (ky, kx): the pixel of the large side, or -1. The large side is the input of a
 * convolution and the output of a transposed one. */
static ptrdiff_t meets(const struct problem *p, ptrdiff_t y, ptrdiff_t x, ptrdiff_t ky, ptrdiff_t kx)
{
    const struct gch_conv_geometry *g = &p->layer.geometry;
    const ptrdiff_t *size = g->transposed ? p->output : p->layer.size;
    const ptrdiff_t row =
        unpad(g->padding_mode, y * g->stride[0] + ky * g->dilation[0] - g->pad[0][0], size[0]);
    const ptrdiff_t column =
        unpad(g->padding_mode, x * g->stride[1] + kx * g->dilation[1] - g->pad[1][0], size[1]);
    return row < 0 || column < 0 ? -1 : row * size[1] + column;
}

static void define_pair(struct problem *p, ptrdiff_t n, ptrdiff_t c, ptrdiff_t f)
{
    const struct gch_conv_call *l = &p->layer;
    const int transposed = l->geometry.transposed;
    const ptrdiff_t *small = transposed ? l->size : p->output;
    const ptrdiff_t inputs = l->size[0] * l->size[1], outputs = p->output[0] * p->output[1];
    const ptrdiff_t taps = l->kernel[0] * l->kernel[1];
    const double scale =
        l->output_scale *
        (l->channel_scale != NULL ? get(l->channel_scale, l->real, n * l->channels + c) : 1.0);
    for (ptrdiff_t i = 0; i < small[0] * small[1] * taps; ++i) {
        const ptrdiff_t pixel = i / taps, tap = i % taps;
        const ptrdiff_t large =
            meets(p, pixel / small[1], pixel % small[1], tap / l->kernel[1], tap % l->kernel[1]);
        if (large < 0) continue;
        const ptrdiff_t in = (n * l->channels + c) * inputs + (transposed ? pixel : large);
        const ptrdiff_t out = (n * l->filters + f) * outputs + (transposed ? large : pixel);
        const ptrdiff_t w = (transposed ? c * l->filters + f : f * l->channels + c) * taps + tap;
        add(p, 0, in, scale * get(p->grad, l->real, out) * get(l->weight, l->real, w));
        add(p, 1, w, scale * get(p->grad, l->real, out) * get(l->x, l->real, in));
    }
}

static void define(struct problem *p)
{
    const struct gch_conv_call *l = &p->layer;
    const ptrdiff_t outputs = p->output[0] * p->output[1];
    for (ptrdiff_t n = 0; n < l->images; ++n) {
        for (ptrdiff_t f = 0; f < l->filters; ++f) {
            for (ptrdiff_t c = 0; c < l->channels; ++c)
                define_pair(p, n, c, f);
            for (ptrdiff_t i = 0; i < outputs; ++i)
                add(p, 2, f, get(p->grad, l->real, (n * l->filters + f) * outputs + i));
        }
    }
}

static int run(const struct problem *p, int threads, ptrdiff_t slice, void *out[3])
{
    struct gch_conv_call layer = p->layer;
    layer.threads = threads;
    const struct gch_conv_gradients gradients = {&layer, p->grad, out[0], out[1], out[2]};
    struct gch_conv_backward_plan *plan;
    if (gch_conv_backward_open(&gradients, &plan) != GCH_OK) return 0;
    const ptrdiff_t items = gch_conv_backward_items(plan);
    for (ptrdiff_t first = 0; first < items; first += slice)
        gch_conv_backward_run(plan, first, first + slice < items ? first + slice : items);
    gch_conv_backward_close(plan);
    return 1;
}

static struct gch_conv_call draw(void)
{
    struct gch_conv_call call = {
        .real = below(3) ? GCH_F32 : GCH_F64,
        .images = ONE_OF(1, 1, 2, 3),
        .channels = ONE_OF(1, 2, 3, 4, 5),
        .filters = ONE_OF(1, 2, 3, 3, 4, 5),
        .output_scale = ONE_OF(0, 1) ? 1.0 : 0.375,
        .threads = 1,
    };
    struct gch_conv_geometry *g = &call.geometry;
    g->transposed = below(2);
    if (!g->transposed) g->padding_mode = (enum gch_padding_mode)ONE_OF(0, 0, 1, 2, 3);
    for (int i = 0; i < 2; ++i) {
        call.size[i] = ONE_OF(1, 2, 3, 5, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 33);
        call.kernel[i] = ONE_OF(1, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8);
        g->stride[i] = ONE_OF(1, 1, 2, 2, 3, 5);
        g->dilation[i] = ONE_OF(1, 1, 1, 2, 3);
        const int most = (int)call.size[i] - (g->padding_mode == GCH_PAD_REFLECT);
        for (int side = 0; side < 2; ++side) {
            g->pad[i][side] = below(5);
            if (g->padding_mode != GCH_PAD_ZEROS && g->pad[i][side] > most) g->pad[i][side] = most;
        }
        const ptrdiff_t limit = g->stride[i] > g->dilation[i] ? g->stride[i] : g->dilation[i];
        if (g->transposed) g->output_padding[i] = below((int)limit);
    }
    return call;
}

static void check_tables(struct problem *p)
{
    const enum gch_real real = p->layer.real;
    const double unit = real == GCH_F32 ? FLT_EPSILON / 2 : DBL_EPSILON / 2;
    void *fused[3] = {NULL, NULL, NULL};
    for (FOR_EACH_ISA(isa)) {
        void *out[3], *again[3];
        for (int i = 0; i < 3; ++i)
            out[i] = some(real, p->counts[i]), again[i] = some(real, p->counts[i]);
        CHECK(gch_dispatch_select(isa->name) == 0, "%s", isa->name);
        CHECK(run(p, 1, PTRDIFF_MAX / 2, out) && run(p, 3, 2, again), "refused");
        for (int which = 0; which < 3; ++which) {
            const size_t bytes = (size_t)p->counts[which] * gch_real_size(real);
            CHECK(memcmp(out[which], again[which], bytes) == 0, "gradient %d depends on threads or slices",
                  which);
            ptrdiff_t wrong = 0;
            for (ptrdiff_t i = 0; i < p->counts[which]; ++i)
                wrong += !(fabs(get(out[which], real, i) - p->sum[which][i]) <=
                           MOST_TERMS * unit * p->size[which][i]);
            CHECK(wrong == 0, "gradient %d has %td wrong elements", which, wrong);
            if (isa->fused && fused[which] != NULL)
                CHECK(memcmp(out[which], fused[which], bytes) == 0, "gradient %d has bits of its own", which);
            if (isa->fused) fused[which] = out[which];
        }
    }
}

static int check_case(void)
{
    struct problem p = {.layer = draw()};
    struct gch_conv_call *l = &p.layer;
    if (gch_conv_output_size(l, p.output) != GCH_OK) return 0;
    const ptrdiff_t inputs = l->size[0] * l->size[1], outputs = p.output[0] * p.output[1];
    if (3 * inputs > MOST_TERMS || 3 * outputs > MOST_TERMS) return 0; /* terms of a sum: see check_tables */
    p.counts[0] = l->images * l->channels * inputs;
    p.counts[1] = l->channels * l->filters * l->kernel[0] * l->kernel[1];
    p.counts[2] = l->filters;
    for (int i = 0; i < 3; ++i) {
        p.sum[i] = calloc((size_t)p.counts[i], sizeof(double));
        p.size[i] = calloc((size_t)p.counts[i], sizeof(double));
        if (p.sum[i] == NULL || p.size[i] == NULL) abort();
    }
    p.grad = some(l->real, l->images * l->filters * outputs);
    l->x = some(l->real, p.counts[0]);
    l->weight = some(l->real, p.counts[1]);
    l->channel_scale = below(3) ? NULL : some(l->real, l->images * l->channels);
    define(&p);
    check_tables(&p);
    for (int i = 0; i < 3; ++i)
        free(p.sum[i]), free(p.size[i]);
    return 1;
}

int main(void)
{
    check_start();
    for (int done = 0; done < CASES;)
        done += check_case();
    return check_end("conv_backward");
}
