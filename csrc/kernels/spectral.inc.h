/* Inner products and scaled sums in double whatever the element type.
 *
 * Template. Needs: REAL, FN(name), the f64 vocabulary, and FN(moments_load), FN(moments_sum) of
 * moments.inc.h. Gives: FN(spectral_dot), FN(spectral_add) for the table.
 */
static double FN(spectral_dot)(const void *first, const void *second, ptrdiff_t count)
{
    enum { LANE_COUNT = GCH_MOMENT_LANES, VECTORS = LANE_COUNT / F64_LANES };
    const REAL *a = first, *b = second;
    f64_vec sum[VECTORS];
    for (int v = 0; v < VECTORS; ++v)
        sum[v] = f64_set1(0);
    ptrdiff_t i = 0;
    for (; i + LANE_COUNT <= count; i += LANE_COUNT) {
        for (int v = 0; v < VECTORS; ++v) {
            ptrdiff_t at = i + v * F64_LANES;
            sum[v] =
                f64_fma(FN(moments_load)(a + at, F64_LANES), FN(moments_load)(b + at, F64_LANES), sum[v]);
        }
    }
    for (int v = 0; v < VECTORS; ++v) {
        ptrdiff_t at = i + v * F64_LANES, rest = count - at;
        if (rest <= 0) break;
        sum[v] = f64_fma(FN(moments_load)(a + at, rest), FN(moments_load)(b + at, rest), sum[v]);
    }
    return FN(moments_sum)(sum);
}

static void FN(spectral_add)(double *sum, const void *source, double factor, ptrdiff_t count)
{
    const REAL *x = source;
    const f64_vec scale = f64_set1(factor);
    ptrdiff_t i = 0;
    for (; i + F64_LANES <= count; i += F64_LANES)
        f64_store(sum + i, f64_fma(scale, FN(moments_load)(x + i, F64_LANES), f64_load(sum + i)));
    if (i < count) {
        f64_mask rest = f64_lanes(0, count - i);
        f64_vec some = f64_fma(scale, FN(moments_load)(x + i, count - i), f64_load_part(sum + i, rest));
        f64_store_part(sum + i, rest, some);
    }
}
