/* Sums over the channels of single pixels: a layer of one tap.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), GCH_VECTORS. Gives: FN(conv_points) for the table.
 *
 * There is next to nothing to compute, so what counts is how memory is walked. A tile of all 16 channels of a block, as
 * conv_strip has, reads 16 places whose distance is a plane: with sizes that are powers of two they fall into the same
 * few sets of the cache. Here the weights of a few channels stay in registers, and those planes are read line after
 * line. The block's chain waits in memory in between.
 */
enum { FN(CONV_POINTS_MOST) = 8, FN(CONV_POINTS_LINE) = GCH_ALIGNMENT / (int)sizeof(REAL) };

/* Channels whose weights, with a register for each sum and one for the input, fit the register file. */
#define CONV_POINTS_CHANNELS(OUT)                                                                            \
    (GCH_VECTORS >= 32 ? ((OUT) < 4 ? 8 : 4) : (OUT) < 2 ? 8 : (OUT) < 4 ? 4 : 2)

/* What a group of channels needs in its innermost loop. */
struct FN(conv_points_group) {
    const REAL *x;
    REAL *chain, *total;
    ptrdiff_t step, sum_filter;
    int first, last, add; /* of its block; as of the points */
    V(vec) weight[FN(CONV_POINTS_MOST)][GCH_CONV_FILTERS];
};

/* Pixels i to i + LANES. CHANNELS, OUT and masked are constants at every call. */
GCH_INLINE void FN(conv_points_add)(const int CHANNELS, const int OUT, const int masked,
                                    const struct FN(conv_points_group) * g, ptrdiff_t i, V(mask) inside)
{
    V(vec) sum[GCH_CONV_FILTERS];
    GCH_UNROLL
    for (int f = 0; f < OUT; ++f)
        sum[f] = g->first ? V(set1)(0) : V(load)(g->chain + f * g->sum_filter + i);
    GCH_UNROLL
    for (int c = 0; c < CHANNELS; ++c) {
        const V(vec) in = FN(conv_input)(masked, g->x + c * g->step + i, inside);
        GCH_UNROLL
        for (int f = 0; f < OUT; ++f)
            sum[f] = V(add_product)(sum[f], g->weight[c][f], in);
    }
    GCH_UNROLL
    for (int f = 0; f < OUT; ++f) {
        REAL *total = g->total + f * g->sum_filter + i;
        if (g->last && g->add) sum[f] = V(add)(V(load)(total), sum[f]);
        V(store)(g->last ? total : g->chain + f * g->sum_filter + i, sum[f]);
    }
}

GCH_INLINE void FN(conv_points_pass)(const int CHANNELS, const int OUT, const struct gch_conv_points *p,
                                     int channel)
{
    struct FN(conv_points_group) g = {
        .x = (const REAL *)p->x + channel * p->step,
        .chain = p->chain,
        .total = p->sum,
        .step = p->step,
        .sum_filter = p->sum_filter,
        .first = channel == 0,
        .last = channel + CHANNELS == p->channels,
        .add = p->add,
    };
    const REAL *next = g.last ? p->next : g.x + CHANNELS * p->step;
    const REAL *weight = (const REAL *)p->weight + channel * OUT;
    GCH_UNROLL
    for (int c = 0; c < CHANNELS; ++c) {
        GCH_UNROLL
        for (int f = 0; f < OUT; ++f)
            g.weight[c][f] = V(pin)(V(set1)(weight[c * OUT + f]));
    }
    const V(mask) none = V(lanes)(0, 0);
    ptrdiff_t i = 0;
    for (; i + FN(CONV_POINTS_LINE) <= p->count; i += FN(CONV_POINTS_LINE)) {
        GCH_UNROLL
        for (int c = 0; c < CHANNELS; ++c)
            GCH_PREFETCH_SECOND(next + c * p->step + i);
        for (int v = 0; v < FN(CONV_POINTS_LINE); v += LANES)
            FN(conv_points_add)(CHANNELS, OUT, 0, &g, i + v, none);
    }
    for (; i < p->count; i += LANES)
        FN(conv_points_add)(CHANNELS, OUT, 1, &g, i, V(lanes)(0, p->count - i));
}

GCH_INLINE void FN(conv_points_block)(const int OUT, const struct gch_conv_points *p)
{
    int c = 0;
    for (; c + CONV_POINTS_CHANNELS(OUT) <= p->channels; c += CONV_POINTS_CHANNELS(OUT))
        FN(conv_points_pass)(CONV_POINTS_CHANNELS(OUT), OUT, p, c);
    for (; c < p->channels; ++c)
        FN(conv_points_pass)(1, OUT, p, c);
}

static void FN(conv_points)(const struct gch_conv_points *points)
{
    switch (points->filters) {
    case 1:
        FN(conv_points_block)(1, points);
        break;
    case 2:
        FN(conv_points_block)(2, points);
        break;
    case 3:
        FN(conv_points_block)(3, points);
        break;
    default:
        FN(conv_points_block)(4, points);
        break;
    }
}

#undef CONV_POINTS_CHANNELS
