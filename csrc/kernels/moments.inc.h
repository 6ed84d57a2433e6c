/* Colour moments of a row, in double whatever the element type.
 *
 * Template. Needs: REAL, FN(name), REAL_IS_F32 and the f64 vocabulary. Gives: FN(moments_row) for the table.
 */
enum { FN(MOMENT_VECTORS) = GCH_MOMENT_LANES / F64_LANES };

GCH_INLINE f64_vec FN(moments_load)(const REAL *p, ptrdiff_t rest)
{
    if (rest < F64_LANES) {
        double some[F64_LANES] = {0};
        for (ptrdiff_t i = 0; i < rest; ++i)
            some[i] = p[i];
        return f64_load(some);
    }
#if REAL_IS_F32
    return f64_widen(p);
#else
    return f64_load(p);
#endif
}

static double FN(moments_sum)(const f64_vec lanes[FN(MOMENT_VECTORS)])
{
    double sum[GCH_MOMENT_LANES];
    for (int v = 0; v < FN(MOMENT_VECTORS); ++v)
        f64_store(sum + v * F64_LANES, lanes[v]);
    for (int half = GCH_MOMENT_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i)
            sum[i] += sum[i + half];
    return sum[0];
}

/* The lanes of one vector that hold a pixel all of whose channels are finite: x - x is 0 for those, else NaN. */
GCH_INLINE f64_mask FN(moments_finite)(f64_vec r, f64_vec g, f64_vec b)
{
    f64_vec zero = f64_add(f64_add(f64_sub(r, r), f64_sub(g, g)), f64_sub(b, b));
    return f64_less(zero, f64_set1(1));
}

struct FN(moments) {
    const REAL *plane[3];
    f64_vec number[FN(MOMENT_VECTORS)], sum[3][FN(MOMENT_VECTORS)], mean[3], product[6][FN(MOMENT_VECTORS)];
};

/* Sums over GCH_MOMENT_LANES pixels from x on, of those that are there and finite. */
GCH_INLINE void FN(moments_add)(struct FN(moments) * m, ptrdiff_t x, ptrdiff_t count)
{
    const f64_vec none = f64_set1(0);
    for (int v = 0; v < FN(MOMENT_VECTORS); ++v) {
        ptrdiff_t at = x + v * F64_LANES, rest = count - at;
        if (rest <= 0) return;
        f64_vec r = FN(moments_load)(m->plane[0] + at, rest), g = FN(moments_load)(m->plane[1] + at, rest),
                b = FN(moments_load)(m->plane[2] + at, rest);
        f64_mask finite = FN(moments_finite)(r, g, b);
        f64_vec one = f64_select(f64_lanes(0, rest), f64_set1(1), none);
        m->number[v] = f64_add(m->number[v], f64_select(finite, one, none));
        m->sum[0][v] = f64_add(m->sum[0][v], f64_select(finite, r, none));
        m->sum[1][v] = f64_add(m->sum[1][v], f64_select(finite, g, none));
        m->sum[2][v] = f64_add(m->sum[2][v], f64_select(finite, b, none));
    }
}

/* The same of `whole` pixels, a multiple, if all are finite; else the sums are not. */
static void FN(moments_add_all)(struct FN(moments) * m, ptrdiff_t whole)
{
    for (int i = 0; i < 3; ++i) {
        f64_vec sum[FN(MOMENT_VECTORS)];
        GCH_UNROLL
        for (int v = 0; v < FN(MOMENT_VECTORS); ++v)
            sum[v] = m->sum[i][v];
        for (ptrdiff_t x = 0; x < whole; x += GCH_MOMENT_LANES) {
            GCH_UNROLL
            for (int v = 0; v < FN(MOMENT_VECTORS); ++v)
                sum[v] = f64_add(sum[v], FN(moments_load)(m->plane[i] + x + v * F64_LANES, F64_LANES));
        }
        GCH_UNROLL
        for (int v = 0; v < FN(MOMENT_VECTORS); ++v)
            m->sum[i][v] = sum[v];
    }
    for (int v = 0; v < FN(MOMENT_VECTORS); ++v)
        m->number[v] = f64_add(m->number[v], f64_set1((double)(whole / GCH_MOMENT_LANES)));
}

static int FN(moments_all_finite)(const struct FN(moments) * m)
{
    int all = 1;
    for (int v = 0; v < FN(MOMENT_VECTORS); ++v)
        all &= !f64_any(f64_less(f64_select(FN(moments_finite)(m->sum[0][v], m->sum[1][v], m->sum[2][v]),
                                            f64_set1(1), f64_set1(0)),
                                 f64_set1(1)));
    return all;
}

GCH_INLINE void FN(moments_products)(f64_vec r, f64_vec g, f64_vec b, f64_vec product[6])
{
    product[0] = f64_fma(r, r, product[0]);
    product[1] = f64_fma(r, g, product[1]);
    product[2] = f64_fma(r, b, product[2]);
    product[3] = f64_fma(g, g, product[3]);
    product[4] = f64_fma(g, b, product[4]);
    product[5] = f64_fma(b, b, product[5]);
}

/* Sums of products of what GCH_MOMENT_LANES pixels from x on are away from the mean. */
GCH_INLINE void FN(moments_multiply)(struct FN(moments) * m, ptrdiff_t x, ptrdiff_t count)
{
    const f64_vec none = f64_set1(0);
    for (int v = 0; v < FN(MOMENT_VECTORS); ++v) {
        ptrdiff_t at = x + v * F64_LANES, rest = count - at;
        if (rest <= 0) return;
        f64_vec rgb[3], product[6];
        for (int i = 0; i < 3; ++i)
            rgb[i] = FN(moments_load)(m->plane[i] + at, rest);
        f64_mask finite = FN(moments_finite)(rgb[0], rgb[1], rgb[2]), inside = f64_lanes(0, rest);
        for (int i = 0; i < 3; ++i)
            rgb[i] = f64_select(inside, f64_select(finite, f64_sub(rgb[i], m->mean[i]), none), none);
        for (int i = 0; i < 6; ++i)
            product[i] = m->product[i][v];
        FN(moments_products)(rgb[0], rgb[1], rgb[2], product);
        for (int i = 0; i < 6; ++i)
            m->product[i][v] = product[i];
    }
}

/* The same of `whole` finite pixels; six sums at a time, which fit into any registers, and as many pixels as stay in
 * the first cache. */
static void FN(moments_multiply_all)(struct FN(moments) * m, ptrdiff_t whole)
{
    enum { STAY = 512 };
    const f64_vec mean[3] = {m->mean[0], m->mean[1], m->mean[2]};
    for (ptrdiff_t first = 0; first < whole; first += STAY) {
        ptrdiff_t last = whole - first < STAY ? whole : first + STAY;
        for (int v = 0; v < FN(MOMENT_VECTORS); ++v) {
            const REAL *red = m->plane[0] + v * F64_LANES, *green = m->plane[1] + v * F64_LANES,
                       *blue = m->plane[2] + v * F64_LANES;
            f64_vec product[6] = {m->product[0][v], m->product[1][v], m->product[2][v],
                                  m->product[3][v], m->product[4][v], m->product[5][v]};
            for (ptrdiff_t x = first; x < last; x += GCH_MOMENT_LANES)
                FN(moments_products)(f64_sub(FN(moments_load)(red + x, F64_LANES), mean[0]),
                                     f64_sub(FN(moments_load)(green + x, F64_LANES), mean[1]),
                                     f64_sub(FN(moments_load)(blue + x, F64_LANES), mean[2]), product);
            GCH_UNROLL
            for (int i = 0; i < 6; ++i)
                m->product[i][v] = product[i];
        }
    }
}

static void FN(moments_row)(const void *red, const void *green, const void *blue, ptrdiff_t count,
                            struct gch_moments *moments)
{
    const ptrdiff_t whole = count - count % GCH_MOMENT_LANES;
    const struct FN(moments) empty = {.plane = {red, green, blue}};
    struct FN(moments) m = empty;
    FN(moments_add_all)(&m, whole);
    const int finite = FN(moments_all_finite)(&m);
    if (!finite) m = empty;
    for (ptrdiff_t x = finite ? whole : 0; x < count; x += GCH_MOMENT_LANES)
        FN(moments_add)(&m, x, count);
    moments->count = FN(moments_sum)(m.number);
    moments->nonfinite = (double)count - moments->count;
    for (int i = 0; i < 3; ++i) {
        moments->mean[i] = moments->count > 0 ? FN(moments_sum)(m.sum[i]) / moments->count : 0.0;
        m.mean[i] = f64_set1(moments->mean[i]);
    }
    if (finite) FN(moments_multiply_all)(&m, whole);
    for (ptrdiff_t x = finite ? whole : 0; x < count; x += GCH_MOMENT_LANES)
        FN(moments_multiply)(&m, x, count);
    for (int i = 0; i < 6; ++i)
        moments->scatter[i] = FN(moments_sum)(m.product[i]);
}
