/* Derivatives of the activations.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), REAL_IS_F32, FN(exp_vec). Gives: FN(activation_backward).
 *
 * tanh' = 4 e / (1 + e)^2 with e = exp(-2 |x|), sigmoid' = e / (1 + e)^2 with e = exp(-|x|): no difference of numbers
 * that are nearly equal, as 1 - tanh^2 is, so the tails keep their relative accuracy.
 */
GCH_INLINE V(vec) FN(bell_vec)(V(vec) x)
{
    const REAL least = REAL_IS_F32 ? -110 : -760;
    V(vec) e = FN(exp_vec)(0, V(max)(V(set1)(least), V(neg)(V(abs)(x))));
    V(vec) whole = V(add)(e, V(set1)(1));
    return V(div)(e, V(mul)(whole, whole));
}

GCH_INLINE V(vec)
    FN(activate_backward_vec)(enum gch_activation_kind kind, REAL low, REAL high, V(vec) grad, V(vec) x)
{
    const V(vec) zero = V(set1)(0), one = V(set1)(1);
    switch (kind) {
    case GCH_TANH:
        return V(mul)(grad, V(mul)(V(set1)(4), FN(bell_vec)(V(add)(x, x))));
    case GCH_SIGMOID:
        return V(mul)(grad, FN(bell_vec)(x));
    case GCH_RELU:
        /* What is not above 0 is below 1, unless it is NaN. */
        return V(select)(V(less)(zero, x), grad, V(select)(V(less)(x, one), zero, grad));
    case GCH_LEAKY_RELU:
        return V(select)(V(less)(zero, x), grad, V(mul)(grad, V(set1)(low)));
    case GCH_CLAMP:
        grad = V(select)(V(less)(x, V(set1)(low)), zero, grad);
        grad = V(select)(V(less)(V(set1)(high), x), zero, grad);
        return V(select)(V(less)(zero, x), grad, V(select)(V(less)(x, one), grad, zero));
    case GCH_LINEAR:
        break;
    }
    return grad;
}

GCH_INLINE void FN(activation_backward_loop)(enum gch_activation_kind kind, REAL low, REAL high,
                                             const REAL *grad, const REAL *x, REAL *out, ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        V(store)(out + i, FN(activate_backward_vec)(kind, low, high, V(load)(grad + i), V(load)(x + i)));
    if (i < count) {
        V(mask) rest = V(lanes)(0, count - i);
        V(vec) last = V(load_part)(grad + i, rest), at = V(load_part)(x + i, rest);
        V(store_part)(out + i, rest, FN(activate_backward_vec)(kind, low, high, last, at));
    }
}

static void FN(activation_backward)(const struct gch_activation *activation, const void *grad, const void *x,
                                    void *out, ptrdiff_t count)
{
    const REAL low = (REAL)activation->low, high = (REAL)activation->high;
    switch (activation->kind) {
    case GCH_LINEAR:
        FN(activation_backward_loop)(GCH_LINEAR, low, high, grad, x, out, count);
        break;
    case GCH_TANH:
        FN(activation_backward_loop)(GCH_TANH, low, high, grad, x, out, count);
        break;
    case GCH_SIGMOID:
        FN(activation_backward_loop)(GCH_SIGMOID, low, high, grad, x, out, count);
        break;
    case GCH_RELU:
        FN(activation_backward_loop)(GCH_RELU, low, high, grad, x, out, count);
        break;
    case GCH_LEAKY_RELU:
        FN(activation_backward_loop)(GCH_LEAKY_RELU, low, high, grad, x, out, count);
        break;
    case GCH_CLAMP:
        FN(activation_backward_loop)(GCH_CLAMP, low, high, grad, x, out, count);
        break;
    }
}
