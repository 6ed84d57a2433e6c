/* Colour spaces on planes.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), REAL_IS_F32. Gives: FN(color_lab), FN(color_hsv),
 * FN(color_opponent) for the table, FN(lab_vec) for the statistics.
 *
 * Roots, because pow() is neither fast nor the same everywhere, and without a division, which costs as much as
 * ten multiplications: x = m 2^e, so e + m - 1 is within .09 of log2 x; minus a p-th of it, turned back in the
 * same way and centred, is within 4 % of x^(-1/p); Newton's iteration squares that error (times (p + 1) / 2);
 * then x times that to the p - 1 is the root, put right by one step of its own, whose rounding hardly counts.
 */
enum { FN(ROOT_STEPS) = REAL_IS_F32 ? 2 : 4 };

GCH_INLINE V(vec) FN(power_vec)(V(vec) x, int degree)
{
    V(vec) square = V(mul)(x, x);
    return V(mul)(degree == 5 ? V(mul)(square, square) : square, x);
}

/* x^(1/degree) for degree 3 or 5 and x between 2^-100 and 2^100; what lies outside is taken for these. */
GCH_INLINE V(vec) FN(root_vec)(V(vec) x, int degree)
{
    const V(vec) one = V(set1)(1), part = V(set1)(1 / (REAL)degree);
    const V(vec) centred = V(set1)(degree == 3 ? (REAL)0.961 : (REAL)0.965);
    x = V(max)(V(min)(x, V(set1)((REAL)1.2676506002282294e30)), V(set1)((REAL)7.888609052210118e-31));
    V(vec) log2 = V(mul)(V(add)(V(exponent)(x), V(sub)(V(mantissa)(x), one)), V(neg)(part));
    V(vec) whole = V(round)(V(sub)(log2, V(set1)((REAL)0.5)));
    V(vec) y = V(mul)(V(mul)(V(pow2)(whole), V(add)(one, V(sub)(log2, whole))), centred);
    for (int i = 0; i < FN(ROOT_STEPS); ++i)
        y = V(add)(y, V(mul)(V(mul)(y, part), V(sub)(one, V(mul)(x, FN(power_vec)(y, degree)))));
    V(vec) slope = degree == 5 ? V(mul)(V(mul)(y, y), V(mul)(y, y)) : V(mul)(y, y);
    V(vec) root = V(mul)(x, slope);
    return V(add)(root, V(mul)(V(sub)(x, FN(power_vec)(root, degree)), V(mul)(slope, part)));
}

/* sRGB's curve undone. */
GCH_INLINE V(vec) FN(linear_vec)(V(vec) c)
{
    V(vec) z = V(mul)(V(add)(c, V(set1)((REAL)0.055)), V(set1)((REAL)(1 / 1.055)));
    V(vec) fifth = FN(root_vec)(z, 5);
    V(vec) curve = V(mul)(V(mul)(z, z), V(mul)(fifth, fifth));
    return V(select)(V(less)(V(set1)((REAL)0.04045), c), curve, V(mul)(c, V(set1)((REAL)(1 / 12.92))));
}

/* CIE's compression of a tristimulus value, relative to white. */
GCH_INLINE V(vec) FN(lightness_vec)(V(vec) t)
{
    V(vec) line = V(add)(V(mul)(V(set1)((REAL)7.787), t), V(set1)((REAL)(16.0 / 116.0)));
    return V(select)(V(less)(V(set1)((REAL)0.008856), t), FN(root_vec)(t, 3), line);
}

GCH_INLINE V(vec) FN(weigh_vec)(const V(vec) rgb[3], double red, double green, double blue, double white)
{
    const V(vec) weight[3] = {V(set1)((REAL)(red / white)), V(set1)((REAL)(green / white)),
                              V(set1)((REAL)(blue / white))};
    V(vec) sum = V(add)(V(mul)(weight[0], rgb[0]), V(mul)(weight[1], rgb[1]));
    return V(add)(sum, V(mul)(weight[2], rgb[2]));
}

/* Linear rgb in 0..1 into L, a, b. */
GCH_INLINE void FN(lab_of_linear_vec)(const V(vec) linear[3], V(vec) lab[3])
{
    V(vec) x = FN(lightness_vec)(FN(weigh_vec)(linear, .412453, .357580, .180423, .95047));
    V(vec) y = FN(lightness_vec)(FN(weigh_vec)(linear, .212671, .715160, .072169, 1));
    V(vec) z = FN(lightness_vec)(FN(weigh_vec)(linear, .019334, .119193, .950227, 1.08883));
    lab[0] = V(sub)(V(mul)(V(set1)(116), y), V(set1)(16));
    lab[1] = V(mul)(V(set1)(500), V(sub)(x, y));
    lab[2] = V(mul)(V(set1)(200), V(sub)(y, z));
}

/* rgb in 0..1 into L, a, b. */
GCH_INLINE void FN(lab_vec)(const V(vec) rgb[3], V(vec) lab[3])
{
    V(vec) linear[3];
    for (int i = 0; i < 3; ++i)
        linear[i] = FN(linear_vec)(rgb[i]);
    FN(lab_of_linear_vec)(linear, lab);
}

/* rgb in 0..1 into h, s, v; the largest channel names the sector of the hue. */
GCH_INLINE void FN(hsv_vec)(const V(vec) rgb[3], V(vec) hsv[3])
{
    const V(vec) none = V(set1)(0), six = V(set1)(6);
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
}

/* One vector of pixels, whole or in part, through one of the above. With `hsv` a constant the choice is free.
 */
GCH_INLINE void FN(color_step)(int hsv, const struct gch_range *range, const REAL *const rgb[3],
                               REAL *const out[3], ptrdiff_t at, ptrdiff_t rest)
{
    const V(vec) low = V(set1)((REAL)range->low), span = V(set1)((REAL)(range->high - range->low));
    V(mask) inside = V(lanes)(0, rest);
    V(vec) value[3], result[3], bad = V(set1)(0);
    for (int i = 0; i < 3; ++i) {
        V(vec) v = rest < LANES ? V(load_part)(rgb[i] + at, inside) : V(load)(rgb[i] + at);
        bad = V(add)(bad, V(sub)(v, v)); /* 0 if finite, else NaN */
        value[i] = V(div)(V(sub)(v, low), span);
    }
    if (hsv) {
        FN(hsv_vec)(value, result);
    } else {
        FN(lab_vec)(value, result);
    }
    for (int i = 0; i < 3; ++i) {
        V(vec) v = V(add)(result[i], bad);
        if (rest < LANES) {
            V(store_part)(out[i] + at, inside, v);
        } else {
            V(store)(out[i] + at, v);
        }
    }
}

static void FN(color_lab)(const struct gch_range *range, const void *const rgb[3], void *const out[3],
                          ptrdiff_t count)
{
    const REAL *const from[3] = {rgb[0], rgb[1], rgb[2]};
    REAL *const to[3] = {out[0], out[1], out[2]};
    for (ptrdiff_t at = 0; at < count; at += LANES)
        FN(color_step)(0, range, from, to, at, count - at);
}

static void FN(color_hsv)(const struct gch_range *range, const void *const rgb[3], void *const out[3],
                          ptrdiff_t count)
{
    const REAL *const from[3] = {rgb[0], rgb[1], rgb[2]};
    REAL *const to[3] = {out[0], out[1], out[2]};
    for (ptrdiff_t at = 0; at < count; at += LANES)
        FN(color_step)(1, range, from, to, at, count - at);
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
