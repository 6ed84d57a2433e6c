/* CIELAB of sRGB.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), REAL_IS_F32. Gives: FN(lab_vec) and FN(lab_any_vec); for floats also
 * unit_linear_vecs and lab_of_linear_vec, for the statistics of values in 0..1.
 *
 * Roots, because pow() is neither fast nor the same everywhere, and without a division, which costs as much as
 * ten multiplications: x = m 2^e, so e + m - 1 is within .09 of log2 x; minus a p-th of it, turned back in the
 * same way and centred, is within 4 % of x^(-1/p); Newton's iteration squares that error (times (p + 1) / 2);
 * then x times that to the p - 1 is the root, put right by one step of its own, whose rounding hardly counts.
 *
 * Floats in 0..1, which is nearly all there ever are, take less: there are only eight exponents, so that a power is
 * a polynomial of m (near-minimax) times a number of a table.
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

/* sRGB's curve undone: `curve` where it is one, else the line. */
GCH_INLINE V(vec) FN(curve_or_line)(V(vec) c, V(vec) curve)
{
    return V(select)(V(less)(V(set1)((REAL)0.04045), c), curve, V(mul)(c, V(set1)((REAL)(1 / 12.92))));
}

GCH_INLINE V(vec) FN(linear_vec)(V(vec) c)
{
    V(vec) z = V(mul)(V(add)(c, V(set1)((REAL)0.055)), V(set1)((REAL)(1 / 1.055)));
    V(vec) fifth = FN(root_vec)(z, 5);
    return FN(curve_or_line)(c, V(mul)(V(mul)(z, z), V(mul)(fifth, fifth)));
}

/* CIE's compression of a tristimulus value, relative to white: `root`, or a line. */
GCH_INLINE V(vec) FN(root_or_line)(V(vec) t, V(vec) root)
{
    V(vec) line = V(fused)(V(set1)((REAL)7.787), t, V(set1)((REAL)(16.0 / 116.0)));
    return V(select)(V(less)(V(set1)((REAL)0.008856), t), root, line);
}

/* Of linear red, green and blue, X, Y and Z relative to white. */
GCH_INLINE void FN(tristimulus_vec)(const V(vec) rgb[3], V(vec) xyz[3])
{
    static const REAL weight[3][3] = {
        {(REAL)(.412453 / .95047), (REAL)(.357580 / .95047), (REAL)(.180423 / .95047)},
        {(REAL).212671, (REAL).715160, (REAL).072169},
        {(REAL)(.019334 / 1.08883), (REAL)(.119193 / 1.08883), (REAL)(.950227 / 1.08883)}};
    GCH_UNROLL
    for (int i = 0; i < 3; ++i) {
        V(vec) sum = V(mul)(V(set1)(weight[i][2]), rgb[2]);
        sum = V(fused)(V(set1)(weight[i][1]), rgb[1], sum);
        xyz[i] = V(fused)(V(set1)(weight[i][0]), rgb[0], sum);
    }
}

GCH_INLINE void FN(lab_of_compressed)(const V(vec) f[3], V(vec) lab[3])
{
    lab[0] = V(fused)(V(set1)(116), f[1], V(set1)(-16));
    lab[1] = V(mul)(V(set1)(500), V(sub)(f[0], f[1]));
    lab[2] = V(mul)(V(set1)(200), V(sub)(f[1], f[2]));
}

/* rgb into L, a, b, where black is 0 and white 1; three NaN where a channel is not finite. */
GCH_INLINE void FN(lab_of_any_vec)(const V(vec) rgb[3], V(vec) lab[3])
{
    V(vec) linear[3], f[3], bad = V(set1)(0);
    GCH_UNROLL
    for (int i = 0; i < 3; ++i) {
        bad = V(add)(bad, V(sub)(rgb[i], rgb[i]));
        linear[i] = FN(linear_vec)(rgb[i]);
    }
    FN(tristimulus_vec)(linear, f);
    GCH_UNROLL
    for (int i = 0; i < 3; ++i)
        f[i] = FN(root_or_line)(f[i], FN(root_vec)(f[i], 3));
    FN(lab_of_compressed)(f, lab);
    GCH_UNROLL
    for (int i = 0; i < 3; ++i)
        lab[i] = V(add)(lab[i], bad);
}

#if REAL_IS_F32

/* -- the roots of `count` vectors at a time, step by step together: none waits for its own last step -------------- */

/* Of c in 0..1. With z = c + .055 = m 2^e: m^2.4 by a polynomial (relative error 2e-8), times (2^e / 1.055)^2.4
 * for e = -4..0. */
GCH_INLINE void unit_linear_vecs(int count, const f32_vec *c, f32_vec *linear)
{
    static const float power[7] = {-0.00125756022F, 0.0152263874F, -0.0892691761F, 0.453515679F,
                                   0.72172755F,     -0.115514949F, 0.0155720785F};
    static const float scale[8] = {
        0, 0, 0, 0.00113319885F, 0.00598105974F, 0.0315682217F, 0.166618079F, 0.879415452F};
    f32_vec z[3], m[3], y[3];
    GCH_UNROLL
    for (int i = 0; i < count; ++i) {
        z[i] = f32_add(c[i], f32_set1(0.055F));
        m[i] = f32_mantissa(z[i]);
        y[i] = f32_set1(power[0]);
    }
    GCH_UNROLL
    for (int k = 1; k < 7; ++k) {
        GCH_UNROLL
        for (int i = 0; i < count; ++i)
            y[i] = f32_fused(y[i], m[i], f32_set1(power[k]));
    }
    GCH_UNROLL
    for (int i = 0; i < count; ++i)
        linear[i] = curve_or_line_f32(c[i], f32_mul(y[i], f32_by_exponent(scale, z[i])));
}

/* Of t in 0..1, and a little beyond, from t = m 2^e. The root of m is that of `middle` and a polynomial of the
 * distance from there, which is small: so it has few roundings to its last bit. `middle` is such that three numbers
 * of `whole`, its root times 2^(e/3), and by them all, are floats to 1 % of their last bit. */
GCH_INLINE void unit_lightness_vecs(int count, const f32_vec *t, f32_vec *f)
{
    static const float middle = 1.46676016F;
    static const float power[8] = {-0.00091133872F, 0.00177180057F, -0.00268635689F, 0.00499619963F,
                                   -0.0100996178F,  0.0222296659F,  -0.058680404F,   0.258209705F};
    static const float whole[8] = {0.225449726F, 0.284048855F, 0.357879132F, 0.450899452F,
                                   0.568097711F, 0.715758264F, 0.901798904F, 1.13619542F};
    static const float scale[8] = {0.198425129F, 0.25F,        0.314980268F, 0.396850258F,
                                   0.5F,         0.629960537F, 0.793700516F, 1};
    f32_vec d[3], y[3];
    GCH_UNROLL
    for (int i = 0; i < count; ++i) {
        d[i] = f32_sub(f32_mantissa(t[i]), f32_set1(middle));
        y[i] = f32_set1(power[0]);
    }
    GCH_UNROLL
    for (int k = 1; k < 8; ++k) {
        GCH_UNROLL
        for (int i = 0; i < count; ++i)
            y[i] = f32_fused(y[i], d[i], f32_set1(power[k]));
    }
    GCH_UNROLL
    for (int i = 0; i < count; ++i) {
        y[i] = f32_fused(f32_mul(y[i], d[i]), f32_by_exponent(scale, t[i]), f32_by_exponent(whole, t[i]));
        f[i] = root_or_line_f32(t[i], y[i]);
    }
}

/* Linear rgb in 0..1 into L, a, b. */
GCH_INLINE void lab_of_linear_vec(const f32_vec linear[3], f32_vec lab[3])
{
    f32_vec xyz[3], f[3];
    tristimulus_vec_f32(linear, xyz);
    unit_lightness_vecs(3, xyz, f);
    lab_of_compressed_f32(f, lab);
}

/* rgb into L, a, b if all is in 0..1; 0 if not. */
GCH_INLINE int lab_vec_f32(const f32_vec rgb[3], f32_vec lab[3])
{
    f32_vec linear[3];
    unit_linear_vecs(3, rgb, linear);
    lab_of_linear_vec(linear, lab);
    /* Bits of floats, as integers, have their order; a sign or NaN is above all. */
    u32_vec most = u32_max(u32_max(f32_bits(rgb[0]), f32_bits(rgb[1])), f32_bits(rgb[2]));
    return !u32_any_above(most, f32_bits(f32_set1(1)));
}

/* The same of any values: pixels in 0..1 have the same bits beside any others. */
GCH_INLINE void lab_any_vec_f32(const f32_vec rgb[3], f32_vec lab[3])
{
    const f32_vec none = f32_set1(0), one = f32_set1(1);
    f32_vec inside = one, any[3];
    lab_of_any_vec_f32(rgb, any);
    lab_vec_f32(rgb, lab);
    for (int i = 0; i < 3; ++i) {
        inside = f32_select(f32_less(one, rgb[i]), none, f32_select(f32_less(rgb[i], none), none, inside));
        inside = f32_mul(inside, f32_add(f32_sub(rgb[i], rgb[i]), one)); /* NaN stays NaN */
    }
    for (int i = 0; i < 3; ++i)
        lab[i] = f32_select(f32_less(none, inside), lab[i], any[i]);
}

#else

GCH_INLINE int lab_vec_f64(const f64_vec rgb[3], f64_vec lab[3])
{
    lab_of_any_vec_f64(rgb, lab);
    return 1;
}

GCH_INLINE void lab_any_vec_f64(const f64_vec rgb[3], f64_vec lab[3]) { lab_of_any_vec_f64(rgb, lab); }

#endif
