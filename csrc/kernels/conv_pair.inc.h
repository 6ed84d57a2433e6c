/* A strip of two column phases of a transposed convolution: the phases read nearly the same input, so each
 * row that is loaded serves both.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), 32 registers, FN(conv_input), FN(conv_leave).
 * Gives: FN(conv_pair) for the table.
 */
GCH_INLINE void FN(conv_pair_add)(const int KH, const int OUT, const REAL *weight, const V(vec) * in,
                                  V(vec) sum[GCH_CONV_ROWS][GCH_CONV_FILTERS])
{
    GCH_UNROLL
    for (int ky = 0; ky < KH; ++ky) {
        GCH_UNROLL
        for (int f = 0; f < OUT; ++f) {
            const V(vec) w = V(pin)(V(set1)(weight[ky * OUT + f]));
            GCH_UNROLL
            for (int r = 0; r < GCH_CONV_ROWS; ++r)
                sum[r][f] = V(add_product)(sum[r][f], w, in[ky + r]);
        }
    }
}

GCH_INLINE void FN(conv_pair_tile)(const int KH, const int OUT, const int masked,
                                   const struct gch_conv_pair *pair, ptrdiff_t x, const V(mask) * masks)
{
    enum { MOST = GCH_CONV_ROWS + GCH_CONV_PAIR_TAPS - 1 };
    const struct gch_conv_strip *s = &pair->strip;
    V(vec) first[GCH_CONV_ROWS][GCH_CONV_FILTERS], second[GCH_CONV_ROWS][GCH_CONV_FILTERS];
    GCH_UNROLL
    for (int r = 0; r < GCH_CONV_ROWS; ++r) {
        GCH_UNROLL
        for (int f = 0; f < OUT; ++f)
            first[r][f] = second[r][f] = V(set1)(0);
    }
    const REAL *row[MOST], *weight = s->weight, *other = pair->weight;
    ptrdiff_t ahead;
    const REAL *next = FN(conv_ahead)(s, x, &ahead);
    for (int i = 0; i < GCH_CONV_ROWS + KH - 1; ++i)
        row[i] = (const REAL *)s->row[i] + x;
    for (int c = 0; c < s->channels; ++c) {
        FN(conv_fetch)(next, ahead);
        next += s->next_step;
        for (int kx = 0; kx < s->kw; ++kx) {
            const ptrdiff_t offset = s->offset[kx];
            const V(mask) inside = masks[kx];
            V(vec) in[MOST];
            GCH_UNROLL
            for (int i = 0; i < GCH_CONV_ROWS + KH - 1; ++i)
                in[i] = FN(conv_input)(masked, row[i] + offset, inside);
            if (pair->use[kx] & 1) {
                FN(conv_pair_add)(KH, OUT, weight, in, first);
                weight += KH * OUT;
            }
            if (pair->use[kx] & 2) {
                FN(conv_pair_add)(KH, OUT, other, in, second);
                other += KH * OUT;
            }
        }
        GCH_UNROLL
        for (int i = 0; i < GCH_CONV_ROWS + KH - 1; ++i)
            row[i] += s->step[i];
    }
    FN(conv_leave)(s, OUT, s->sum, x, first);
    FN(conv_leave)(s, OUT, pair->sum, x, second);
}

GCH_INLINE void FN(conv_pair_tiles)(const int KH, const int OUT, const struct gch_conv_pair *pair)
{
    const struct gch_conv_strip *s = &pair->strip;
    V(mask) masks[GCH_CONV_PAIR_COLUMNS] = {V(lanes)(0, LANES)};
    for (ptrdiff_t x = s->begin; x < s->end; x += LANES) {
        int inside = 1;
        for (int kx = 0; kx < s->kw; ++kx) {
            const ptrdiff_t column = x + s->offset[kx];
            inside &= column >= 0 && column + LANES <= s->width;
            masks[kx] = V(lanes)(-column, s->width - column);
        }
        if (inside)
            FN(conv_pair_tile)(KH, OUT, 0, pair, x, masks);
        else
            FN(conv_pair_tile)(KH, OUT, 1, pair, x, masks);
    }
}

#define CONV_PAIRS(KH, OUT)                                                                                  \
    static void FN(conv_pairs_##KH##_##OUT)(const struct gch_conv_pair *pair)                                \
    {                                                                                                        \
        FN(conv_pair_tiles)(KH, OUT, pair);                                                                  \
    }
#define CONV_PAIRS_EACH(KH) CONV_PAIRS(KH, 1) CONV_PAIRS(KH, 2) CONV_PAIRS(KH, 3)
#define CONV_PAIRS_NAMES(KH) {FN(conv_pairs_##KH##_1), FN(conv_pairs_##KH##_2), FN(conv_pairs_##KH##_3)}

CONV_PAIRS_EACH(1)
CONV_PAIRS_EACH(2)
CONV_PAIRS_EACH(3)

static void FN(conv_pair)(const struct gch_conv_pair *pair)
{
    static void (*const pairs[GCH_CONV_PAIR_TAPS][GCH_CONV_PAIR_FILTERS])(const struct gch_conv_pair *) = {
        CONV_PAIRS_NAMES(1), CONV_PAIRS_NAMES(2), CONV_PAIRS_NAMES(3)};
    pairs[pair->strip.kh - 1][pair->strip.filters - 1](pair);
}

#undef CONV_PAIRS
#undef CONV_PAIRS_EACH
#undef CONV_PAIRS_NAMES
