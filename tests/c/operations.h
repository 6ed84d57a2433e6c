/* Every public operation of the core once or in a few forms, small: what is swept over failures and instruction sets.
 */
#ifndef GCH_TESTS_OPERATIONS_H
#define GCH_TESTS_OPERATIONS_H

#include "check.h"

#include "core/ganchroma.h"

enum { OUT_BYTES = 1 << 19, IN_COUNT = 1 << 16 };

static double in_f64[IN_COUNT];
static float in_f32[IN_COUNT];
static uint8_t in_u8[IN_COUNT];
static unsigned char out_memory[OUT_BYTES] GCH_ALIGNED;

static const void *input(enum gch_real real, int from)
{
    return real == GCH_F32 ? (const void *)(in_f32 + from) : (const void *)(in_f64 + from);
}

static void fill_inputs(void)
{
    for (int i = 0; i < IN_COUNT; ++i) {
        in_f64[i] = check_random();
        in_f32[i] = (float)in_f64[i];
        in_u8[i] = (uint8_t)(128 + 127 * in_f64[i]);
    }
}

/* -- convolutions: what decides which scratch is allocated ---------------------------------------------------- */

struct conv_form {
    const char *name;
    int transposed, channels, filters, size, kernel, stride, pad, x_last, out_last, scaled, moments, no_out;
    enum gch_padding_mode mode;
};

static const struct conv_form conv_forms[] = {
    {"3x3", 0, 17, 3, 18, 3, 1, 1, 0, 0, 0, 0, 0, GCH_PAD_ZEROS},
    {"3x3 scaled", 0, 17, 3, 18, 3, 1, 1, 0, 0, 1, 0, 0, GCH_PAD_ZEROS},
    {"3x3 last", 0, 17, 3, 18, 3, 1, 1, 1, 1, 0, 0, 0, GCH_PAD_ZEROS},
    {"7x7 reflect", 0, 3, 3, 33, 7, 1, 3, 0, 0, 0, 0, 0, GCH_PAD_REFLECT},
    {"7x7 reflect last", 0, 3, 3, 33, 7, 1, 3, 1, 0, 0, 0, 0, GCH_PAD_REFLECT},
    {"3x3 circular moments", 0, 3, 3, 18, 3, 1, 1, 0, 0, 0, 1, 0, GCH_PAD_CIRCULAR},
    {"3x3 moments alone", 0, 3, 3, 18, 3, 1, 1, 0, 0, 0, 1, 1, GCH_PAD_ZEROS},
    {"4x4 stride 2", 0, 3, 6, 18, 4, 2, 1, 0, 0, 0, 0, 0, GCH_PAD_ZEROS},
    {"4x4 stride 3 replicate", 0, 3, 2, 18, 4, 3, 1, 1, 1, 1, 0, 0, GCH_PAD_REPLICATE},
    {"1x1", 0, 17, 3, 18, 1, 1, 0, 0, 0, 0, 0, 0, GCH_PAD_ZEROS},
    {"1x1 last", 0, 17, 3, 18, 1, 1, 0, 1, 1, 1, 1, 0, GCH_PAD_ZEROS},
    {"transposed 4/2/1", 1, 17, 3, 12, 4, 2, 1, 0, 0, 0, 0, 0, GCH_PAD_ZEROS},
    {"transposed 4/2/1 last", 1, 17, 3, 12, 4, 2, 1, 1, 1, 1, 1, 0, GCH_PAD_ZEROS},
    {"transposed 5/3/0", 1, 5, 7, 8, 5, 3, 0, 0, 0, 0, 0, 0, GCH_PAD_ZEROS},
};
enum { CONV_FORMS = sizeof conv_forms / sizeof *conv_forms };

static struct gch_conv_call conv_call(const struct conv_form *form, enum gch_real real, int threads)
{
    struct gch_conv_call call = {
        .real = real,
        .geometry = {.transposed = form->transposed, .padding_mode = form->mode},
        .images = 2,
        .channels = form->channels,
        .filters = form->filters,
        .x_last = form->x_last,
        .out_last = form->out_last,
        .x = input(real, 0),
        .weight = input(real, 30000),
        .bias = input(real, 40000),
        .channel_scale = form->scaled ? input(real, 41000) : NULL,
        .output_scale = 0.75,
        .activation = {GCH_TANH, 0, 0},
        .out = form->no_out ? NULL : out_memory,
        .moments = form->moments ? (struct gch_moments *)(void *)(out_memory + OUT_BYTES / 2) : NULL,
        .threads = threads,
    };
    for (int i = 0; i < 2; ++i) {
        call.size[i] = form->size, call.kernel[i] = form->kernel;
        call.geometry.stride[i] = form->stride, call.geometry.dilation[i] = 1;
        call.geometry.pad[i][0] = call.geometry.pad[i][1] = form->pad;
    }
    return call;
}

static enum gch_status do_conv(enum gch_real real, int which, int threads)
{
    struct gch_conv_call call = conv_call(&conv_forms[which], real, threads);
    return gch_conv(&call);
}

static enum gch_status do_conv_backward(enum gch_real real, int which, int threads)
{
    struct gch_conv_call call = conv_call(&conv_forms[which], real, threads);
    struct gch_conv_gradients gradients = {
        .layer = &call,
        .output = input(real, 8000),
        .input = out_memory,
        .weight = out_memory + OUT_BYTES / 2,
        .bias = out_memory + OUT_BYTES / 4 * 3,
    };
    struct gch_conv_backward_plan *plan;
    call.x_last = call.out_last = 0, call.moments = NULL; /* all contiguous, and images alone */
    enum gch_status status = gch_conv_backward_open(&gradients, &plan);
    if (status != GCH_OK) return status;
    gch_conv_backward_run(plan, 0, gch_conv_backward_items(plan));
    gch_conv_backward_close(plan);
    return GCH_OK;
}

/* -- everything else ------------------------------------------------------------------------------------------- */

static enum gch_status do_activate(enum gch_real real, int kind, int threads)
{
    const struct gch_activation activation = {(enum gch_activation_kind)kind, -0.5, 0.25};
    return gch_activate(real, &activation, input(real, 0), out_memory, 40000, threads);
}

static enum gch_status do_activate_backward(enum gch_real real, int kind, int threads)
{
    const struct gch_activation activation = {(enum gch_activation_kind)kind, -0.5, 0.25};
    return gch_activate_backward(real, &activation, input(real, 0), input(real, 100), out_memory, 40000,
                                 threads);
}

static enum gch_status do_rng(enum gch_real real, int law, int threads)
{
    const struct gch_rng_stream stream = {1234567890123u, 7};
    return gch_rng_fill(real, (enum gch_rng_law)law, &stream, 3, out_memory, 50001, -1.5, 2.5, threads);
}

static enum gch_status do_torch(enum gch_real real, int what, int threads)
{
    struct gch_torch_state *state =
        (struct gch_torch_state *)(void *)(out_memory + OUT_BYTES - sizeof *state);
    gch_torch_seed(state, 5);
    if (what == 0) return gch_torch_uniform(real, GCH_TORCH_AVX2, state, out_memory, 5001, -1, 1);
    if (what == 1) return gch_torch_normal(real, GCH_TORCH_AVX2, state, out_memory, 50001, 0, 1, threads);
    return gch_torch_shuffle(state, (int64_t *)(void *)out_memory, 5001, 0, 5001);
}

static enum gch_status do_spectral(enum gch_real real, int what, int threads)
{
    double *out = (double *)(void *)out_memory, *scratch = out + 10000;
    if (what == 0) return gch_spectral_sigma(real, input(real, 0), 3, 5001, out);
    void *u = out + 1, *v = out + 100;
    memcpy(u, input(real, 0), 7 * gch_real_size(real));
    memcpy(v, input(real, 100), 5001 * gch_real_size(real));
    gch_spectral_step(real, input(real, 0), 7, 5001, u, v, what - 1, 1e-12, scratch, threads);
    out[0] = gch_spectral_bilinear(real, input(real, 0), 7, 5001, u, v, scratch, threads);
    return GCH_OK;
}

static enum gch_status do_orthonormalize(enum gch_real real, int what, int threads)
{
    double *out = (double *)(void *)out_memory;
    (void)real, (void)what, (void)threads;
    memcpy(out + 1, in_f64, 12 * 301 * sizeof *out);
    out[0] = INFINITY;
    gch_orthonormalize(out + 1, 301, 0, 12, out);
    return GCH_OK;
}

/* Three colours of filters of 3 x 3 taps: values, with vectors, with columns for each line, peaks. */
static enum gch_status do_frequency(enum gch_real real, int what, int threads)
{
    double *gram = (double *)(void *)(out_memory + OUT_BYTES / 2);
    const struct gch_frequency_filters filters = {3, {3, 3}, 20, in_f64, gram, threads};
    (void)real;
    gch_frequency_gram(&filters, 0, 3 * 5);
    struct gch_frequency_call call = {
        .rows = 3,
        .reach = {2, 2},
        .gram = gram,
        .lines = 9,
        .columns = 17,
        .line_turns = in_f64,
        .column_turns = in_f64 + 100,
        .own_columns = what == 2,
        .height = what == 1 ? 16 : 0,
        .keep = what == 2 ? 1 : 3,
        .values = (double *)(void *)out_memory,
        .threads = threads,
    };
    if (what == 1) call.vectors = call.values + 16 * 17 * 3;
    if (what == 3) call.peaks = call.values;
    struct gch_frequency_plan *plan;
    enum gch_status status = gch_frequency_open(&call, &plan);
    if (status != GCH_OK) return status;
    gch_frequency_run(plan, 0, call.lines);
    gch_frequency_close(plan);
    return GCH_OK;
}

static struct gch_images images_of(enum gch_pixel pixel, const void *data, int last)
{
    static const ptrdiff_t size[] = {1, sizeof(float), sizeof(double)};
    struct gch_images images = {pixel, (char *)(size_t)data, 2, 70, 75, {0}};
    const ptrdiff_t each = size[pixel], plane = 70 * 75;
    images.stride[0] = 3 * plane * each;
    images.stride[1] = last ? each : plane * each;
    images.stride[3] = last ? 3 * each : each;
    images.stride[2] = 75 * images.stride[3];
    return images;
}

static const struct gch_range range_of_inputs = {-1, 1};

static enum gch_pixel pixel_of(enum gch_real real) { return real == GCH_F32 ? GCH_PIXEL_F32 : GCH_PIXEL_F64; }

static enum gch_status do_color(enum gch_real real, int what, int threads)
{
    const enum gch_pixel pixel = pixel_of(real);
    const struct gch_images images = images_of(pixel, input(real, 0), what & 1);
    const struct gch_images bytes = images_of(GCH_PIXEL_U8, in_u8, what & 1);
    const int to_bytes = what / 2 == 2;
    const struct gch_images out = images_of(to_bytes ? GCH_PIXEL_U8 : pixel, out_memory, 0);
    struct gch_moments *moments = (struct gch_moments *)(void *)out_memory;
    if (what / 2 < 2)
        return gch_color_convert(what / 2 ? GCH_HSV : GCH_LAB, &range_of_inputs, &images, &out, threads);
    if (to_bytes) return gch_color_quantize(&range_of_inputs, GCH_RULE_ROUND, &images, &out, threads);
    return gch_color_moments(what / 2 == 3 ? &images : &bytes, what & 1, moments, threads);
}

static enum gch_status do_stats(enum gch_real real, int what, int threads)
{
    const struct gch_images some[] = {images_of(pixel_of(real), input(real, 0), 0),
                                      images_of(GCH_PIXEL_U8, in_u8, 1)};
    const struct gch_images *images = &some[what & 1];
    if (what < 2)
        return gch_stats_levels(&range_of_inputs, GCH_RULE_FLOOR, images,
                                (struct gch_level_record *)(void *)out_memory, 1 + 2 * (ptrdiff_t)what,
                                (struct gch_value_extremes *)(void *)(out_memory + OUT_BYTES / 2), threads);
    const uint8_t use[2] = {1, 1};
    return gch_stats_positions(&range_of_inputs, images, use, (int64_t *)(void *)out_memory, threads);
}

/* `exact`: the same bits on every set, not on those alone that fuse. */
static const struct operation {
    const char *name;
    enum gch_status (*run)(enum gch_real real, int form, int threads);
    int forms, exact;
} operations[] = {
    {"conv", do_conv, CONV_FORMS, 0},
    {"conv_backward", do_conv_backward, CONV_FORMS, 0},
    {"activate", do_activate, GCH_CLAMP + 1, 0},
    {"activate_backward", do_activate_backward, GCH_CLAMP + 1, 0},
    {"rng", do_rng, 2, 1},
    {"torch stream", do_torch, 3, 1},
    {"spectral", do_spectral, 3, 0},
    {"orthonormalize", do_orthonormalize, 1, 0},
    {"frequency", do_frequency, 4, 0},
    {"color", do_color, 10, 0},
    {"stats", do_stats, 4, 1},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

#endif
