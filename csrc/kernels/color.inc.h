/* Colour spaces, pixel by pixel.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), FN(lab_vec) and FN(lab_any_vec). Gives: FN(color_lab), FN(color_hsv),
 * FN(color_opponent) for the table.
 */
/* rgb in 0..1 into h, s, v; the largest channel names the sector of the hue. Three NaN where a
 * channel is not finite. */
GCH_INLINE void FN(hsv_vec)(const V(vec) rgb[3], V(vec) hsv[3])
{
    const V(vec) none = V(set1)(0), six = V(set1)(6);
    V(vec) bad = none;
    V(vec) most = V(max)(V(max)(rgb[0], rgb[1]), rgb[2]), least = V(min)(V(min)(rgb[0], rgb[1]), rgb[2]);
    V(vec) spread = V(sub)(most, least);
    V(mask) colored = V(less)(none, spread);
    V(vec) divisor = V(select)(colored, spread, V(set1)(1));
    V(vec) red = V(div)(V(sub)(rgb[1], rgb[2]), divisor);
    V(vec) green = V(add)(V(div)(V(sub)(rgb[2], rgb[0]), divisor), V(set1)(2));
    V(vec) blue = V(add)(V(div)(V(sub)(rgb[0], rgb[1]), divisor), V(set1)(4));
    V(vec) hue = V(select)(V(less)(rgb[0], most), V(select)(V(less)(rgb[1], most), blue, green), red);
    hue = V(select)(V(less)(hue, none), V(add)(hue, six), hue);
    hue = V(select)(V(less)(hue, six), hue, none);
    hsv[0] = V(div)(hue, six);
    hsv[1] = V(select)(colored, V(div)(spread, V(select)(colored, most, V(set1)(1))), none);
    hsv[2] = most;
    GCH_UNROLL
    for (int i = 0; i < 3; ++i)
        bad = V(add)(bad, V(sub)(rgb[i], rgb[i])); /* 0 if finite, else NaN */
    GCH_UNROLL
    for (int i = 0; i < 3; ++i)
        hsv[i] = V(add)(hsv[i], bad);
}

/* v to its share of a range. Where the span is a power of two, v * part + shift is what the quotient is. */
struct FN(color_scale) {
    V(vec) low, less_span, part, shift;
};

GCH_INLINE struct FN(color_scale) FN(color_scale_of)(const struct gch_range *range)
{
    const double span = range->high - range->low;
    struct FN(color_scale) scale = {V(set1)((REAL)range->low), V(set1)((REAL)-span),
                                    V(set1)((REAL)(1 / span)), V(set1)((REAL)(-range->low / span))};
    return scale;
}

GCH_INLINE void FN(color_shares)(int exact, struct FN(color_scale) scale, V(vec) pixel[3])
{
    GCH_UNROLL
    for (int i = 0; i < 3; ++i) {
        if (exact) {
            pixel[i] = V(fused)(pixel[i], scale.part, scale.shift);
        } else { /* the quotient, and that of what it leaves */
            V(vec) v = V(sub)(pixel[i], scale.low), quotient = V(mul)(v, scale.part);
            pixel[i] = V(fused)(V(fused)(quotient, scale.less_span, v), scale.part, quotient);
        }
    }
}

/* One vector of pixels through one of the above; 0 if it needs color_some. With constants the choice is free. */
GCH_INLINE int FN(color_vec)(int hsv, int exact, struct FN(color_scale) scale, V(vec) pixel[3])
{
    FN(color_shares)(exact, scale, pixel);
    const V(vec) share[3] = {pixel[0], pixel[1], pixel[2]};
    if (!hsv) return FN(lab_vec)(share, pixel);
    FN(hsv_vec)(share, pixel);
    return 1;
}

/* At most LANES pixels, whatever they are, of three arrays in steps of `step`. */
static void FN(color_some)(int hsv, int exact, const struct gch_range *range, const REAL *const from[3],
                           REAL *const to[3], ptrdiff_t step, ptrdiff_t count)
{
    REAL some[3][LANES] = {{0}};
    V(vec) pixel[3], share[3];
    for (int i = 0; i < 3; ++i) {
        for (ptrdiff_t at = 0; at < count; ++at)
            some[i][at] = from[i][at * step];
        share[i] = V(load)(some[i]);
    }
    FN(color_shares)(exact, FN(color_scale_of)(range), share);
    if (hsv) {
        FN(hsv_vec)(share, pixel);
    } else {
        FN(lab_any_vec)(share, pixel);
    }
    for (int i = 0; i < 3; ++i)
        V(store)(some[i], pixel[i]);
    for (int i = 0; i < 3; ++i)
        for (ptrdiff_t at = 0; at < count; ++at)
            to[i][at * step] = some[i][at];
}

/* From pixel `at` on, in whole vectors, until one needs color_some: where that is. */
GCH_INLINE ptrdiff_t FN(color_planes_loop)(int hsv, int exact, const struct gch_range *range,
                                           const REAL *const from[3], REAL *const to[3], ptrdiff_t at,
                                           ptrdiff_t count)
{
    const struct FN(color_scale) scale = FN(color_scale_of)(range);
    for (; at + LANES <= count; at += LANES) {
        V(vec) pixel[3] = {V(load)(from[0] + at), V(load)(from[1] + at), V(load)(from[2] + at)};
        if (!FN(color_vec)(hsv, exact, scale, pixel)) break;
        GCH_UNROLL
        for (int i = 0; i < 3; ++i)
            V(store)(to[i] + at, pixel[i]);
    }
    return at;
}

GCH_INLINE ptrdiff_t FN(color_woven_loop)(int hsv, int exact, const struct gch_range *range, const REAL *from,
                                          REAL *to, ptrdiff_t at, ptrdiff_t count)
{
    const struct FN(color_scale) scale = FN(color_scale_of)(range);
    for (; at + LANES <= count; at += LANES) {
        V(vec) pixel[3];
        V(split)(from + 3 * at, pixel);
        if (!FN(color_vec)(hsv, exact, scale, pixel)) break;
        V(weave)(to + 3 * at, pixel);
    }
    return at;
}

/* Not inlined: the constants of a loop are for its registers, not to be kept for the next one. */
static GCH_APART ptrdiff_t FN(color_planes_run)(int hsv, int exact, const struct gch_range *range,
                                                const REAL *const from[3], REAL *const to[3], ptrdiff_t at,
                                                ptrdiff_t count)
{
    if (hsv) return FN(color_planes_loop)(1, 0, range, from, to, at, count);
    return exact ? FN(color_planes_loop)(0, 1, range, from, to, at, count)
                 : FN(color_planes_loop)(0, 0, range, from, to, at, count);
}

static GCH_APART ptrdiff_t FN(color_woven_run)(int hsv, int exact, const struct gch_range *range,
                                               const REAL *from, REAL *to, ptrdiff_t at, ptrdiff_t count)
{
    if (hsv) return FN(color_woven_loop)(1, 0, range, from, to, at, count);
    return exact ? FN(color_woven_loop)(0, 1, range, from, to, at, count)
                 : FN(color_woven_loop)(0, 0, range, from, to, at, count);
}

/* Whether the span is a power of two: then its reciprocal, and all products with that, are exact. */
static int FN(color_is_exact)(const struct gch_range *range)
{
    int exponent;
    return frexp(range->high - range->low, &exponent) == 0.5;
}

static void FN(color_planes)(int hsv, const struct gch_range *range, const void *const rgb[3],
                             void *const out[3], ptrdiff_t count)
{
    const int exact = !hsv && FN(color_is_exact)(range);
    const REAL *const from[3] = {rgb[0], rgb[1], rgb[2]};
    REAL *const to[3] = {out[0], out[1], out[2]};
    for (ptrdiff_t at = 0; at < count; at += LANES) {
        at = FN(color_planes_run)(hsv, exact, range, from, to, at, count);
        ptrdiff_t rest = count - at < LANES ? count - at : LANES;
        const REAL *const some[3] = {from[0] + at, from[1] + at, from[2] + at};
        REAL *const some_out[3] = {to[0] + at, to[1] + at, to[2] + at};
        FN(color_some)(hsv, exact, range, some, some_out, 1, rest);
    }
}

static void FN(color_woven)(int hsv, const struct gch_range *range, const void *rgb, void *out,
                            ptrdiff_t count)
{
    const int exact = !hsv && FN(color_is_exact)(range);
    const REAL *from = rgb;
    REAL *to = out;
    for (ptrdiff_t at = 0; at < count; at += LANES) {
        at = FN(color_woven_run)(hsv, exact, range, from, to, at, count);
        ptrdiff_t rest = count - at < LANES ? count - at : LANES;
        const REAL *const some[3] = {from + 3 * at, from + 3 * at + 1, from + 3 * at + 2};
        REAL *const some_out[3] = {to + 3 * at, to + 3 * at + 1, to + 3 * at + 2};
        FN(color_some)(hsv, exact, range, some, some_out, 3, rest);
    }
}

static void FN(color_lab)(const struct gch_range *range, const void *const rgb[3], void *const out[3],
                          ptrdiff_t count)
{
    FN(color_planes)(0, range, rgb, out, count);
}

static void FN(color_hsv)(const struct gch_range *range, const void *const rgb[3], void *const out[3],
                          ptrdiff_t count)
{
    FN(color_planes)(1, range, rgb, out, count);
}

static void FN(color_lab_woven)(const struct gch_range *range, const void *rgb, void *out, ptrdiff_t count)
{
    FN(color_woven)(0, range, rgb, out, count);
}

static void FN(color_hsv_woven)(const struct gch_range *range, const void *rgb, void *out, ptrdiff_t count)
{
    FN(color_woven)(1, range, rgb, out, count);
}

static void FN(color_opponent)(const struct gch_range *range, const void *const rgb[3], void *const out[3],
                               ptrdiff_t count)
{
    const REAL *red = rgb[0], *green = rgb[1], *blue = rgb[2];
    REAL *first = out[0], *second = out[1], *third = out[2];
    (void)range;
    for (ptrdiff_t at = 0; at < count; at += LANES) {
        V(mask) inside = V(lanes)(0, count - at);
        V(vec)
        r = V(load_part)(red + at, inside), g = V(load_part)(green + at, inside),
        b = V(load_part)(blue + at, inside);
        V(vec) middle = V(mul)(V(add)(r, g), V(set1)((REAL)0.5));
        V(store_part)(first + at, inside, V(abs)(V(sub)(r, g)));
        V(store_part)(second + at, inside, V(abs)(V(sub)(middle, b)));
        V(store_part)(third + at, inside, V(set1)(0));
    }
}
