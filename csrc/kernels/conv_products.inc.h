/* Gradients of weights: sums over planes of products of one map with another that each tap of the kernel shifts.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), GCH_VECTORS.
 * Gives: FN(conv_products), FN(conv_merge), FN(conv_fold) for the table.
 *
 * The tile is PLANES planes x ROWS rows of the table x COLUMNS taps, one register of sums each, kept over a block of
 * pixels: 12 loads for 27 multiply-adds where it is 3 x 3 x 3. Where registers are too few, one row of it after the
 * other meets the same block. Tiles differ between instruction sets, the order of every sum does not.
 */
enum {
    FN(PRODUCT_PLANES) = GCH_VECTORS >= 32 ? 6 : 3, /* at most */
    FN(PRODUCT_SUMS) = 32,                          /* of a tile, at most; every vector width divides it */
    FN(PRODUCT_TAPS) = 7,                           /* of a row, at most */
};

/* One register's width of columns, over the rows first[0] <= y < last[0] of a block. Lanes that are not there
 * are zero on both sides: zero times infinity must not come from them. PLANES, ROWS, COLUMNS and masked (see
 * conv_input) are constants at every call. */
GCH_INLINE void FN(product_column)(const int PLANES, const int ROWS, const int COLUMNS, const int masked,
                                   const struct gch_conv_products *s, const REAL *a, const void *const *row,
                                   const ptrdiff_t *offset, const ptrdiff_t first[2], const ptrdiff_t last[2],
                                   ptrdiff_t ahead, V(mask) own, const V(mask) * masks, V(vec) * sum)
{
    const ptrdiff_t plane = s->size[0] * s->size[1];
    for (ptrdiff_t y = first[0]; y < last[0]; ++y) {
        GCH_UNROLL
        for (int r = COLUMNS == 1 ? 0 : ROWS - 1; r < ROWS; ++r)
            GCH_PREFETCH((const REAL *)row[r * s->size[0] + y + ahead] + offset[COLUMNS / 2]);
        V(vec) mine[FN(PRODUCT_PLANES)];
        GCH_UNROLL
        for (int p = 0; p < PLANES; ++p)
            mine[p] = V(pin)(FN(conv_input)(masked, a + p * plane + y * s->size[1], own));
        GCH_UNROLL
        for (int r = 0; r < ROWS; ++r) {
            const REAL *other = row[r * s->size[0] + y];
            GCH_UNROLL
            for (int k = 0; k < COLUMNS; ++k) {
                const V(vec) theirs = V(pin)(FN(conv_input)(masked, other + offset[k], masks[k]));
                GCH_UNROLL
                for (int p = 0; p < PLANES; ++p) {
                    const int i = (p * ROWS + r) * COLUMNS + k;
                    sum[i] = V(add_product)(sum[i], mine[p], theirs);
                }
            }
        }
    }
}

/* Adds the sums of one block to `total`, the first block's it stores. */
GCH_INLINE void FN(product_block)(const int PLANES, const int ROWS, const int COLUMNS,
                                  const struct gch_conv_products *s, const REAL *a, const void *const *row,
                                  const ptrdiff_t *tap, const ptrdiff_t first[2], const ptrdiff_t last[2],
                                  REAL total[FN(PRODUCT_SUMS)][GCH_CONV_COLUMNS])
{
    const int add = first[0] + first[1] > 0;
    const ptrdiff_t rows = last[0] - first[0], below = s->size[0] - last[0];
    const ptrdiff_t ahead = rows < below ? rows : below;
    ptrdiff_t lowest = tap[0], highest = tap[0];
    for (int k = 1; k < COLUMNS; ++k) {
        lowest = tap[k] < lowest ? tap[k] : lowest;
        highest = tap[k] > highest ? tap[k] : highest;
    }
    for (int lane = 0; lane < GCH_CONV_COLUMNS; lane += LANES) {
        V(vec) sum[FN(PRODUCT_SUMS)];
        GCH_UNROLL
        for (int p = 0; p < PLANES; ++p) {
            GCH_UNROLL
            for (int i = 0; i < ROWS * COLUMNS; ++i)
                sum[p * ROWS * COLUMNS + i] = V(set1)(0);
        }
        for (ptrdiff_t x = first[1] + lane; x < last[1]; x += GCH_CONV_COLUMNS) {
            const ptrdiff_t before = x + lowest, after = s->width - (x + LANES + highest);
            const ptrdiff_t beside = -(before < after ? before : after);
            const ptrdiff_t rest = last[1] - x;
            const V(mask) own = V(lanes)(0, rest);
            const int whole = beside <= 0 && rest >= LANES;
            ptrdiff_t offset[FN(PRODUCT_TAPS)];
            V(mask) masks[FN(PRODUCT_TAPS)];
            for (int k = 0; k < COLUMNS; ++k) {
                const ptrdiff_t theirs = s->width - (x + tap[k]);
                offset[k] = x + tap[k];
                if (!whole) masks[k] = V(lanes)(-offset[k], theirs < rest ? theirs : rest);
            }
            if (whole)
                FN(product_column)(PLANES, ROWS, COLUMNS, 0, s, a + x, row, offset, first, last, ahead, own,
                                   masks, sum);
            else if (!GCH_PARTS_ARE_QUICK && s->amid && beside <= GCH_CONV_COLUMNS)
                FN(product_column)(PLANES, ROWS, COLUMNS, FN(CONV_NEAR), s, a + x, row, offset, first, last,
                                   ahead, own, masks, sum);
            else
                FN(product_column)(PLANES, ROWS, COLUMNS, FN(CONV_PART), s, a + x, row, offset, first, last,
                                   ahead, own, masks, sum);
        }
        GCH_UNROLL
        for (int p = 0; p < PLANES; ++p) {
            GCH_UNROLL
            for (int i = 0; i < ROWS * COLUMNS; ++i) {
                REAL *to = total[p * ROWS * COLUMNS + i] + lane;
                V(store)(to, add ? V(add)(V(load)(to), sum[p * ROWS * COLUMNS + i])
                                 : sum[p * ROWS * COLUMNS + i]);
            }
        }
    }
}

/* sum[i] = the sum of the lanes of total[i], LANES of them at a time: lane l + lane l + 8, then l + 4, l + 2, l + 1. Two
 * registers whose halves are zipped and added hold both sums half done, side by side. */
GCH_INLINE void FN(product_lanes)(REAL (*total)[GCH_CONV_COLUMNS], REAL *sum)
{
    V(vec) part[LANES];
    GCH_UNROLL
    for (int i = 0; i < LANES; ++i) {
        V(vec) lanes[GCH_CONV_COLUMNS / LANES];
        GCH_UNROLL
        for (int v = 0; v < GCH_CONV_COLUMNS / LANES; ++v)
            lanes[v] = V(load)(total[i] + v * LANES);
        GCH_UNROLL
        for (int half = GCH_CONV_COLUMNS / LANES / 2; half > 0; half /= 2) {
            GCH_UNROLL
            for (int v = 0; v < half; ++v)
                lanes[v] = V(add)(lanes[v], lanes[v + half]);
        }
        part[i] = lanes[0];
    }
    GCH_UNROLL
    for (int half = LANES / 2; half > 0; half /= 2) {
        GCH_UNROLL
        for (int i = 0; i < half; ++i)
            part[i] = V(add)(V(zip_low)(part[i], part[i + half]), V(zip_high)(part[i], part[i + half]));
    }
    V(store)(sum, part[0]);
}

GCH_INLINE void FN(product_tile)(const int PLANES, const int ROWS, const int COLUMNS,
                                 const struct gch_conv_products *s, ptrdiff_t plane, ptrdiff_t ky,
                                 ptrdiff_t kx)
{
    const int rows_at_once = PLANES * ROWS * COLUMNS < GCH_VECTORS ? ROWS : 1;
    const int sums = PLANES * ROWS * COLUMNS, group = PLANES * rows_at_once * COLUMNS;
    REAL total[FN(PRODUCT_SUMS)][GCH_CONV_COLUMNS] GCH_ALIGNED, sum[FN(PRODUCT_SUMS)];
    for (int i = 0; i < FN(PRODUCT_SUMS); ++i)
        for (int lane = 0; lane < GCH_CONV_COLUMNS; lane += LANES)
            V(store)(total[i] + lane, V(set1)(0));
    const REAL *a = (const REAL *)s->a + plane * s->size[0] * s->size[1];
    const void *const *row = s->row + ky * s->size[0];
    ptrdiff_t first[2], last[2];
    for (first[1] = 0; first[1] < s->size[1]; first[1] = last[1]) {
        last[1] = first[1] + GCH_CONV_PRODUCT_COLUMNS < s->size[1] ? first[1] + GCH_CONV_PRODUCT_COLUMNS
                                                                   : s->size[1];
        const ptrdiff_t chunks = (last[1] - first[1] + GCH_CONV_COLUMNS - 1) / GCH_CONV_COLUMNS;
        const ptrdiff_t rows = GCH_CONV_PRODUCT_CHAIN / chunks;
        for (first[0] = 0; first[0] < s->size[0]; first[0] = last[0]) {
            last[0] = first[0] + rows < s->size[0] ? first[0] + rows : s->size[0];
            for (int r = 0; r < ROWS; r += rows_at_once)
                FN(product_block)(PLANES, rows_at_once, COLUMNS, s, a, row + r * s->size[0], s->offset + kx,
                                  first, last, total + r / rows_at_once * group);
        }
    }
    for (int i = 0; i < sums; i += LANES)
        FN(product_lanes)(total + i, sum + i);
    for (int p = 0; p < PLANES; ++p) {
        for (int r = 0; r < ROWS; ++r) {
            REAL *to = (REAL *)s->sum + (plane + p) * s->sum_plane + (ky + r) * s->sum_row + kx;
            for (int k = 0; k < COLUMNS; ++k)
                to[k] = sum[r / rows_at_once * group + (p * rows_at_once + r % rows_at_once) * COLUMNS + k];
        }
    }
}

#define PRODUCT_TILE(PLANES, ROWS, COLUMNS)                                                                  \
    static void FN(product_tile_##PLANES##_##ROWS##_##COLUMNS)(const struct gch_conv_products *s,            \
                                                               ptrdiff_t plane, ptrdiff_t ky, ptrdiff_t kx)  \
    {                                                                                                        \
        FN(product_tile)(PLANES, ROWS, COLUMNS, s, plane, ky, kx);                                           \
    }
#define PRODUCT_TILE_NAME(PLANES, ROWS, COLUMNS) FN(product_tile_##PLANES##_##ROWS##_##COLUMNS)
#define PRODUCT_TILES(ROWS, COLUMNS)                                                                         \
    PRODUCT_TILE(1, ROWS, COLUMNS) PRODUCT_TILE(2, ROWS, COLUMNS) PRODUCT_TILE(3, ROWS, COLUMNS)
#define PRODUCT_TILES_NAMES(ROWS, COLUMNS)                                                                   \
    PRODUCT_TILE_NAME(1, ROWS, COLUMNS), PRODUCT_TILE_NAME(2, ROWS, COLUMNS),                                \
        PRODUCT_TILE_NAME(3, ROWS, COLUMNS)

PRODUCT_TILES(1, 1)
PRODUCT_TILES(4, 1)
PRODUCT_TILES(1, 3)
PRODUCT_TILES(1, 4)
PRODUCT_TILES(3, 3)
#if GCH_VECTORS >= 32
PRODUCT_TILES(1, 5)
PRODUCT_TILES(1, 7)
PRODUCT_TILE(4, 1, 1)
PRODUCT_TILE(4, 4, 1)
PRODUCT_TILE(4, 1, 3)
PRODUCT_TILE(4, 1, 4)
PRODUCT_TILE(5, 1, 4)
PRODUCT_TILE(6, 1, 4)
PRODUCT_TILE(4, 1, 5)
#endif

/* The widest that fits what is left of a row is taken, and of those the tallest that fits. */
static const struct {
    int planes, rows, columns;
    void (*tile[FN(PRODUCT_PLANES)])(const struct gch_conv_products *s, ptrdiff_t plane, ptrdiff_t ky,
                                     ptrdiff_t kx);
} FN(product_tiles)[] = {
#if GCH_VECTORS >= 32
    {3, 1, 7, {PRODUCT_TILES_NAMES(1, 7)}},
    {4, 1, 5, {PRODUCT_TILES_NAMES(1, 5), PRODUCT_TILE_NAME(4, 1, 5)}},
    {6,
     1,
     4,
     {PRODUCT_TILES_NAMES(1, 4), PRODUCT_TILE_NAME(4, 1, 4), PRODUCT_TILE_NAME(5, 1, 4),
      PRODUCT_TILE_NAME(6, 1, 4)}},
    {3, 3, 3, {PRODUCT_TILES_NAMES(3, 3)}},
    {4, 1, 3, {PRODUCT_TILES_NAMES(1, 3), PRODUCT_TILE_NAME(4, 1, 3)}},
    {4, 4, 1, {PRODUCT_TILES_NAMES(4, 1), PRODUCT_TILE_NAME(4, 4, 1)}},
    {4, 1, 1, {PRODUCT_TILES_NAMES(1, 1), PRODUCT_TILE_NAME(4, 1, 1)}},
#else
    {3, 1, 4, {PRODUCT_TILES_NAMES(1, 4)}}, {3, 3, 3, {PRODUCT_TILES_NAMES(3, 3)}},
    {3, 1, 3, {PRODUCT_TILES_NAMES(1, 3)}}, {3, 4, 1, {PRODUCT_TILES_NAMES(4, 1)}},
    {3, 1, 1, {PRODUCT_TILES_NAMES(1, 1)}},
#endif
};

/* All taps of the planes from `plane` on, which thus stay in the first-level cache. */
static void FN(product_planes)(const struct gch_conv_products *s, ptrdiff_t plane, ptrdiff_t planes)
{
    int widest = 0;
    for (ptrdiff_t kx = 0; kx < s->kw; kx += FN(product_tiles)[widest].columns) {
        while (FN(product_tiles)[widest].columns > s->kw - kx)
            ++widest;
        int tile = widest;
        for (ptrdiff_t ky = 0; ky < s->kh; ky += FN(product_tiles)[tile].rows) {
            while (FN(product_tiles)[tile].rows > s->kh - ky)
                ++tile;
            const ptrdiff_t most = FN(product_tiles)[tile].planes;
            for (ptrdiff_t p = 0; p < planes; p += most) {
                const ptrdiff_t some = planes - p < most ? planes - p : most;
                FN(product_tiles)[tile].tile[some - 1](s, plane + p, ky, kx);
            }
        }
    }
}

static void FN(conv_products)(const struct gch_conv_products *s)
{
    int widest = 0;
    while (FN(product_tiles)[widest].columns > s->kw || FN(product_tiles)[widest].rows > s->kh)
        ++widest;
    const ptrdiff_t most = FN(product_tiles)[widest].planes;
    for (ptrdiff_t p = 0; p < s->planes; p += most)
        FN(product_planes)(s, p, s->planes - p < most ? s->planes - p : most);
}

#undef PRODUCT_TILE
#undef PRODUCT_TILE_NAME
#undef PRODUCT_TILES
#undef PRODUCT_TILES_NAMES

static void FN(conv_merge)(void *total, const void *some, ptrdiff_t count, double by, int add)
{
    REAL *to = total;
    const REAL *from = some, scale = (REAL)by;
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        const V(vec) part = V(mul)(V(load)(from + i), V(set1)(scale));
        V(store)(to + i, add ? V(add)(V(load)(to + i), part) : part);
    }
    for (; i < count; ++i)
        to[i] = add ? to[i] + from[i] * scale : from[i] * scale;
}

static void FN(fold_row)(REAL *to, const REAL *from, ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        V(store)(to + i, V(add)(V(load)(to + i), V(load)(from + i)));
    for (; i < count; ++i)
        to[i] += from[i];
}

static void FN(conv_fold)(const struct gch_conv_fold *fold)
{
    const ptrdiff_t height = fold->size[0], width = fold->size[1];
    const ptrdiff_t top = fold->pad[0][0], left = fold->pad[1][0];
    const ptrdiff_t rows = top + height + fold->pad[0][1], columns = left + width + fold->pad[1][1];
    REAL *padded = fold->padded, *out = fold->out;
    for (ptrdiff_t y = 0; y < rows; ++y)
        if (y < top || y >= top + height)
            FN(fold_row)(padded + (top + fold->row[y]) * columns, padded + y * columns, columns);
    for (ptrdiff_t y = 0; y < height; ++y) {
        const REAL *line = padded + (top + y) * columns;
        REAL *target = out + y * width;
        for (ptrdiff_t x = 0; x < width; ++x)
            target[x] = line[left + x];
        for (ptrdiff_t x = 0; x < columns; ++x) {
            if (x == left) x += width;
            if (x < columns) target[fold->column[x]] += line[x];
        }
    }
}
