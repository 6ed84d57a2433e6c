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

static void FN(moments_row)(const void *red, const void *green, const void *blue, ptrdiff_t count,
                            struct gch_moments *moments)
{
    enum { VECTORS = FN(MOMENT_VECTORS) };
    const REAL *plane[3] = {red, green, blue};
    const f64_vec none = f64_set1(0);
    f64_vec number[VECTORS], sum[3][VECTORS], product[6][VECTORS];
    for (int v = 0; v < VECTORS; ++v) {
        number[v] = sum[0][v] = sum[1][v] = sum[2][v] = none;
        for (int i = 0; i < 6; ++i)
            product[i][v] = none;
    }
    for (ptrdiff_t x = 0; x < count; x += GCH_MOMENT_LANES) {
        for (int v = 0; v < VECTORS; ++v) {
            ptrdiff_t at = x + v * F64_LANES, rest = count - at;
            if (rest <= 0) break;
            f64_vec r = FN(moments_load)(plane[0] + at, rest), g = FN(moments_load)(plane[1] + at, rest),
                    b = FN(moments_load)(plane[2] + at, rest);
            f64_mask finite = FN(moments_finite)(r, g, b);
            f64_vec one = f64_select(f64_lanes(0, rest), f64_set1(1), none);
            number[v] = f64_add(number[v], f64_select(finite, one, none));
            sum[0][v] = f64_add(sum[0][v], f64_select(finite, r, none));
            sum[1][v] = f64_add(sum[1][v], f64_select(finite, g, none));
            sum[2][v] = f64_add(sum[2][v], f64_select(finite, b, none));
        }
    }
    moments->count = FN(moments_sum)(number);
    moments->nonfinite = (double)count - moments->count;
    for (int i = 0; i < 3; ++i)
        moments->mean[i] = moments->count > 0 ? FN(moments_sum)(sum[i]) / moments->count : 0.0;

    const f64_vec mean[3] = {f64_set1(moments->mean[0]), f64_set1(moments->mean[1]),
                             f64_set1(moments->mean[2])};
    for (ptrdiff_t x = 0; x < count; x += GCH_MOMENT_LANES) {
        for (int v = 0; v < VECTORS; ++v) {
            ptrdiff_t at = x + v * F64_LANES, rest = count - at;
            if (rest <= 0) break;
            f64_vec r = FN(moments_load)(plane[0] + at, rest), g = FN(moments_load)(plane[1] + at, rest),
                    b = FN(moments_load)(plane[2] + at, rest);
            f64_mask finite = FN(moments_finite)(r, g, b), inside = f64_lanes(0, rest);
            r = f64_select(inside, f64_select(finite, f64_sub(r, mean[0]), none), none);
            g = f64_select(inside, f64_select(finite, f64_sub(g, mean[1]), none), none);
            b = f64_select(inside, f64_select(finite, f64_sub(b, mean[2]), none), none);
            product[0][v] = f64_fma(r, r, product[0][v]);
            product[1][v] = f64_fma(r, g, product[1][v]);
            product[2][v] = f64_fma(r, b, product[2][v]);
            product[3][v] = f64_fma(g, g, product[3][v]);
            product[4][v] = f64_fma(g, b, product[4][v]);
            product[5][v] = f64_fma(b, b, product[5][v]);
        }
    }
    for (int i = 0; i < 6; ++i)
        moments->scatter[i] = FN(moments_sum)(product[i]);
}
