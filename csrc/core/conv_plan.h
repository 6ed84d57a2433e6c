/* How a layer is cut into strips: shared by the files that plan and the file that runs.
 *
 * Along each axis the output is dealt out to phases, output o = q * phases + p being position q of phase p.
 * Within a phase, tap t reads input q * stride + first + t * pitch. A convolution has one phase; a transposed
 * one has as many as its stride, each a correlation of unit stride with the kernel's taps tap, tap +
 * tap_pitch, ...
 */
#ifndef GCH_CORE_CONV_PLAN_H
#define GCH_CORE_CONV_PLAN_H

#include "core/ganchroma.h"
#include "cpu/dispatch.h"

/* Pixels at a time where points are added: their sums stay in the first-level cache; of channels-last memory their
 * planes do too. */
enum { GCH_CONV_RUN = 4096, GCH_CONV_LAST_RUN = 128 };

/* Multiply-adds, some milliseconds of them, after which a worker asks whether the call is stopped. */
enum { GCH_CONV_WATCHED = 1 << 25 };

struct gch_conv_phase {
    ptrdiff_t count; /* positions */
    ptrdiff_t taps, tap, first;
};

struct gch_conv_axis {
    ptrdiff_t phases, stride, pitch, tap_pitch;
    ptrdiff_t output;
    struct gch_conv_phase *phase;
};

/* Output columns begin <= x < end, read from the input itself or from a staged copy that holds padding or the
 * columns of a stride in separate runs. */
struct gch_conv_segment {
    ptrdiff_t begin, end;
    int staged;
    ptrdiff_t length;             /* staged: elements of a row */
    ptrdiff_t *index;             /* staged: the input column of each, or -1 for a zero */
    ptrdiff_t *offset;            /* staged: per kx */
    struct gch_conv_stage *stage; /* staged: how to copy each run of a row */
    ptrdiff_t runs;
    size_t at; /* staged: where the worker's copy begins, in elements */
};

struct gch_conv_worker {
    char *sum;        /* [row phase][column phase][filter][row][column] of a band */
    char *staged;     /* [segment][channel][row][column] of a band and a block */
    char *packed;     /* weights of one image, where channel_scale makes them differ */
    char *planes;     /* [channel][row][column] of a block: what a band reads of channels-last input, and
                         GCH_CONV_COLUMNS on either side */
    char *line;       /* one output row of each filter, where there is no out or its filters are last */
    char *chain;      /* points: what a block has summed so far, of a run */
    const void **row; /* the tables of a strip */
    ptrdiff_t *step;
    ptrdiff_t image; /* whose weights are packed; -1: none */
    int finite;      /* whether those weights are */
    ptrdiff_t since; /* multiply-adds since it was asked whether the call is stopped */
    int stopped;
};

struct gch_conv_plan {
    struct gch_conv_call call;
    const struct gch_conv_kernels *kernels;
    const struct gch_moments_kernels *moments;
    struct gch_conv_axis axis[2];
    ptrdiff_t *offset;  /* direct column offsets: phase p, kx at [p * kernel columns + kx] */
    ptrdiff_t *weights; /* where the weights of phase pair (py, px) begin, in elements: [py * phases + px] */
    size_t packed_size; /* elements of all packed weights of an image */
    struct gch_conv_segment segment[3];
    int segments;
    int points;            /* every output reads one input, at its own place: rows mean nothing */
    int direct;            /* sums are the result, and are written where it belongs */
    int streamed;          /* ... past the caches */
    int paired;            /* both column phases of a stride of two in one kernel */
    ptrdiff_t band, bands; /* positions along the rows in a band, bands of an image */
    ptrdiff_t staged_rows; /* rows of the copies of a band: staged segments and planes */
    ptrdiff_t *staged_row; /* the padded row of each, from the band's first position times the stride */
    ptrdiff_t lowest;      /* of these */
    int apart;             /* copied: the rows of each position by themselves, one per tap */
    ptrdiff_t planes_row, planes_step; /* elements to the next row and the next channel of the planes */
    ptrdiff_t sum_row, sum_filter;     /* elements */
    struct gch_moments *row_moments;   /* [image][output row] or NULL */
    char *packed;                      /* shared weights, where there is no channel_scale */
    int filled;      /* whether they are there: many of them take their time, which is the run's */
    int finite;      /* whether they are */
    char *zeros;     /* a row of zeros, and GCH_CONV_COLUMNS on either side */
    ptrdiff_t piece; /* columns of a strip at a time: more of so many taps could not be stopped soon enough */
    struct gch_conv_worker *worker;
    int workers;
    size_t taken; /* bytes of the memory behind the plan */
} GCH_ALIGNED;

/* As gch_alloc, until gch_conv_close. */
void *gch_conv_take(struct gch_conv_plan *plan, size_t count, size_t size);

/* Fill plan->axis[which] (phases allocated). */
enum gch_status gch_conv_plan_axis(struct gch_conv_plan *plan, int which);
enum gch_status gch_conv_transpose_plan_axis(struct gch_conv_plan *plan, int which);

/* The output size along one axis; GCH_BAD_VALUE if the axis contradicts itself or nothing is left. */
enum gch_status gch_conv_axis_size(const struct gch_conv_call *call, int which, ptrdiff_t *size);
enum gch_status gch_conv_transpose_axis_size(const struct gch_conv_call *call, int which, ptrdiff_t *size);

/* The input position that a padded one stands for, or -1 for a zero. */
ptrdiff_t gch_conv_pad_index(enum gch_padding_mode mode, ptrdiff_t index, ptrdiff_t size);

/* Weights of one image in the order of the strips; whether all are finite. */
int gch_conv_pack_weights(const struct gch_conv_plan *plan, ptrdiff_t image, char *packed);

/* Of a band's copies, the row that a tap of a phase reads at its position `below`. */
ptrdiff_t gch_conv_staged_row(const struct gch_conv_plan *plan, const struct gch_conv_phase *phase,
                              ptrdiff_t below, ptrdiff_t tap);

/* Where every output reads one input, the sums of rows from <= row < to of an image. */
void gch_conv_run_points(const struct gch_conv_plan *plan, struct gch_conv_worker *worker, ptrdiff_t image,
                         ptrdiff_t from, ptrdiff_t to, const char *packed);

/* After `work` multiply-adds of a worker: whether it must leave the rest undone. */
static inline int gch_conv_stopped(struct gch_conv_worker *worker, ptrdiff_t work)
{
    worker->since += work;
    if (worker->since >= GCH_CONV_WATCHED) {
        worker->since = 0;
        worker->stopped = gch_runtime_stopped();
    }
    return worker->stopped;
}

/* One item of work. */
void gch_conv_run_item(struct gch_conv_plan *plan, ptrdiff_t index, struct gch_conv_worker *worker);

#endif
