/* A strip of output rows, kept in registers over a block of channels.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name). Gives: FN(conv_strip) for the table.
 *
 * The tile is GCH_CONV_ROWS rows x LANES columns x OUT filters. For each channel and each kx the rows are
 * loaded once at that shift; then KH x OUT weights are broadcast, each used by GCH_CONV_ROWS multiply-adds.
 * That is .4 loads per multiply-add for KH = 3, OUT = 3, where the port limit is 1.
 */
enum {
    FN(CONV_MOST_TAPS) = 8, /* per row, of the kernels that keep a mask for each */
    FN(CONV_MOST_ROWS) = GCH_CONV_ROWS + 7 - 1,
};
enum {
    FN(CONV_NONE),
    FN(CONV_FIRST),
    FN(CONV_LAST),
    FN(CONV_EVERY)
}; /* which columns of a tile need a mask */
enum { FN(CONV_PART) = 1, FN(CONV_NEAR) }; /* what is left out: not touched, or read and forgotten */

/* masked: by FN(CONV_PART) or FN(CONV_NEAR), or 0. */
GCH_INLINE V(vec) FN(conv_input)(int masked, const REAL *p, V(mask) inside)
{
    return masked == FN(CONV_PART)   ? V(load_part)(p, inside)
           : masked == FN(CONV_NEAR) ? V(load_near)(p, inside)
                                     : V(load)(p);
}

/* Where column x begins to prefetch, and how many elements a tile does. Channels a multiple of 64 KiB apart share the
 * sets of a cache: there, what is fetched drives out the lines of which a tile of half a line leaves half to the next. */
GCH_INLINE const REAL *FN(conv_ahead)(const struct gch_conv_strip *s, ptrdiff_t x, ptrdiff_t *count)
{
    enum { FAR = (64 << 10) / (int)sizeof(REAL), HALF_LINE = LANES * (int)sizeof(REAL) < GCH_ALIGNMENT };
    *count = HALF_LINE && s->next_step % FAR == 0 ? 0 : s->ahead * LANES / GCH_CONV_COLUMNS;
    return (const REAL *)s->next + x / LANES * *count;
}

GCH_INLINE void FN(conv_fetch)(const REAL *next, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i += GCH_ALIGNMENT / (ptrdiff_t)sizeof(REAL))
        GCH_PREFETCH_SECOND(next + i);
}

/* Adds the block's sums to those of the blocks before, or stores them if there are none. */
GCH_INLINE void FN(conv_leave)(const struct gch_conv_strip *s, const int out, void *to, ptrdiff_t x,
                               V(vec) sum[GCH_CONV_ROWS][GCH_CONV_FILTERS])
{
    REAL *target = (REAL *)to + x;
    const ptrdiff_t row = s->sum_row,
                    filter = s->sum_filter; /* for the compiler, what is stored may be these */
    const int whole_lines = LANES * sizeof(REAL) == GCH_ALIGNMENT, stream = s->stream;
    if (s->add) {
        GCH_UNROLL
        for (int r = 0; r < GCH_CONV_ROWS; ++r) {
            GCH_UNROLL
            for (int f = 0; f < out; ++f)
                sum[r][f] = V(add)(V(load)(target + r * row + f * filter), sum[r][f]);
        }
    }
    GCH_UNROLL
    for (int r = 0; r < GCH_CONV_ROWS; ++r) {
        GCH_UNROLL
        for (int f = 0; f < out; ++f) {
            REAL *one = target + r * row + f * filter;
            if (!stream) {
                V(store)(one, sum[r][f]);
            } else if (whole_lines) {
                V(stream)(one, sum[r][f]);
            } else {
                GCH_PREFETCH(one + out * filter); /* where the next filters leave theirs */
                V(store)(one, sum[r][f]);
            }
        }
    }
}

/* All taps of a column: KH, OUT and masked are constants at every call. */
GCH_INLINE void FN(conv_column)(const int KH, const int OUT, const int masked, const REAL *const *row,
                                ptrdiff_t offset, V(mask) inside, const REAL *weight,
                                V(vec) sum[GCH_CONV_ROWS][GCH_CONV_FILTERS])
{
    V(vec) in[FN(CONV_MOST_ROWS)];
    GCH_UNROLL
    for (int i = 0; i < GCH_CONV_ROWS - 1; ++i)
        in[i] = FN(conv_input)(masked, row[i] + offset, inside);
    GCH_UNROLL
    for (int ky = 0; ky < KH; ++ky) {
        in[ky + GCH_CONV_ROWS - 1] = FN(conv_input)(masked, row[ky + GCH_CONV_ROWS - 1] + offset, inside);
        GCH_UNROLL
        for (int f = 0; f < OUT; ++f) {
            const V(vec) w = V(pin)(V(set1)(weight[ky * OUT + f]));
            GCH_UNROLL
            for (int r = 0; r < GCH_CONV_ROWS; ++r)
                sum[r][f] = V(add_product)(sum[r][f], w, in[ky + r]);
        }
    }
}

/* The same where each row meets few taps and registers are few: the weights of a tap are kept, and a row is loaded for
 * every tap. Sums, weights and one row fill 16 registers. */
GCH_INLINE void FN(conv_short_column)(const int KH, const int OUT, const int masked, const REAL *const *row,
                                      ptrdiff_t offset, V(mask) inside, const REAL *weight,
                                      V(vec) sum[GCH_CONV_ROWS][GCH_CONV_FILTERS])
{
    GCH_UNROLL
    for (int ky = 0; ky < KH; ++ky) {
        V(vec) w[GCH_CONV_FILTERS];
        GCH_UNROLL
        for (int f = 0; f < OUT; ++f)
            w[f] = V(pin)(V(set1)(weight[ky * OUT + f]));
        GCH_UNROLL
        for (int r = 0; r < GCH_CONV_ROWS; ++r) {
            const REAL *from = row[ky + r] + offset;
            GCH_FORGET(from);
            const V(vec) in = FN(conv_input)(masked, from, inside);
            GCH_UNROLL
            for (int f = 0; f < OUT; ++f)
                sum[r][f] = V(add_product)(sum[r][f], w[f], in);
        }
    }
}

/* Dense rows. KH, KW, OUT, edge and by are constants at every call: KW columns, each `turn` from the one before; where
 * KW is 0, any columns. `edge` says which need a mask, all or none where KW is 0, and `by` how what lies outside is
 * left out (see conv_input). A masked load costs more than another. */
GCH_INLINE void FN(conv_tile)(const int KH, const int KW, const int OUT, const int edge, const int by,
                              const ptrdiff_t turn, const struct gch_conv_strip *s, ptrdiff_t x,
                              const V(mask) * masks)
{
    V(vec) sum[GCH_CONV_ROWS][GCH_CONV_FILTERS];
    GCH_UNROLL
    for (int r = 0; r < GCH_CONV_ROWS; ++r) {
        GCH_UNROLL
        for (int f = 0; f < OUT; ++f)
            sum[r][f] = V(set1)(0);
    }
    const REAL *row[FN(CONV_MOST_ROWS)], *weight = s->weight;
    ptrdiff_t ahead;
    const REAL *next = FN(conv_ahead)(s, x, &ahead);
    GCH_UNROLL
    for (int i = 0; i < GCH_CONV_ROWS + KH - 1; ++i)
        row[i] = (const REAL *)s->row[i] + x + (KW > 0 ? s->offset[0] : 0);
    for (int c = 0; c < s->channels; ++c) {
        FN(conv_fetch)(next, ahead);
        next += s->next_step;
        GCH_UNROLL
        for (int kx = 0; kx < KW; ++kx) {
            const int outside = edge == FN(CONV_EVERY) || (edge == FN(CONV_FIRST) && kx == 0) ||
                                (edge == FN(CONV_LAST) && kx == KW - 1);
            const int masked = outside ? by : 0;
            if (KW == 2)
                FN(conv_short_column)(KH, OUT, masked, row, kx * turn, masks[kx], weight, sum);
            else
                FN(conv_column)(KH, OUT, masked, row, kx * turn, masks[kx], weight, sum);
            weight += KH * OUT;
        }
        for (int kx = 0; KW == 0 && kx < s->kw; ++kx) {
            FN(conv_column)(KH, OUT, edge != FN(CONV_NONE) ? by : 0, row, s->offset[kx], masks[kx], weight,
                            sum);
            weight += KH * OUT;
        }
        GCH_UNROLL
        for (int i = 0; i < GCH_CONV_ROWS + KH - 1; ++i)
            row[i] += s->step[i];
    }
    FN(conv_leave)(s, OUT, s->sum, x, sum);
}

/* Any rows, any number of taps. */
GCH_INLINE void FN(conv_tile_any)(const int OUT, const int masked, const int skip,
                                  const struct gch_conv_strip *s, ptrdiff_t x)
{
    V(vec) sum[GCH_CONV_ROWS][GCH_CONV_FILTERS];
    GCH_UNROLL
    for (int r = 0; r < GCH_CONV_ROWS; ++r) {
        GCH_UNROLL
        for (int f = 0; f < OUT; ++f)
            sum[r][f] = V(set1)(0);
    }
    const REAL *weight = s->weight;
    const int pitch = s->dense ? 1 : GCH_CONV_ROWS;
    for (ptrdiff_t c = 0; c < s->channels; ++c) {
        for (int kx = 0; kx < s->kw; ++kx) {
            const ptrdiff_t column = x + s->offset[kx];
            const V(mask) inside = V(lanes)(-column, s->width - column), none = V(lanes)(0, 0);
            for (int ky = 0; ky < s->kh; ++ky) {
                V(vec) in[GCH_CONV_ROWS];
                V(mask) adds[GCH_CONV_ROWS];
                GCH_UNROLL
                for (int r = 0; r < GCH_CONV_ROWS; ++r) {
                    ptrdiff_t i = (ptrdiff_t)ky * pitch + r;
                    adds[r] = s->step[i] != 0 ? inside : none;
                    in[r] = FN(conv_input)(masked, (const REAL *)s->row[i] + c * s->step[i] + column, inside);
                }
                GCH_UNROLL
                for (int f = 0; f < OUT; ++f) {
                    const V(vec) w = V(pin)(V(set1)(*weight++));
                    GCH_UNROLL
                    for (int r = 0; r < GCH_CONV_ROWS; ++r)
                        sum[r][f] = skip ? V(select)(adds[r], V(fma)(w, in[r], sum[r][f]), sum[r][f])
                                         : V(add_product)(sum[r][f], w, in[r]);
                }
            }
        }
    }
    FN(conv_leave)(s, OUT, s->sum, x, sum);
}

/* Whether columns fall, each one before the last, where that is worth code of its own: in gradients of inputs, and
 * where phases run one by one. */
GCH_INLINE int FN(conv_falls)(const int KH, const int OUT, const struct gch_conv_strip *s)
{
    const int worth = KH == 3 || (KH == 2 && OUT == 3 && GCH_VECTORS < 32);
    return worth && s->kw > 1 && s->offset[1] < s->offset[0];
}

/* KH = 0 stands for any; `turn`, 1 or -1, is where the next column lies, if they are neighbours. */
GCH_INLINE void FN(conv_tiles)(const int KH, const int OUT, const ptrdiff_t turn,
                               const struct gch_conv_strip *s)
{
    const int falling = turn < 0, short_ones = KH == 2 && OUT == 3 && falling && GCH_VECTORS < 32;
    const int KW = KH == 3 ? 3 : KH == 7 && OUT == 3 && !falling ? 7 : short_ones ? 2 : 0;
    const int part = FN(CONV_PART), by = GCH_PARTS_ARE_QUICK ? part : FN(CONV_NEAR);
    ptrdiff_t least = 0, most = 0;
    int neighbours = KW > 0 && s->kw == KW;
    V(mask) masks[FN(CONV_MOST_TAPS)] = {V(lanes)(0, LANES)};
    for (int kx = 0; kx < s->kw; ++kx) {
        least = kx == 0 || s->offset[kx] < least ? s->offset[kx] : least;
        most = kx == 0 || s->offset[kx] > most ? s->offset[kx] : most;
        neighbours &= s->offset[kx] == s->offset[0] + kx * turn;
    }
    for (ptrdiff_t x = s->begin; x < s->end; x += LANES) {
        const ptrdiff_t before = x + least, after = s->width - (x + LANES + most);
        const int inside = before >= 0 && after >= 0;
        const ptrdiff_t beside = -(before < after ? before : after);
        const int quick = GCH_PARTS_ARE_QUICK || (s->amid && beside <= GCH_CONV_COLUMNS);
        const int own_edges = quick && neighbours && (KH == 3 || short_ones);
        for (int kx = 0; KH > 0 && !inside && kx < s->kw; ++kx)
            masks[kx] = V(lanes)(-(x + s->offset[kx]), s->width - (x + s->offset[kx]));
        if (KH == 0 && s->skip)
            FN(conv_tile_any)(OUT, part, 1, s, x);
        else if (KH == 0 && inside)
            FN(conv_tile_any)(OUT, 0, 0, s, x);
        else if (KH == 0)
            FN(conv_tile_any)(OUT, part, 0, s, x);
        else if (KW > 0 && neighbours && inside)
            FN(conv_tile)(KH, KW, OUT, FN(CONV_NONE), 0, turn, s, x, masks);
        else if (own_edges && before == -1 && after >= 0)
            FN(conv_tile)(KH, KW, OUT, falling ? FN(CONV_LAST) : FN(CONV_FIRST), by, turn, s, x, masks);
        else if (own_edges && before >= 0 && after == -1)
            FN(conv_tile)(KH, KW, OUT, falling ? FN(CONV_FIRST) : FN(CONV_LAST), by, turn, s, x, masks);
        else if (inside)
            FN(conv_tile)(KH, 0, OUT, FN(CONV_NONE), 0, turn, s, x, masks);
        else if (own_edges)
            FN(conv_tile)(KH, KW, OUT, FN(CONV_EVERY), by, turn, s, x, masks);
        else if (quick)
            FN(conv_tile)(KH, 0, OUT, FN(CONV_EVERY), by, turn, s, x, masks);
        else /* never, where parts are quick */
            FN(conv_tile)(KH, 0, OUT, FN(CONV_EVERY), part, turn, s, x, masks);
    }
}

#define CONV_TILES(KH, OUT)                                                                                  \
    static void FN(conv_tiles_##KH##_##OUT)(const struct gch_conv_strip *s)                                  \
    {                                                                                                        \
        if (FN(conv_falls)(KH, OUT, s))                                                                      \
            FN(conv_tiles)(KH, OUT, -1, s);                                                                  \
        else                                                                                                 \
            FN(conv_tiles)(KH, OUT, 1, s);                                                                   \
    }
#define CONV_TILES_EACH(KH) CONV_TILES(KH, 1) CONV_TILES(KH, 2) CONV_TILES(KH, 3) CONV_TILES(KH, 4)
#define CONV_TILES_NAMES(KH)                                                                                 \
    {FN(conv_tiles_##KH##_1), FN(conv_tiles_##KH##_2), FN(conv_tiles_##KH##_3), FN(conv_tiles_##KH##_4)}

CONV_TILES_EACH(0)
CONV_TILES_EACH(1)
CONV_TILES_EACH(2)
CONV_TILES_EACH(3)
CONV_TILES_EACH(4)
CONV_TILES_EACH(5)
CONV_TILES_EACH(7)

static void FN(conv_settle)(void) { V(settle)(); }

static void FN(conv_strip)(const struct gch_conv_strip *strip)
{
    static void (*const tiles[8][GCH_CONV_FILTERS])(const struct gch_conv_strip *) = {
        CONV_TILES_NAMES(0), CONV_TILES_NAMES(1), CONV_TILES_NAMES(2), CONV_TILES_NAMES(3),
        CONV_TILES_NAMES(4), CONV_TILES_NAMES(5), CONV_TILES_NAMES(0), CONV_TILES_NAMES(7),
    };
    const int kh =
        !strip->skip && strip->dense && strip->kh < 8 && strip->kw <= FN(CONV_MOST_TAPS) ? strip->kh : 0;
    tiles[kh][strip->filters - 1](strip);
}

#undef CONV_TILES
#undef CONV_TILES_EACH
#undef CONV_TILES_NAMES
