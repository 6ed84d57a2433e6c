/* Random streams from any state, activations of any bits, matrices and frequencies of any values. */
#include "fuzz.h"

static void torch(struct bytes *in, enum gch_real real)
{
    const ptrdiff_t count = take_between(in, 0, 250) * take_between(in, 0, 8);
    const int what = (int)take_between(in, 0, 3), threads = (int)take_between(in, 1, 3);
    const enum gch_torch_capability capability = take_byte(in) & 1 ? GCH_TORCH_AVX2 : GCH_TORCH_DEFAULT;
    struct gch_torch_state state;
    gch_torch_seed(&state, 3);
    if (take_byte(in) & 1) { /* what a file may hold in their place */
        take(in, &state.left, sizeof state.left);
        take(in, &state.seeded, sizeof state.seeded);
        take(in, &state.next, sizeof state.next);
        state.second_normal = take_double(in), state.second_normal_is_kept = take_byte(in);
    }
    const double a = take_double(in), b = take_double(in);
    void *out = take_array(in, count, sizeof(double));
    if (what == 0) gch_torch_uniform(real, capability, &state, out, count, a, b);
    if (what == 1) gch_torch_normal(real, capability, &state, out, count, a, b, threads);
    if (what == 2) gch_torch_shuffle(&state, out, count, 0, count);
    const struct gch_rng_stream stream = {(uint64_t)take_any(in), (uint64_t)take_any(in)};
    if (what == 3)
        gch_rng_fill(real, take_byte(in) & 1 ? GCH_RNG_UNIFORM : GCH_RNG_NORMAL, &stream, take_any(in), out,
                     count, a, b, threads);
    free(out);
}

static void activate(struct bytes *in, enum gch_real real)
{
    const struct gch_activation activation = {(enum gch_activation_kind)take_between(in, 0, 5),
                                              take_double(in), take_double(in)};
    const ptrdiff_t count = take_between(in, 0, 255);
    void *x = take_array(in, count, gch_real_size(real)), *grad = take_array(in, count, gch_real_size(real));
    void *out = take_array(in, count, gch_real_size(real));
    gch_activate(real, &activation, x, out, count, 2);
    gch_activate_backward(real, &activation, grad, x, out, count, 2);
    free(x), free(grad), free(out);
}

static void spectral(struct bytes *in, enum gch_real real)
{
    const ptrdiff_t rows = take_between(in, 1, 9), columns = take_between(in, 1, 200);
    double sigma, *scratch = take_array(in, rows + columns, sizeof *scratch);
    void *matrix = take_array(in, rows * columns, gch_real_size(real));
    void *u = take_array(in, rows, gch_real_size(real)), *v = take_array(in, columns, gch_real_size(real));
    gch_spectral_sigma(real, matrix, rows, columns, &sigma);
    gch_spectral_step(real, matrix, rows, columns, u, v, take_byte(in) & 1, 1e-12, scratch, 2);
    gch_spectral_bilinear(real, matrix, rows, columns, u, v, scratch, 2);
    double *own = take_array(in, rows * columns, sizeof *own);
    gch_orthonormalize(own, columns, 0, rows, &sigma);
    free(scratch), free(matrix), free(u), free(v), free(own);
}

static void frequency(struct bytes *in)
{
    struct gch_frequency_call call = {.rows = take_between(in, 1, 16),
                                      .threads = (int)take_between(in, 1, 3)};
    call.reach[0] = take_between(in, 0, 4), call.reach[1] = take_between(in, 0, 4);
    call.columns = take_between(in, 1, 30), call.height = take_byte(in) & 1 ? take_between(in, 1, 20) : 0;
    call.lines = call.height ? call.height / 2 + 1 : take_between(in, 0, 12);
    call.own_columns = take_byte(in) & 1, call.keep = take_between(in, 1, call.rows);
    const ptrdiff_t high = call.height ? call.height : call.lines, offsets = 2 * call.reach[1] + 1;
    const uint8_t want = take_byte(in);
    double *gram = take_array(in, (call.reach[0] + 1) * offsets * call.rows * call.rows, sizeof *gram);
    double *turns =
        take_array(in, call.lines + (call.own_columns ? call.lines : 1) * call.columns, sizeof *turns);
    double *peaks = take_array(in, 2 * call.lines, sizeof *peaks);
    double *values = take_array(in, high * call.columns * call.keep, sizeof *values);
    double *vectors = take_array(in, high * call.columns * call.rows * 2, sizeof *vectors);
    call.gram = gram, call.line_turns = turns, call.column_turns = turns + call.lines;
    call.values = values, call.vectors = want & 1 ? vectors : NULL, call.peaks = want & 2 ? peaks : NULL;
    struct gch_frequency_plan *plan;
    if (gch_frequency_open(&call, &plan) == GCH_OK) {
        gch_frequency_run(plan, 0, call.lines);
        gch_frequency_close(plan);
    }
    free(gram), free(turns), free(peaks), free(values), free(vectors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {data, size};
    take_isa(&in);
    const enum gch_real real = take_byte(&in) & 1 ? GCH_F64 : GCH_F32;
    switch (take_byte(&in) % 4) {
    case 0:
        torch(&in, real);
        break;
    case 1:
        activate(&in, real);
        break;
    case 2:
        spectral(&in, real);
        break;
    default:
        frequency(&in);
    }
    return 0;
}
