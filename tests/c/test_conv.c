/* Every table's convolution against the definition, to the bit, with guard pages around every array.
 *
 * The definition below adds in the documented order, so nothing is left to a tolerance: blocks of 16
 * channels, in each one chain in the order channel, kx, ky, fused where the table fuses.
 */
#include "check.h"

#include "core/ganchroma.h"

static int failures;

static unsigned random_state = 1;
static int below(int n) { return (int)((random_state = random_state * 1664525u + 1013904223u) >> 8) % n; }
#define ONE_OF(...)                                                                                          \
    ((const int[]){__VA_ARGS__}[below((int)(sizeof((const int[]){__VA_ARGS__}) / sizeof(int)))])

/* An array that ends (or begins) at a page that must not be touched. */
struct guarded {
    char *map, *data;
    size_t length;
};

static struct guarded guard(size_t bytes, int at_end)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page * page;
    struct guarded g = {.length = pages + 2 * page};
    g.map = mmap(NULL, g.length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED) abort();
    mprotect(g.map, page, guard_access());
    mprotect(g.map + page + pages, page, guard_access());
    g.data = g.map + page + (at_end ? pages - bytes : 0);
    return g;
}

static void release(struct guarded *g) { munmap(g->map, g->length); }

static double get(const void *array, enum gch_real real, ptrdiff_t i)
{
    return real == GCH_F32 ? ((const float *)array)[i] : ((const double *)array)[i];
}

static void put(void *array, enum gch_real real, ptrdiff_t i, double value)
{
    if (real == GCH_F32)
        ((float *)array)[i] = (float)value;
    else
        ((double *)array)[i] = value;
}

static void fill(struct guarded *g, enum gch_real real, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; ++i)
        put(g->data, real, i, (below(1 << 20) - (1 << 19)) / 262144.0);
}

static double multiply_add(enum gch_real real, int fused, double a, double b, double c)
{
    if (real == GCH_F64) return fused ? fma(a, b, c) : a * b + c;
    const float product = (float)a * (float)b;
    return fused ? fmaf((float)a, (float)b, (float)c) : product + (float)c;
}

static double add(enum gch_real real, double a, double b)
{
    return real == GCH_F32 ? (float)a + (float)b : a + b;
}
static double multiply(enum gch_real real, double a, double b)
{
    return real == GCH_F32 ? (float)a * (float)b : a * b;
}

/* The input index behind a padded one; -1 for a zero. */
static ptrdiff_t unpad(enum gch_padding_mode mode, ptrdiff_t i, ptrdiff_t size)
{
    if (i >= 0 && i < size) return i;
    if (mode == GCH_PAD_REFLECT) return i < 0 ? -i : 2 * size - 2 - i;
    if (mode == GCH_PAD_REPLICATE) return i < 0 ? 0 : size - 1;
    if (mode == GCH_PAD_CIRCULAR) return (i + size) % size;
    return -1;
}

/* Which input row or column tap k of output o reads: 0 if none, else 1 with *i the index or, in a padded
 * convolution, -1 for a zero. */
static int reads(const struct gch_conv_call *call, int axis, ptrdiff_t o, ptrdiff_t k, ptrdiff_t *i)
{
    const struct gch_conv_geometry *g = &call->geometry;
    if (!g->transposed) {
        *i = unpad(g->padding_mode, o * g->stride[axis] + k * g->dilation[axis] - g->pad[axis][0],
                   call->size[axis]);
        return 1;
    }
    const ptrdiff_t at = o + g->pad[axis][0] - k * g->dilation[axis];
    if (at % g->stride[axis] != 0) return 0;
    *i = at / g->stride[axis];
    return *i >= 0 && *i < call->size[axis];
}

static double define(const struct gch_conv_call *call, int fused, ptrdiff_t n, ptrdiff_t f, ptrdiff_t oy,
                     ptrdiff_t ox)
{
    const enum gch_real real = call->real;
    const ptrdiff_t *k = call->kernel;
    double sum = 0;
    for (ptrdiff_t first = 0; first < call->channels; first += 16) {
        double chain = 0;
        for (ptrdiff_t c = first; c < first + 16 && c < call->channels; ++c) {
            for (ptrdiff_t kx = 0; kx < k[1]; ++kx) {
                for (ptrdiff_t ky = 0; ky < k[0]; ++ky) {
                    ptrdiff_t y, x;
                    if (!reads(call, 0, oy, ky, &y) || !reads(call, 1, ox, kx, &x)) continue;
                    const ptrdiff_t pair =
                        call->geometry.transposed ? c * call->filters + f : f * call->channels + c;
                    double weight = get(call->weight, real, (pair * k[0] + ky) * k[1] + kx);
                    if (call->channel_scale != NULL)
                        weight =
                            multiply(real, weight, get(call->channel_scale, real, n * call->channels + c));
                    const ptrdiff_t row = ((n * call->channels + c) * call->size[0] + y) * call->size[1];
                    const double input = y < 0 || x < 0 ? 0 : get(call->x, real, row + x);
                    chain = multiply_add(real, fused, weight, input, chain);
                }
            }
        }
        sum = first == 0 ? chain : add(real, sum, chain);
    }
    sum = multiply(real, sum, call->output_scale);
    return call->bias != NULL ? add(real, sum, get(call->bias, real, f)) : sum;
}

static void complain(const struct gch_conv_call *call, const char *isa, const char *what)
{
    const struct gch_conv_geometry *g = &call->geometry;
    fprintf(
        stderr,
        "%s %s: %s, x %td,%td,%td,%td, %td filters %tdx%td, transposed %d, mode %d, stride %td,%td, dilation "
        "%td,%td, pad %td,%td,%td,%td, output padding %td,%td\n",
        isa, call->real == GCH_F32 ? "f32" : "f64", what, call->images, call->channels, call->size[0],
        call->size[1], call->filters, call->kernel[0], call->kernel[1], g->transposed, g->padding_mode,
        g->stride[0], g->stride[1], g->dilation[0], g->dilation[1], g->pad[0][0], g->pad[0][1], g->pad[1][0],
        g->pad[1][1], g->output_padding[0], g->output_padding[1]);
    ++failures;
}

/* Pooled scatter of one pair of channels, two passes in double. */
static double scatter(const struct gch_conv_call *call, ptrdiff_t n, ptrdiff_t plane, int a, int b,
                      double mean[3])
{
    double sum = 0;
    for (int c = 0; c < 3; ++c) {
        mean[c] = 0;
        for (ptrdiff_t i = 0; i < plane; ++i)
            mean[c] += get(call->out, call->real, (n * 3 + c) * plane + i) / (double)plane;
    }
    for (ptrdiff_t i = 0; i < plane; ++i)
        sum += (get(call->out, call->real, (n * 3 + a) * plane + i) - mean[a]) *
               (get(call->out, call->real, (n * 3 + b) * plane + i) - mean[b]);
    return sum;
}

static void check_moments(struct gch_conv_call call, const struct gch_isa *isa, ptrdiff_t plane)
{
    static const int first[6] = {0, 0, 0, 1, 1, 2}, second[6] = {0, 1, 2, 1, 2, 2};
    struct gch_moments fused[4], alone[4];
    call.moments = fused;
    if (gch_conv(&call) != GCH_OK) complain(&call, isa->name, "moments refused");
    for (ptrdiff_t n = 0; n < call.images; ++n) {
        double mean[3];
        for (int i = 0; i < 6; ++i) {
            const double expected = scatter(&call, n, plane, first[i], second[i], mean);
            /* 1e-12 of the largest scatter: double sums of at most some thousand terms of one size. */
            if (fabs(fused[n].scatter[i] - expected) > 1e-10 + 1e-12 * fabs(expected))
                complain(&call, isa->name, "wrong scatter");
        }
        for (int c = 0; c < 3; ++c)
            if (fabs(fused[n].mean[c] - mean[c]) > 1e-11) complain(&call, isa->name, "wrong mean");
        if (fused[n].count != (double)plane || fused[n].nonfinite != 0)
            complain(&call, isa->name, "wrong count");
    }
    call.moments = alone;
    call.out = NULL;
    call.threads = 3;
    if (gch_conv(&call) != GCH_OK || memcmp(fused, alone, (size_t)call.images * sizeof *fused) != 0)
        complain(&call, isa->name, "moments depend on out or threads");
}

/* to = from, (images, planes, plane), with the planes last. */
static void put_last(enum gch_real real, ptrdiff_t images, ptrdiff_t planes, ptrdiff_t plane,
                     const void *from, void *to)
{
    for (ptrdiff_t n = 0; n < images; ++n)
        for (ptrdiff_t c = 0; c < planes; ++c)
            for (ptrdiff_t i = 0; i < plane; ++i)
                put(to, real, (n * plane + i) * planes + c, get(from, real, (n * planes + c) * plane + i));
}

/* The same bits; one NaN is as good as another. */
static int alike(enum gch_real real, const void *a, const void *b, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; ++i) {
        const double x = get(a, real, i), y = get(b, real, i);
        if (!(isnan(x) && isnan(y)) && (x != y || !signbit(x) != !signbit(y))) return 0;
    }
    return 1;
}

/* The order of the memory changes no bit: `last[0]` is x with its channels last, the others are as large as out. */
static void check_last(struct gch_conv_call call, const struct gch_isa *isa, ptrdiff_t plane,
                       void *const last[3])
{
    const ptrdiff_t count = call.images * call.filters * plane;
    const size_t bytes = (size_t)count * gch_real_size(call.real);
    const void *expected = call.out;
    put_last(call.real, call.images, call.filters, plane, expected, last[1]);
    call.x = last[0], call.out = last[2];
    call.x_last = 1;
    for (call.out_last = 0; call.out_last < 2; ++call.out_last) {
        call.threads = 1 + 2 * below(2);
        memset(call.out, 0xff, bytes);
        if (gch_conv(&call) != GCH_OK ||
            !alike(call.real, call.out, call.out_last ? last[1] : expected, count))
            complain(&call, isa->name, call.out_last ? "channels last differ" : "channels-last x differs");
    }
}

static void check_table(struct gch_conv_call call, const struct gch_isa *isa, const ptrdiff_t size[2],
                        void *again, void *const last[3])
{
    gch_dispatch_select(isa->name);
    int finite = 1;
    const ptrdiff_t plane = size[0] * size[1], count = call.images * call.filters * plane;
    const size_t bytes = (size_t)count * gch_real_size(call.real);
    memset(call.out, 0xff, bytes);
    if (gch_conv(&call) != GCH_OK) complain(&call, isa->name, "refused");
    for (ptrdiff_t i = 0; i < count; ++i) {
        const ptrdiff_t image = i / (call.filters * plane), filter = i / plane % call.filters;
        const double expected = define(&call, isa->fused, image, filter, i % plane / size[1], i % size[1]);
        const double found = get(call.out, call.real, i);
        finite &= isfinite(found) != 0;
        if (found != expected && !(isnan(found) && isnan(expected))) {
            complain(&call, isa->name, "differs from the definition");
            break;
        }
    }
    struct gch_conv_call other = call;
    other.out = again;
    other.threads = 3;
    if (gch_conv(&other) != GCH_OK || memcmp(call.out, again, bytes) != 0)
        complain(&call, isa->name, "depends on threads");
    check_last(call, isa, plane, last);
    if (call.filters == 3 && finite) check_moments(call, isa, plane);
    other.activation = (struct gch_activation){GCH_TANH, 0, 0};
    gch_activate(call.real, &other.activation, call.out, call.out, count, 1);
    if (gch_conv(&other) != GCH_OK || memcmp(call.out, again, bytes) != 0)
        complain(&call, isa->name, "fused activation differs");
}

static struct gch_conv_call draw(void)
{
    struct gch_conv_call call = {
        .real = below(3) ? GCH_F32 : GCH_F64,
        .images = ONE_OF(1, 1, 2, 3),
        .channels = ONE_OF(1, 3, 15, 16, 17, 33),
        .filters = ONE_OF(1, 2, 3, 3, 3, 4, 5),
        .output_scale = ONE_OF(0, 1) ? 1.0 : 0.375,
        .threads = 1,
    };
    struct gch_conv_geometry *g = &call.geometry;
    g->transposed = below(2);
    if (!g->transposed) g->padding_mode = (enum gch_padding_mode)ONE_OF(0, 0, 1, 2, 3);
    for (int i = 0; i < 2; ++i) {
        call.size[i] = ONE_OF(1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 33);
        call.kernel[i] = ONE_OF(1, 2, 3, 3, 4, 4, 5, 6, 7, 8);
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

/* A layer that reads each pixel at its own place: kernels of its own, which cut an image into runs of 4096 pixels. */
static void make_points(struct gch_conv_call *call)
{
    struct gch_conv_geometry *g = &call->geometry;
    for (int i = 0; i < 2; ++i) {
        call->kernel[i] = g->stride[i] = 1;
        g->pad[i][0] = g->pad[i][1] = g->output_padding[i] = 0;
    }
    if (below(3) == 0) call->size[0] = ONE_OF(64, 67), call->size[1] = ONE_OF(64, 128);
}

static int check_case(int at_end)
{
    enum { ARRAYS = 9 };
    struct gch_conv_call call = draw();
    ptrdiff_t size[2];
    const int points = below(6) == 0;
    if (points) make_points(&call);
    if (gch_conv_output_size(&call, size) != GCH_OK || size[0] * size[1] > (points ? 9000 : 4000)) return 0;
    const ptrdiff_t counts[ARRAYS] = {
        call.images * call.channels * call.size[0] * call.size[1],
        call.filters * call.channels * call.kernel[0] * call.kernel[1],
        call.filters,
        call.images * call.channels,
        call.images * call.filters * size[0] * size[1],
        call.images * call.filters * size[0] * size[1],
        call.images * call.channels * call.size[0] * call.size[1],
        call.images * call.filters * size[0] * size[1],
        call.images * call.filters * size[0] * size[1],
    };
    struct guarded array[ARRAYS];
    for (int i = 0; i < ARRAYS; ++i) {
        array[i] = guard((size_t)counts[i] * gch_real_size(call.real), at_end);
        fill(&array[i], call.real, counts[i]);
    }
    if (below(4) == 0) /* infinity and NaN, in the weights or in the pixels too */
        for (int i = below(2); i < 2; ++i)
            put(array[i].data, call.real, below((int)counts[i]), below(2) ? INFINITY : NAN);
    put_last(call.real, call.images, call.channels, call.size[0] * call.size[1], array[0].data,
             array[6].data);
    call.x = array[0].data;
    call.weight = array[1].data;
    call.bias = below(2) ? array[2].data : NULL;
    call.channel_scale = below(3) ? NULL : array[3].data;
    call.out = array[4].data;
    const struct gch_isa *tables[8];
    const int found = gch_dispatch_available(tables, 8);
    for (int i = 0; i < found; ++i)
        check_table(call, tables[i], size, array[5].data,
                    (void *const[3]){array[6].data, array[7].data, array[8].data});
    for (int i = 0; i < ARRAYS; ++i)
        release(&array[i]);
    return 1;
}

static void check_refusals(void)
{
    float x[64] = {0}, out[64];
    struct gch_conv_call good = {.images = 1,
                                 .channels = 1,
                                 .filters = 1,
                                 .size = {8, 8},
                                 .kernel = {1, 1},
                                 .x = x,
                                 .weight = x,
                                 .out = out};
    good.output_scale = 1;
    good.threads = 1;
    good.geometry.stride[0] = good.geometry.stride[1] = 1;
    good.geometry.dilation[0] = good.geometry.dilation[1] = 1;
    if (gch_conv(&good) != GCH_OK) complain(&good, "any", "a plain call is refused");
    struct gch_conv_call bad[15];
    for (int i = 0; i < 15; ++i)
        bad[i] = good;
    bad[0].channels = 0;
    bad[1].size[0] = 0;
    bad[2].kernel[1] = 9;
    bad[3].geometry.stride[0] = 0;
    bad[4].geometry.dilation[1] = -1;
    bad[5].geometry.pad[0][0] = -1;
    bad[6].geometry.pad[0][1] = 8, bad[6].geometry.padding_mode = GCH_PAD_REFLECT;
    bad[7].geometry.output_padding[0] = 1;
    bad[8].geometry.transposed = 1, bad[8].geometry.padding_mode = GCH_PAD_REPLICATE;
    bad[9].geometry.transposed = 1, bad[9].geometry.pad[1][0] = 8;
    bad[10].geometry.stride[1] = PTRDIFF_MAX;
    bad[11].kernel[0] = PTRDIFF_MAX;
    bad[12].channels = PTRDIFF_MAX / 2; /* arrays that none can have */
    bad[13].filters = PTRDIFF_MAX / 2;
    bad[14].images = PTRDIFF_MAX / 2;
    for (int i = 0; i < 15; ++i)
        if (gch_conv(&bad[i]) == GCH_OK) complain(&bad[i], "any", "accepted");
    good.images = 0;
    good.x = good.out = NULL;
    if (gch_conv(&good) != GCH_OK) complain(&good, "any", "an empty batch is refused");
}

int main(int argc, char **argv)
{
    const int cases = argc > 1 ? atoi(argv[1]) : 150;
    check_refusals();
    for (int done = 0; done < cases && failures < 10;)
        done += check_case(done % 2);
    if (failures == 0) printf("conv: %d cases, every table equals the definition to the bit\n", cases);
    return failures != 0;
}
