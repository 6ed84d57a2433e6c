/* Sums of products along rows: the arithmetic of every convolution and transposed convolution. SERIAL.
 *
 * All of them are correlations with unit column stride: the caller splits a strided or a transposed layer
 * into phases and names, for each tap, the input row and the column offset it reads.
 *
 * Order of accumulation: a block of at most GCH_CONV_BLOCK channels is one chain of multiply-adds from zero
 * in the order channel, kx, ky; blocks are added to each other in order. Nothing else decides the bits.
 *
 * Accuracy: of standard normal floats, 64 channels, the error's root mean square is below 6e-7 of the result's
 * for 7 x 7 taps, below 2e-7 for a transposed 4 x 4 at stride 2. Without fused multiply-adds (the scalar table on
 * x86) every product is rounded too: the error keeps within the same bounds, the bits differ by an rms below
 * 2.6e-7 and 1.5e-7 of the result's.
 */
#ifndef GCH_KERNELS_CONV_H
#define GCH_KERNELS_CONV_H

#include "common.h"
#include "kernels/activation.h"

enum {
    GCH_CONV_BLOCK = 16,  /* channels that share one chain */
    GCH_CONV_ROWS = 4,    /* output rows of a strip */
    GCH_CONV_FILTERS = 4, /* filters of a group, at most */
    GCH_CONV_PAIR_FILTERS = 3,
    GCH_CONV_PAIR_TAPS = 3,
    GCH_CONV_PAIR_COLUMNS = 8,
    GCH_CONV_COLUMNS = 16, /* rows of sums are padded to a multiple: every vector width divides it */
    GCH_CONV_PRODUCT_COLUMNS = 512,
    GCH_CONV_PRODUCT_CHAIN = 64,
};

/* One block of channels, one group of filters, GCH_CONV_ROWS output rows. */
struct gch_conv_strip {
    /* Where input rows begin, at the block's first channel. Dense: output row r and tap ky read row[r + ky].
     * Otherwise: row[ky * GCH_CONV_ROWS + r]. No row may be missing; rows of no interest may be a row of
     * zeros. */
    const void *const *row;
    const ptrdiff_t *step;   /* per row: elements to the same row of the next channel; 0 for a shared row */
    const ptrdiff_t *offset; /* per kx: output column x reads input column x + offset[kx] */
    ptrdiff_t width;         /* input columns outside 0 <= column < width count as zero */
    int amid; /* whether GCH_CONV_COLUMNS elements on either side of a row may be read; else none is */
    const void *weight; /* packed [channel][kx][ky][filter] */
    void *
        sum; /* output row r, filter f, column x: sum[r * sum_row + f * sum_filter + x]; aligned where streamed */
    ptrdiff_t sum_row, sum_filter;
    ptrdiff_t begin,
        end; /* output columns, from a multiple of GCH_CONV_COLUMNS; sums are written to the next */
    int dense, channels, filters, kh, kw;
    int add;    /* 0: store the sums of the first block; 1: add those of a later one */
    int stream; /* 1: sums pass the caches by, where a vector is a whole line; see settle */
    int skip;   /* 1: columns outside and shared rows add nothing at all: zero times infinity would be NaN */
    const void *next; /* prefetch: where a run of each channel begins, of which column x fetches ... */
    ptrdiff_t next_step, ahead; /* ... a part: elements to the next channel, elements per GCH_CONV_COLUMNS */
};

/* Two column phases at once, where registers suffice: `strip` as for the first phase, but its offsets and kw
 * are the input columns that either phase reads, in the order of both phases' taps. filters <=
 * GCH_CONV_PAIR_FILTERS, kh <= GCH_CONV_PAIR_TAPS, kw <= GCH_CONV_PAIR_COLUMNS, dense. */
struct gch_conv_pair {
    struct gch_conv_strip strip;
    const void *weight;                       /* of the second phase */
    void *sum;                                /* of the second phase */
    unsigned char use[GCH_CONV_PAIR_COLUMNS]; /* per offset: 1 the first phase, 2 the second, 3 both */
};

/* A run of pixels of a layer that reads each at its own place (one tap, no padding): one block of channels, one group of
 * filters. */
struct gch_conv_points {
    const void *x;      /* the block's first channel, (count) */
    ptrdiff_t step;     /* elements to the next channel */
    const void *weight; /* packed [channel][filter] */
    void *chain;        /* scratch, like sum; aligned */
    void
        *sum; /* filter f, pixel i: sum[f * sum_filter + i], written to the next multiple of GCH_CONV_COLUMNS;
                  aligned */
    ptrdiff_t sum_filter;
    ptrdiff_t count;
    int channels, filters;
    int add;          /* as of a strip */
    const void *next; /* prefetch: the run that follows this one, as x; never NULL */
};

/* A run of pixels from channels-last memory to planes, at most GCH_CONV_BLOCK channels of it. */
struct gch_conv_planes {
    const void *x;   /* pixel i, channel c: x[i * pixel + c] */
    ptrdiff_t pixel; /* elements */
    ptrdiff_t count;
    int channels;
    void *out; /* channel c, pixel i: out[c * step + i], written to the next multiple of GCH_CONV_COLUMNS */
    ptrdiff_t step;
    const void *next; /* prefetch: count * channels elements from here on; or NULL */
};

/* One phase of one group of filters: source weights to the order that strips read. */
struct gch_conv_pack {
    const void
        *weight; /* of the group's first filter; filter f, channel c, tap (ky, kx) at the strides below */
    ptrdiff_t weight_filter, weight_channel, weight_row;
    const void *channel_scale; /* per channel, multiplied into the weight with one rounding; or NULL */
    ptrdiff_t channels, filters;
    ptrdiff_t first[2], pitch[2],
        taps[2]; /* the phase's taps, rows then columns: first, first + pitch, ... */
    void *packed;
};

/* One finished row of one filter. */
struct gch_conv_finish {
    const void *
        sum; /* column phase p, position q: sum[p * sum_phase + q] is output column q * phases + p; read to the next whole vector */
    ptrdiff_t sum_phase, phases;
    ptrdiff_t count;  /* output columns */
    double scale;     /* rounded to the element type */
    const void *bias; /* one element, or NULL */
    const struct gch_activation *activation;
    void *out; /* count elements, any alignment: activation(scale * sum + bias), each operation rounded */
};

/* How a run of a padded row is copied: target[i] = source[index[i]], zero where the index is negative, i <
 * count. For begin <= i < end the index is first + i * stride and inside the row. */
struct gch_conv_stage {
    const ptrdiff_t *index;
    ptrdiff_t count, begin, end, first, stride;
};

/* One image of the gradient of a layer's weights: sum[plane * sum_plane + tap row * sum_row + kx] = the sum over the pixels
 * (y, x) of a plane of a(y, x) * row[y](x + offset[kx]).
 *
 * Order of accumulation: column x adds to lane x mod 16. Along GCH_CONV_PRODUCT_COLUMNS columns at a time, blocks of as
 * many rows as make chains of GCH_CONV_PRODUCT_CHAIN at most: inside a block one chain of multiply-adds from zero, its
 * columns of 16 one after the other, each from top to bottom; blocks are added in order, the lanes by a fixed tree. */
struct gch_conv_products {
    const void *a; /* (planes, size), contiguous */
    ptrdiff_t planes, size[2];
    const void *const *row;  /* [tap row * size[0] + y]: what row y of a meets; none may be missing */
    const ptrdiff_t *offset; /* per kx */
    ptrdiff_t width;         /* columns of a row outside 0 <= column < width count as zero */
    int amid; /* whether GCH_CONV_COLUMNS elements on either side of a row, and after rows of a, may be read */
    ptrdiff_t kh, kw;
    void *sum; /* (planes, kh, kw) of a larger one */
    ptrdiff_t sum_plane, sum_row;
};

/* The gradient of a padded plane to that of the plane: each row and column of the padding is added, in order, to the
 * one it copied. Rows go first. */
struct gch_conv_fold {
    void *padded; /* is changed */
    void *out;    /* (size) */
    ptrdiff_t size[2], pad[2][2];
    const ptrdiff_t *row, *column; /* per padded position: what it copied */
};

struct gch_conv_kernels {
    int filters; /* of a group, in packed weights and sums; at most GCH_CONV_FILTERS */
    void (*strip)(const struct gch_conv_strip *strip);
    void (*settle)(void);                           /* before another thread may read what was streamed */
    void (*pair)(const struct gch_conv_pair *pair); /* NULL if there are too few registers */
    void (*points)(const struct gch_conv_points *points);
    void (*planes)(const struct gch_conv_planes *planes);
    int (*pack)(const struct gch_conv_pack *pack); /* whether everything packed is finite */
    void (*finish)(const struct gch_conv_finish *finish);
    /* `planes` runs of `count` elements, one after the other, to pixels: out[i * planes + p]. */
    void (*weave)(const void *runs, ptrdiff_t planes, ptrdiff_t count, void *out);
    void (*stage)(const struct gch_conv_stage *stage, const void *source, void *target);
    void (*products)(const struct gch_conv_products *products);
    /* total[i] = part[i] * by, with `add` total[i] + part[i] * by; `by` and each operation are rounded. */
    void (*merge)(void *total, const void *part, ptrdiff_t count, double by, int add);
    void (*fold)(const struct gch_conv_fold *fold);
};

#endif
