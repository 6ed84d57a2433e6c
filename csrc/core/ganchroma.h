/* The public header of the core: a C11 library without Python.
 *
 * Conventions. Functions that can fail return enum gch_status and leave their outputs undefined on failure.
 * Sizes and strides are ptrdiff_t, strides count elements. `threads` is the number of threads to use at most;
 * results never depend on it. Buffers may have any alignment unless it says otherwise.
 */
#ifndef GCH_GANCHROMA_H
#define GCH_GANCHROMA_H

#include "common.h"

#include <pthread.h>
#include <stdatomic.h>

#include "kernels/activation.h"
#include "kernels/color.h"
#include "kernels/frequency.h"
#include "kernels/moments.h"
#include "kernels/mt19937.h"
#include "kernels/rng.h"
#include "kernels/stats.h"

enum gch_status {
    GCH_OK = 0,
    GCH_NO_MEMORY, /* scratch could not be allocated */
    GCH_TOO_LARGE, /* a size overflows */
    GCH_BAD_VALUE, /* an argument contradicts its contract */
};

/* A sentence for people, never NULL. */
const char *gch_status_text(enum gch_status status);

/* -- runtime --------------------------------------------------------------------------------------------- */

/* Call once before anything else: registers the fork handler. */
void gch_runtime_start(void);

/* Brackets every call that computes. Entering a call of about `work` multiply-adds answers its threads: `requested`
 * divided by the calls in flight, this one among them; 1 in a child forked after start, and below a grain where a
 * second thread costs more than it saves. One function, so that no call can ask before it is counted itself. */
int gch_runtime_enter(int requested, double work);
void gch_runtime_leave(void);

/* What OpenMP would use now in the calling thread; 1 in a forked child. */
int gch_runtime_default_threads(void);
int gch_runtime_has_openmp(void);

/* Somebody who may end the calls of a thread in the midst of their work. `stop` is asked in that thread, from `due` on and
 * every 50 ms or so; once it answers otherwise than 0, whatever runs for the thread leaves the rest undone and returns
 * soon: outputs are undefined. */
struct gch_watch {
    int (*stop)(void *context);
    void *context;
    double due; /* as gch_runtime_seconds */
    pthread_t thread;
    atomic_int stopped;
};

/* From now on `watch`, or nobody, watches the calling thread, or its worker; what did so before. */
struct gch_watch *gch_runtime_watch(struct gch_watch *watch);
struct gch_watch *gch_runtime_watched(void);

/* Whether to leave the rest undone. To be asked every few milliseconds, by every worker. */
int gch_runtime_stopped(void);

/* Of a clock that never goes back. */
double gch_runtime_seconds(void);

/* Some 50 us. */
void gch_runtime_rest(void);

/* -- memory ---------------------------------------------------------------------------------------------- */

/* 64-byte aligned; NULL when there is none or count * size overflows. Release with gch_free. */
void *gch_alloc(size_t count, size_t size);
void gch_free(void *memory);

/* -- activation ------------------------------------------------------------------------------------------ */

/* y = activation(x), elementwise over `count` elements of type `real`; y may be x. */
enum gch_status gch_activate(enum gch_real real, const struct gch_activation *activation, const void *x,
                             void *y, ptrdiff_t count, int threads);

/* out = grad * activation'(x), elementwise; out may be grad or x. */
enum gch_status gch_activate_backward(enum gch_real real, const struct gch_activation *activation,
                                      const void *grad, const void *x, void *out, ptrdiff_t count,
                                      int threads);

/* -- convolutions ---------------------------------------------------------------------------------------- */

enum gch_padding_mode { GCH_PAD_ZEROS, GCH_PAD_REFLECT, GCH_PAD_REPLICATE, GCH_PAD_CIRCULAR };

/* Pairs are rows, then columns. */
struct gch_conv_geometry {
    int transposed;
    enum gch_padding_mode padding_mode; /* of a transposed layer: zeros */
    ptrdiff_t stride[2], dilation[2];
    ptrdiff_t pad[2][2]; /* before and after; of a transposed layer: the crop of its full result. Zeros
                                    after an image may be negative in number: so much of it is not needed */
    ptrdiff_t output_padding[2]; /* of a transposed layer */
};

/* out = activation(output_scale * conv(x * channel_scale, weight) + bias). All arrays are contiguous. Which order x and
 * out are in changes no bit. */
struct gch_conv_call {
    enum gch_real real;
    struct gch_conv_geometry geometry;
    ptrdiff_t images, channels, filters, size[2], kernel[2];
    int x_last, out_last; /* 1: x, out has its channels (filters) last: (images, size, channels) */
    const void *x;        /* (images, channels, size) */
    const void *weight;   /* (filters, channels, kernel); transposed: (channels, filters, kernel) */
    const void *bias;     /* (filters) or NULL */
    const void
        *channel_scale; /* (images, channels) or NULL: folded into each image's weights, rounded once */
    double output_scale;
    const void *filter_scale; /* (images, filters) or NULL: times output_scale, rounded once */
    struct gch_activation activation;
    void *out;                   /* (images, filters, output size) or NULL */
    struct gch_moments *moments; /* (images): colour moments of the result, three filters; or NULL */
    int threads;
};

/* Rows and columns of the result. GCH_BAD_VALUE if the geometry contradicts itself or nothing is left. */
enum gch_status gch_conv_output_size(const struct gch_conv_call *call, ptrdiff_t size[2]);

/* A call in steps, for those who want to stop in between: open, run every item once in any order and division,
 * finish (which completes the moments), close. The arrays must outlive the plan. close(NULL) does nothing. */
struct gch_conv_plan;
enum gch_status gch_conv_open(const struct gch_conv_call *call, struct gch_conv_plan **plan);
ptrdiff_t gch_conv_items(const struct gch_conv_plan *plan);
void gch_conv_run(struct gch_conv_plan *plan, ptrdiff_t first, ptrdiff_t last);
void gch_conv_finish(struct gch_conv_plan *plan);
void gch_conv_close(struct gch_conv_plan *plan);

/* All of that at once. */
enum gch_status gch_conv(const struct gch_conv_call *call);

/* -- gradients of a convolution --------------------------------------------------------------------------- */

/* For the gradient `output` (images, filters, output size) of output_scale * conv(x * channel_scale, weight) + bias,
 * the gradients of x, weight and bias, each as large as those; NULL: not wanted. `layer` says the rest; its bias,
 * filter_scale, activation, out and moments are not used, nor its weight where no input is wanted, nor its x where no
 * weight is. */
struct gch_conv_gradients {
    const struct gch_conv_call *layer;
    const void *output;
    void *input, *weight, *bias;
};

/* In steps, as above, but the items must be run in order. */
struct gch_conv_backward_plan;
enum gch_status gch_conv_backward_open(const struct gch_conv_gradients *gradients,
                                       struct gch_conv_backward_plan **plan);
ptrdiff_t gch_conv_backward_items(const struct gch_conv_backward_plan *plan);
void gch_conv_backward_run(struct gch_conv_backward_plan *plan, ptrdiff_t first, ptrdiff_t last);
void gch_conv_backward_close(struct gch_conv_backward_plan *plan);

/* -- colour moments -------------------------------------------------------------------------------------- */

/* into = the moments of both sets of pixels together (Chan, Golub, LeVeque 1979). */
void gch_moments_merge(struct gch_moments *into, const struct gch_moments *from);

/* Merges count > 0 sets into the first by a fixed binary tree, so that the result does not depend on who made
 * them. */
void gch_moments_tree(struct gch_moments *sets, ptrdiff_t count);

/* -- random streams -------------------------------------------------------------------------------------- */

enum gch_rng_law { GCH_RNG_UNIFORM, GCH_RNG_NORMAL };

/* Groups of the stream (kernels/rng.h) that `count` elements need. */
ptrdiff_t gch_rng_groups(enum gch_real real, ptrdiff_t count);

/* `count` elements, the first of them the first of group `group`: uniform on [a, b], or normal with mean a and
 * standard deviation b. */
enum gch_status gch_rng_fill(enum gch_real real, enum gch_rng_law law, const struct gch_rng_stream *stream,
                             ptrdiff_t group, void *out, ptrdiff_t count, double a, double b, int threads);

/* -- PyTorch's random stream ------------------------------------------------------------------------------- */

/* The bytes of torch.Generator.get_state() for the CPU. Reserved fields are kept as they come. */
struct gch_torch_state {
    uint64_t seed;
    int32_t left;   /* 1 + how many of the words from `next` on are unused */
    int32_t seeded; /* 1 */
    uint64_t next;
    uint64_t words[GCH_MT19937_WORDS]; /* 32 bits each */
    double reserved_x, second_normal, reserved_rho;
    int32_t second_normal_is_kept;
    int32_t reserved;
    float second_normal_f32;
    uint8_t second_normal_f32_is_kept, padding[3];
};

void gch_torch_seed(struct gch_torch_state *state, uint64_t seed);

/* `count` uniform elements on [low, high]; the state moves on. GCH_BAD_VALUE if it is no valid one. */
enum gch_status gch_torch_uniform(enum gch_real real, enum gch_torch_capability capability,
                                  struct gch_torch_state *state, void *out, ptrdiff_t count, double low,
                                  double high);

/* `count` normal elements; otherwise as above. Fewer than 16 are made one by one in double, and the second of
 * each pair waits in the state for the next such call. Of 16 or more, a multiple of 16 may be made first and the
 * others, 16 or more, by another call. */
enum gch_status gch_torch_normal(enum gch_real real, enum gch_torch_capability capability,
                                 struct gch_torch_state *state, void *out, ptrdiff_t count, double mean,
                                 double std, int threads);

/* Steps first <= i < last of the shuffle of `count` numbers; step 0 begins with 0, 1, 2 ... All `count` steps make
 * torch.randperm(count). */
enum gch_status gch_torch_shuffle(struct gch_torch_state *state, int64_t *order, ptrdiff_t count,
                                  ptrdiff_t first, ptrdiff_t last);

/* -- spectral norm --------------------------------------------------------------------------------------- */

enum { GCH_SPECTRAL_ROWS = 4 };

/* The largest singular value of a C-contiguous matrix of 1 to GCH_SPECTRAL_ROWS rows: the root of the largest
 * eigenvalue of its Gram matrix, both in double. NaN if an element is not finite or a square overflows. */
enum gch_status gch_spectral_sigma(enum gch_real real, const void *matrix, ptrdiff_t rows, ptrdiff_t columns,
                                   double *sigma);

/* One step of the power method for a rows x columns matrix W, on u (rows) and v (columns) in place. u_first: u = W v,
 * then v = W^T u; otherwise v, then u. Each is divided by max(its norm, eps). `scratch`: rows + columns doubles. */
void gch_spectral_step(enum gch_real real, const void *matrix, ptrdiff_t rows, ptrdiff_t columns, void *u,
                       void *v, int u_first, double eps, double *scratch, int threads);

/* u . W v, summed in double; `scratch` as above. */
double gch_spectral_bilinear(enum gch_real real, const void *matrix, ptrdiff_t rows, ptrdiff_t columns,
                             const void *u, const void *v, double *scratch, int threads);

/* -- orthonormal rows ------------------------------------------------------------------------------------- */

/* Rows `first` to `last` - 1 of a matrix of doubles, made orthogonal to each other and to those before, which are
 * orthonormal, and of length 1, by modified Gram-Schmidt. A row that is zero then stays zero. `shortest`: lowered to the
 * length of the shortest before the division. */
void gch_orthonormalize(double *matrix, ptrdiff_t columns, ptrdiff_t first, ptrdiff_t last, double *shortest);

/* -- frequency response ---------------------------------------------------------------------------------- */

/* The Gram matrices of `rows` filters (rows, kernel, channels), double: gram[dy][dx + kernel[1] - 1][a][b], for dy from 0
 * and dx from 1 - kernel[1], is the sum over taps t of filter a at t + (dy, dx) times filter b at t. Items are
 * offsets: kernel[0] * (2 kernel[1] - 1) of them, in any order and division. */
struct gch_frequency_filters {
    ptrdiff_t rows, kernel[2], channels;
    const double *filters;
    double *gram;
    int threads;
};
void gch_frequency_gram(const struct gch_frequency_filters *filters, ptrdiff_t first, ptrdiff_t last);

/* Singular values of the transfer matrix (1 to GCH_FREQUENCY_ROWS filters by any number of channels) whose product
 * with its adjoint at the frequency w is the sum over all offsets d of gram[d] exp(i w d). Frequencies are in turns,
 * 2 pi to the turn: a line of them has one vertical frequency, and `columns` horizontal ones. */
struct gch_frequency_call {
    ptrdiff_t rows, reach[2]; /* kernel - 1 */
    const double *gram;
    ptrdiff_t lines, columns;
    const double *line_turns;   /* (lines) */
    const double *column_turns; /* (columns), or (lines, columns) where each line has its own */
    int own_columns;
    /* 0, or the lines of a real layer's whole grid: the first `lines` = height / 2 + 1 of it are computed, and column x
     * of line y is written to column -x of line -y as well, its vector conjugated. */
    ptrdiff_t height;
    double *peaks;  /* (lines, 2): the largest value of each line and its first column. Or NULL, and then */
    ptrdiff_t keep; /* how many of the values are wanted, from the largest */
    double *values; /* (height or lines, columns, keep), descending */
    double *
        vectors; /* (height or lines, columns, rows, 2): the left vector of the largest, in the phase in which its
                        real part is longest and the sum of that not negative; or NULL */
    int threads;
};

/* In steps: open, run every line once in any order and division, close. The arrays must outlive the plan. */
struct gch_frequency_plan;
enum gch_status gch_frequency_open(const struct gch_frequency_call *call, struct gch_frequency_plan **plan);
void gch_frequency_run(struct gch_frequency_plan *plan, ptrdiff_t first, ptrdiff_t last);
void gch_frequency_close(struct gch_frequency_plan *plan);

/* -- images ---------------------------------------------------------------------------------------------- */

enum gch_pixel { GCH_PIXEL_U8, GCH_PIXEL_F32, GCH_PIXEL_F64 };

/* `count` RGB images. Strides are in bytes (image, channel, row, column), may be negative, and keep elements
 * aligned. */
struct gch_images {
    enum gch_pixel pixel;
    char *data; /* written to only where a function says so */
    ptrdiff_t count, height, width;
    ptrdiff_t stride[4];
};

/* -- colour ---------------------------------------------------------------------------------------------- */

enum gch_space { GCH_LAB, GCH_HSV };

/* out = rgb in another space. Both have the same floating type and size. */
enum gch_status gch_color_convert(enum gch_space space, const struct gch_range *range,
                                  const struct gch_images *rgb, const struct gch_images *out, int threads);

/* moments[i] = those of image i, or of its |R - G|, |(R + G) / 2 - B|, 0 where `opponent`. Bytes are read as
 * 0..255; unless `opponent` theirs are added as integers and rounded at the end. The others, row by row, are cut into
 * chunks of a fixed size and merged by gch_moments_tree. */
enum gch_status gch_color_moments(const struct gch_images *images, int opponent, struct gch_moments *moments,
                                  int threads);

/* out (bytes, same size) = the levels of floating images. */
enum gch_status gch_color_quantize(const struct gch_range *range, enum gch_rule rule,
                                   const struct gch_images *images, const struct gch_images *out,
                                   int threads);

/* -- statistics ------------------------------------------------------------------------------------------ */

/* One image in 8-bit levels, in integers: the order in which images are added never matters. */
struct gch_level_record {
    struct gch_level_sums sums;
    int64_t within[6],
        within_fraction[6];  /* scatter about the image's own mean: whole, and the rest in 2^-32 */
    int64_t colorfulness[2]; /* M3 by the paper and its variant, in 2^-32 */
};

/* records[i], extremes[i] = those of image i. The extremes are of the values before quantisation. Bytes are
 * their own levels; range and rule are then unused. Chroma is measured at one pixel of `every`, and its sum scaled
 * to all; where `every` is 0 nothing is counted but sums and products, and what follows from them. An image may have
 * up to 2^36 pixels. */
enum gch_status gch_stats_levels(const struct gch_range *range, enum gch_rule rule,
                                 const struct gch_images *images, struct gch_level_record *records,
                                 ptrdiff_t every, struct gch_value_extremes *extremes, int threads);

/* sums (3, height, width) += the images i with use[i], at every position: bytes as they are, floating values
 * as (v - low) / (high - low) in 2^-32, limited to +-256 ranges. */
enum gch_status gch_stats_positions(const struct gch_range *range, const struct gch_images *images,
                                    const uint8_t *use, int64_t *sums, int threads);

#endif
