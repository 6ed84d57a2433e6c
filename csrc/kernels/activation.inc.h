/* Activations on vectors and on arrays.
 *
 * Template. Needs: REAL (float or double), V(word) (the vocabulary for REAL), LANES, FN(name), REAL_IS_F32.
 * Gives: FN(activate_vec) for the kernels that fuse an activation, FN(activation_apply) for the table.
 *
 * exp: x = n ln 2 + r, |r| <= ln 2 / 2, exp(r) by Cephes' polynomial (float) or rational function (double);
 *      2^n in two factors, so that results underflow gradually.
 * tanh: odd polynomial (float) or rational function (double) of Cephes below 5/8, else 1 - 2 / (exp 2|x| + 1);
 *      limited at 10 (float) and 20 (double), where the result has long been 1.
 * sigmoid: with e = exp(-|x|): 1 / (1 + e) for x >= 0, e / (1 + e) for x < 0, which keeps its relative accuracy.
 * NaN survives because every comparison is written so that a false answer returns the argument.
 */
/* near, a constant at every call: the result is so far from the ends of the range that 2^n needs one factor. */
GCH_INLINE V(vec) FN(exp_vec)(const int near, V(vec) x)
{
#if REAL_IS_F32
    const REAL ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f, most = 252.0f;
    static const REAL p[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                             4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
#else
    const REAL ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6, most = 2044.0;
    static const REAL p[] = {1.26177193074810590878e-4, 3.02994407707441961300e-2, 1.0};
    static const REAL q[] = {3.00198505138664455042e-6, 2.52448340349684104192e-3, 2.27265548208155028766e-1,
                             2.0};
#endif
    V(vec) n = V(round)(V(mul)(x, V(set1)((REAL)1.44269504088896340736)));
    if (!near) n = V(max)(V(min)(n, V(set1)(most)), V(set1)(-most));
    V(vec) r = V(fma)(n, V(set1)(-ln2_high), x);
    r = V(fma)(n, V(set1)(-ln2_low), r);
    V(vec) z = V(mul)(r, r);
#if REAL_IS_F32
    V(vec) y = V(set1)(p[0]);
    for (int i = 1; i < 6; ++i)
        y = V(fma)(y, r, V(set1)(p[i]));
    y = V(add)(V(fma)(y, z, r), V(set1)(1));
#else
    V(vec) u = V(fma)(V(fma)(V(set1)(p[0]), z, V(set1)(p[1])), z, V(set1)(p[2]));
    V(vec) w = V(fma)(V(fma)(V(fma)(V(set1)(q[0]), z, V(set1)(q[1])), z, V(set1)(q[2])), z, V(set1)(q[3]));
    u = V(mul)(u, r);
    V(vec) y = V(fma)(V(set1)(2), V(div)(u, V(sub)(w, u)), V(set1)(1));
#endif
    if (near) return V(mul)(y, V(pow2)(n));
    V(vec) half = V(round)(V(mul)(n, V(set1)((REAL)0.5)));
    return V(mul)(V(mul)(y, V(pow2)(half)), V(pow2)(V(sub)(n, half)));
}

GCH_INLINE V(vec) FN(tanh_vec)(V(vec) x)
{
    V(vec) size = V(abs)(x), z = V(mul)(x, x);
#if REAL_IS_F32
    const REAL limit = 10;
    static const REAL p[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                             -3.33332819422e-1f};
    V(vec) small = V(set1)(p[0]);
    for (int i = 1; i < 5; ++i)
        small = V(fma)(small, z, V(set1)(p[i]));
    small = V(fma)(V(mul)(small, z), x, x);
#else
    const REAL limit = 20;
    V(vec) top = V(fma)(V(set1)(-9.64399179425052238628e-1), z, V(set1)(-9.92877231001918586564e1));
    top = V(fma)(top, z, V(set1)(-1.61468768441708447952e3));
    V(vec) below = V(add)(z, V(set1)(1.12811678491632931402e2));
    below = V(fma)(below, z, V(set1)(2.23548839060100448583e3));
    below = V(fma)(below, z, V(set1)(4.84406305325125486048e3));
    V(vec) small = V(fma)(V(mul)(x, z), V(div)(top, below), x);
#endif
    V(vec) bounded = V(min)(V(set1)(limit), size);
    V(vec) e = FN(exp_vec)(1, V(add)(bounded, bounded));
    V(vec) large = V(sub)(V(set1)(1), V(div)(V(set1)(2), V(add)(e, V(set1)(1))));
    /* The sign goes on last: the sum that makes `small` turns -0 into +0. */
    return V(copysign)(V(select)(V(less)(size, V(set1)((REAL)0.625)), small, large), x);
}

GCH_INLINE V(vec) FN(sigmoid_vec)(V(vec) x)
{
    const REAL least = REAL_IS_F32 ? -110 : -760;
    V(vec) e = FN(exp_vec)(0, V(max)(V(set1)(least), V(neg)(V(abs)(x))));
    V(vec) top = V(select)(V(less)(x, V(set1)(0)), e, V(set1)(1));
    return V(div)(top, V(add)(e, V(set1)(1)));
}

GCH_INLINE V(vec) FN(activate_vec)(enum gch_activation_kind kind, REAL low, REAL high, V(vec) x)
{
    switch (kind) {
    case GCH_TANH:
        return FN(tanh_vec)(x);
    case GCH_SIGMOID:
        return FN(sigmoid_vec)(x);
    case GCH_RELU:
        return V(select)(V(less)(x, V(set1)(0)), V(set1)(0), x);
    case GCH_LEAKY_RELU:
        return V(select)(V(less)(V(set1)(0), x), x, V(mul)(x, V(set1)(low)));
    case GCH_CLAMP:
        x = V(select)(V(less)(x, V(set1)(low)), V(set1)(low), x);
        return V(select)(V(less)(V(set1)(high), x), V(set1)(high), x);
    case GCH_LINEAR:
        break;
    }
    return x;
}

/* With `kind` a constant at each call below, the switch above is resolved outside the loop. */
GCH_INLINE void FN(activation_loop)(enum gch_activation_kind kind, REAL low, REAL high, const REAL *x,
                                    REAL *y, ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        V(store)(y + i, FN(activate_vec)(kind, low, high, V(load)(x + i)));
    if (i < count) {
        V(mask) rest = V(lanes)(0, count - i);
        V(store_part)(y + i, rest, FN(activate_vec)(kind, low, high, V(load_part)(x + i, rest)));
    }
}

static void FN(activation_apply)(const struct gch_activation *activation, const void *source, void *target,
                                 ptrdiff_t count)
{
    const REAL *x = source, low = (REAL)activation->low, high = (REAL)activation->high;
    REAL *y = target;
    switch (activation->kind) {
    case GCH_LINEAR:
        FN(activation_loop)(GCH_LINEAR, low, high, x, y, count);
        break;
    case GCH_TANH:
        FN(activation_loop)(GCH_TANH, low, high, x, y, count);
        break;
    case GCH_SIGMOID:
        FN(activation_loop)(GCH_SIGMOID, low, high, x, y, count);
        break;
    case GCH_RELU:
        FN(activation_loop)(GCH_RELU, low, high, x, y, count);
        break;
    case GCH_LEAKY_RELU:
        FN(activation_loop)(GCH_LEAKY_RELU, low, high, x, y, count);
        break;
    case GCH_CLAMP:
        FN(activation_loop)(GCH_CLAMP, low, high, x, y, count);
        break;
    }
}
