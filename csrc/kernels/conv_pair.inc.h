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

/* All taps of a column; masked is a constant at every call, and so is use where that is worth it. */
GCH_INLINE void FN(conv_pair_column)(const int KH, const int OUT, const int masked, const int use,
                                     const REAL *const *row, ptrdiff_t offset, V(mask) inside,
                                     const REAL *weight[2], V(vec) first[GCH_CONV_ROWS][GCH_CONV_FILTERS],
                                     V(vec) second[GCH_CONV_ROWS][GCH_CONV_FILTERS])
{
    V(vec) in[GCH_CONV_ROWS + GCH_CONV_PAIR_TAPS - 1];
    GCH_UNROLL
    for (int i = 0; i < GCH_CONV_ROWS + KH - 1; ++i)
        in[i] = FN(conv_input)(masked, row[i] + offset, inside);
    if (use & 1) {
        FN(conv_pair_add)(KH, OUT, weight[0], in, first);
        weight[0] += KH * OUT;
    }
    if (use & 2) {
        FN(conv_pair_add)(KH, OUT, weight[1], in, second);
        weight[1] += KH * OUT;
    }
}

/* edge: as of a strip's tile. KW is 3 for columns that fall by one, of which the second phase uses the first, both
 * the next and the first phase the last, as 4 x 4 taps do at a stride of two; or 0 for any. */
GCH_INLINE void FN(conv_pair_tile)(const int KH, const int KW, const int OUT, const int edge,
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
    const REAL *row[MOST], *weight[2] = {s->weight, pair->weight};
    ptrdiff_t ahead;
    const REAL *next = FN(conv_ahead)(s, x, &ahead);
    for (int i = 0; i < GCH_CONV_ROWS + KH - 1; ++i)
        row[i] = (const REAL *)s->row[i] + x + (KW > 0 ? s->offset[0] : 0);
    for (int c = 0; c < s->channels; ++c) {
        FN(conv_fetch)(next, ahead);
        next += s->next_step;
        GCH_UNROLL
        for (int kx = 0; kx < KW; ++kx) {
            const int masked = edge == (kx == 0        ? FN(CONV_FIRST)
                                        : kx == KW - 1 ? FN(CONV_LAST)
                                                       : FN(CONV_EVERY));
            FN(conv_pair_column)(KH, OUT, masked,
                                 kx == 0        ? 2
                                 : kx == KW - 1 ? 1
                                                : 3,
                                 row, -kx, masks[kx], weight, first, second);
        }
        for (int kx = 0; KW == 0 && kx < s->kw; ++kx)
            FN(conv_pair_column)(KH, OUT, edge != FN(CONV_NONE), pair->use[kx], row, s->offset[kx], masks[kx],
                                 weight, first, second);
        GCH_UNROLL
        for (int i = 0; i < GCH_CONV_ROWS + KH - 1; ++i)
            row[i] += s->step[i];
    }
    FN(conv_leave)(s, OUT, s->sum, x, first);
    FN(conv_leave)(s, OUT, pair->sum, x, second);
}

GCH_INLINE void FN(conv_pair_tiles)(const int KH, const int OUT, const struct gch_conv_pair *pair)
{
    enum { KW = 3 };
    const struct gch_conv_strip *s = &pair->strip;
    const int plain = KH == 2 && s->kw == KW && pair->use[0] == 2 && pair->use[1] == 3 && pair->use[2] == 1;
    V(mask) masks[GCH_CONV_PAIR_COLUMNS] = {V(lanes)(0, LANES)};
    for (ptrdiff_t x = s->begin; x < s->end; x += LANES) {
        int leaves = 0;
        for (int kx = 0; kx < s->kw; ++kx) {
            const ptrdiff_t column = x + s->offset[kx];
            leaves |= (column < 0 || column + LANES > s->width) << kx;
            masks[kx] = V(lanes)(-column, s->width - column);
        }
        if (KH == 2 && plain && leaves == 0)
            FN(conv_pair_tile)(KH, KW, OUT, FN(CONV_NONE), pair, x, masks);
        else if (KH == 2 && plain && leaves == 1)
            FN(conv_pair_tile)(KH, KW, OUT, FN(CONV_FIRST), pair, x, masks);
        else if (KH == 2 && plain && leaves == 1 << (KW - 1))
            FN(conv_pair_tile)(KH, KW, OUT, FN(CONV_LAST), pair, x, masks);
        else if (leaves == 0)
            FN(conv_pair_tile)(KH, 0, OUT, FN(CONV_NONE), pair, x, masks);
        else
            FN(conv_pair_tile)(KH, 0, OUT, FN(CONV_EVERY), pair, x, masks);
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
