/* PyTorch's uniform and normal numbers; mt19937.h says which words make which element.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), REAL_IS_F32 and the u32 vocabulary.
 * Gives: FN(torch_uniform), FN(torch_normal) for the table.
 *
 * V(fused) is rounded once on every instruction set: here a second rounding would be another number.
 */
#if REAL_IS_F32
GCH_INLINE V(vec) FN(torch_fraction)(const uint32_t *words, ptrdiff_t at)
{
    return V(mul)(f32_from_i32(u32_and(u32_load(words + at), u32_set1(0x00ffffffu))), V(set1)(0x1p-24f));
}
#else
GCH_INLINE V(vec) FN(torch_fraction)(const uint32_t *words, ptrdiff_t at)
{
    uint32_t high[LANES], low[LANES]; /* 27 and 26 bits: whole numbers that a signed conversion reads */
    for (int i = 0; i < LANES; ++i) {
        const uint32_t first = words[2 * (at + i)], second = words[2 * (at + i) + 1];
        high[i] = (first & 0x001fffffu) << 6 | second >> 26;
        low[i] = second & 0x03ffffffu;
    }
    return V(mul)(V(add)(V(mul)(f64_from_i32(high), V(set1)(0x1p26)), f64_from_i32(low)), V(set1)(0x1p-53));
}
#endif

GCH_INLINE void FN(torch_uniform_as)(const uint32_t *words, REAL *out, ptrdiff_t count, REAL low, REAL high,
                                     int fused)
{
    const V(vec) from = V(set1)(low), to = V(set1)(high), span = V(set1)(high - low);
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        V(vec) u = FN(torch_fraction)(words, i);
        V(vec) value = fused ? V(fused)(u, span, from) : V(add)(V(mul)(u, span), from);
        V(vec) not_above = V(select)(V(less)(to, value), value, from);
        value = V(select)(V(less)(value, to), value, not_above);
        if (i + LANES <= count)
            V(store)(out + i, value);
        else
            V(store_part)(out + i, V(lanes)(0, count - i), value);
    }
}

static void FN(torch_uniform)(const uint32_t *words, void *out, ptrdiff_t count, double low, double high,
                              enum gch_torch_capability capability)
{
    if (capability == GCH_TORCH_AVX2)
        FN(torch_uniform_as)(words, out, count, (REAL)low, (REAL)high, 1);
    else
        FN(torch_uniform_as)(words, out, count, (REAL)low, (REAL)high, 0);
}

/* With the C library's functions, whose bits a vectorised copy would not give. */
static void FN(torch_normal_libm)(REAL *data, ptrdiff_t blocks, REAL mean, REAL std)
{
    for (ptrdiff_t i = 0; i < GCH_TORCH_BLOCK * blocks; i += GCH_TORCH_BLOCK) {
        for (ptrdiff_t j = i; j < i + GCH_TORCH_BLOCK / 2; ++j) {
            const REAL u1 = 1 - data[j];
#if REAL_IS_F32
            const REAL angle = (REAL)(6.28318530717958647692 * data[j + 8]);
            const REAL radius = sqrtf(-2 * logf(u1));
            data[j] = fmaf(radius * cosf(angle), std, mean);
            data[j + 8] = fmaf(radius * sinf(angle), std, mean);
#else
            const REAL angle = 6.28318530717958647692 * data[j + 8];
            const REAL radius = sqrt(-2 * log(u1));
            data[j] = fma(radius * cos(angle), std, mean);
            data[j + 8] = fma(radius * sin(angle), std, mean);
#endif
        }
    }
}

#if REAL_IS_F32
/* log x for 2^-24 <= x <= 1. */
GCH_INLINE V(vec) FN(torch_log)(V(vec) x)
{
    static const REAL p[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                             -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                             2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    V(vec) e = V(exponent)(x), m = V(mantissa)(x); /* reduced to sqrt(1/2) <= m < sqrt 2, exactly */
    V(mask) above = V(less)(m, V(set1)(2 * 0.707106781186547524f));
    m = V(select)(above, m, V(mul)(m, V(set1)(0.5f)));
    e = V(select)(above, e, V(add)(e, V(set1)(1)));
    V(vec) t = V(sub)(m, V(set1)(1)), z = V(mul)(t, t), y = V(set1)(p[0]);
    for (int i = 1; i < 9; ++i)
        y = V(fused)(y, t, V(set1)(p[i]));
    y = V(fused)(V(mul)(y, t), z, V(mul)(e, V(set1)(-2.12194440e-4f)));
    y = V(fused)(V(neg)(z), V(set1)(0.5f), y);
    return V(fused)(e, V(set1)(0.693359375f), V(add)(t, y));
}

/* Sine and cosine of 0 <= x <= 2 pi. */
GCH_INLINE void FN(torch_sincos)(V(vec) x, V(vec) * sine, V(vec) * cosine)
{
    const V(vec) one = V(set1)(1), minus = V(set1)(-1), half = V(set1)(0.5f);
    /* The nearest whole quarter turn: half of (floor(x 4 / pi) + 1), rounded down. */
    V(vec) eighth = V(mul)(x, V(set1)(1.27323954473516f)), whole = V(round)(eighth);
    whole = V(select)(V(less)(eighth, whole), V(sub)(whole, one), whole);
    V(vec) quarter = V(round)(V(sub)(V(mul)(V(add)(whole, one), half), V(set1)(0.25f)));
    const V(vec) turns = V(add)(quarter, quarter);
    x = V(fused)(turns, V(set1)(-0.78515625f), x);
    x = V(fused)(turns, V(set1)(-2.4187564849853515625e-4f), x);
    x = V(fused)(turns, V(set1)(-3.77489497744594108e-8f), x);
    const V(vec) z = V(mul)(x, x);
    V(vec) c = V(fused)(V(set1)(2.443315711809948e-5f), z, V(set1)(-1.388731625493765e-3f));
    c = V(mul)(V(fused)(c, z, V(set1)(4.166664568298827e-2f)), z);
    c = V(add)(V(fused)(c, z, V(neg)(V(mul)(z, half))), one);
    V(vec) s = V(fused)(V(set1)(-1.9515295891e-4f), z, V(set1)(8.3321608736e-3f));
    s = V(fused)(s, z, V(set1)(-1.6666654611e-1f));
    s = V(fused)(V(mul)(s, z), x, x);
    quarter = V(select)(V(less)(V(set1)(3.5f), quarter), V(set1)(0), quarter);
    V(mask) lower = V(less)(V(set1)(1.5f), quarter);
    V(mask) left = V(less)(V(abs)(V(sub)(quarter, V(set1)(1.5f))), one);
    V(mask) odd = V(less)(half, V(sub)(quarter, V(select)(lower, V(set1)(2), V(set1)(0))));
    *sine = V(mul)(V(select)(odd, c, s), V(select)(lower, minus, one));
    *cosine = V(mul)(V(select)(odd, s, c), V(select)(left, minus, one));
}

/* A block's halves are shorter than the widest vector: some blocks at a time are taken apart first. */
static void FN(torch_normal_polynomial)(REAL *data, ptrdiff_t blocks, REAL mean, REAL std)
{
    enum { HALF = GCH_TORCH_BLOCK / 2, TOGETHER = 16, BYTES = HALF * sizeof(REAL) };
    REAL first[TOGETHER * HALF] GCH_ALIGNED, second[TOGETHER * HALF] GCH_ALIGNED;
    memset(first, 0, LANES * sizeof *first); /* one block may not fill a vector */
    memset(second, 0, LANES * sizeof *second);
    for (; blocks > 0; blocks -= TOGETHER, data += TOGETHER * GCH_TORCH_BLOCK) {
        const int now = blocks < TOGETHER ? (int)blocks : TOGETHER;
        for (int i = 0; i < now; ++i) {
            memcpy(first + i * HALF, data + i * GCH_TORCH_BLOCK, BYTES);
            memcpy(second + i * HALF, data + i * GCH_TORCH_BLOCK + HALF, BYTES);
        }
        for (int i = 0; i < now * HALF; i += LANES) {
            V(vec) sine, cosine, u = V(sub)(V(set1)(1), V(load)(first + i));
            const V(vec) radius = V(sqrt)(V(mul)(V(set1)(-2), FN(torch_log)(u)));
            FN(torch_sincos)(V(mul)(V(set1)(6.28318530717958647692f), V(load)(second + i)), &sine, &cosine);
            V(store)(first + i, V(fused)(V(mul)(radius, cosine), V(set1)(std), V(set1)(mean)));
            V(store)(second + i, V(fused)(V(mul)(radius, sine), V(set1)(std), V(set1)(mean)));
        }
        for (int i = 0; i < now; ++i) {
            memcpy(data + i * GCH_TORCH_BLOCK, first + i * HALF, BYTES);
            memcpy(data + i * GCH_TORCH_BLOCK + HALF, second + i * HALF, BYTES);
        }
    }
}
#endif

static void FN(torch_normal)(void *data, ptrdiff_t blocks, double mean, double std,
                             enum gch_torch_capability capability)
{
#if REAL_IS_F32
    if (capability == GCH_TORCH_AVX2) {
        FN(torch_normal_polynomial)(data, blocks, (REAL)mean, (REAL)std);
        return;
    }
#else
    (void)capability;
#endif
    FN(torch_normal_libm)(data, blocks, (REAL)mean, (REAL)std);
}
