/* Uniform and normal numbers from the words of a group; rng.h says which word makes which element.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), REAL_IS_F32, the u32 vocabulary and philox.inc.h.
 * Gives: FN(rng_uniform), FN(rng_normal) for the table.
 *
 * No fused multiply-add: the scalar baseline must give the same bits. The polynomials are those of Cephes
 * (logf, log, sinf, cosf, sin, cos) on [sqrt(1/2), sqrt 2) and [-pi/4, pi/4]; the angle is reduced exactly,
 * on integers.
 */
GCH_INLINE V(vec) FN(rng_step)(V(vec) sum, V(vec) x, REAL term)
{
    return V(add)(V(mul)(sum, x), V(set1)(term));
}

/* log x for 0 < x <= 1, normal. */
GCH_INLINE V(vec) FN(rng_log)(V(vec) x)
{
    V(vec) e = V(exponent)(x), m = V(mantissa)(x);
    V(mask) above = V(less)(V(set1)((REAL)1.41421356237309504880), m);
    m = V(select)(above, V(mul)(m, V(set1)((REAL)0.5)), m);
    e = V(select)(above, V(add)(e, V(set1)(1)), e);
    V(vec) t = V(sub)(m, V(set1)(1)), z = V(mul)(t, t);
#if REAL_IS_F32
    static const REAL p[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                             -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                             2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    V(vec) y = V(set1)(p[0]);
    for (int i = 1; i < 9; ++i)
        y = FN(rng_step)(y, t, p[i]);
#else
    static const REAL p[] = {1.01875663804580931796e-4, 4.97494994976747001425e-1, 4.70579119878881725854e0,
                             1.44989225341610930846e1,  1.79368678507819816313e1,  7.70838733755885391666e0};
    static const REAL q[] = {1.12873587189167450590e1, 4.52279145837532221105e1, 8.29875266912776603211e1,
                             7.11544750618563894466e1, 2.31251620126765340583e1};
    V(vec) top = V(set1)(p[0]), below = V(add)(t, V(set1)(q[0]));
    for (int i = 1; i < 6; ++i)
        top = FN(rng_step)(top, t, p[i]);
    for (int i = 1; i < 5; ++i)
        below = FN(rng_step)(below, t, q[i]);
    V(vec) y = V(div)(top, below);
#endif
    y = V(mul)(V(mul)(y, z), t);
    y = V(add)(y, V(mul)(e, V(set1)((REAL)-2.121944400546905827679e-4)));
    y = V(sub)(y, V(mul)(z, V(set1)((REAL)0.5)));
    return V(add)(V(add)(t, y), V(mul)(e, V(set1)((REAL)0.693359375)));
}

/* Sine and cosine of |x| <= pi / 4. */
GCH_INLINE void FN(rng_sincos)(V(vec) x, V(vec) * sine, V(vec) * cosine)
{
#if REAL_IS_F32
    enum { TERMS = 3 };
    static const REAL p[] = {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f};
    static const REAL q[] = {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f};
#else
    enum { TERMS = 6 };
    static const REAL p[] = {1.58962301576546568060e-10, -2.50507477628578072866e-8,
                             2.75573136213857245213e-6,  -1.98412698295895385996e-4,
                             8.33333333332211858878e-3,  -1.66666666666666307295e-1};
    static const REAL q[] = {-1.13585365213876817300e-11, 2.08757008419747316778e-9,
                             -2.75573141792967388112e-7,  2.48015872888517045348e-5,
                             -1.38888888888730564116e-3,  4.16666666666665929218e-2};
#endif
    V(vec) z = V(mul)(x, x), s = V(set1)(p[0]), c = V(set1)(q[0]);
    for (int i = 1; i < TERMS; ++i) {
        s = FN(rng_step)(s, z, p[i]);
        c = FN(rng_step)(c, z, q[i]);
    }
    *sine = V(add)(V(mul)(V(mul)(s, z), x), x);
    *cosine = V(add)(V(sub)(V(mul)(V(mul)(c, z), z), V(mul)(z, V(set1)((REAL)0.5))), V(set1)(1));
}

/* Box-Muller for u in (0, 1] and the angle `quarter` (0, 1, 2 or 3) quarter turns and x more. */
GCH_INLINE void FN(rng_pair)(V(vec) u, V(vec) quarter, V(vec) x, V(vec) * first, V(vec) * second)
{
    V(vec) s, c, radius = V(sqrt)(V(mul)(FN(rng_log)(u), V(set1)(-2)));
    FN(rng_sincos)(x, &s, &c);
    const V(vec) one = V(set1)(1), minus = V(set1)(-1);
    V(mask) lower = V(less)(V(set1)((REAL)1.5), quarter);
    V(mask) left = V(less)(V(abs)(V(sub)(quarter, V(set1)((REAL)1.5))), one);
    V(mask) odd = V(less)(V(set1)((REAL)0.5), V(sub)(quarter, V(select)(lower, V(set1)(2), V(set1)(0))));
    V(vec) cosine = V(mul)(V(select)(odd, s, c), V(select)(left, minus, one));
    V(vec) sine = V(mul)(V(select)(odd, c, s), V(select)(lower, minus, one));
    *first = V(mul)(radius, cosine);
    *second = V(mul)(radius, sine);
}

#if REAL_IS_F32
enum { FN(RNG_GROUP) = GCH_RNG_GROUP_F32, FN(RNG_PAIRS) = 2 };

GCH_INLINE V(vec) FN(rng_fraction)(uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES], int number, int at)
{
    return V(mul)(f32_from_i32(u32_shift_right(u32_load(words[number] + at), 8)), V(set1)(0x1p-24f));
}

/* Vector `at` of pair `pair` of a group's normals. */
GCH_INLINE void FN(rng_normals)(uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES], int pair, int at,
                                V(vec) * first, V(vec) * second)
{
    const u32_vec a = u32_load(words[2 * pair] + at), b = u32_load(words[2 * pair + 1] + at);
    V(vec) high = f32_from_i32(u32_shift_right(a, 16)), low = f32_from_i32(u32_and(a, u32_set1(0xffffu)));
    V(vec) u = V(add)(V(add)(V(mul)(high, V(set1)(65536)), low), V(set1)(0.5f));
    const u32_vec quarter = u32_shift_right(u32_add(b, u32_set1(1u << 29)), 30);
    V(vec) x = f32_from_i32(u32_sub(b, u32_shift_left(quarter, 30)));
    x = V(mul)(x, V(set1)((REAL)(1.57079632679489661923 * 0x1p-30)));
    FN(rng_pair)(V(mul)(u, V(set1)(0x1p-32f)), f32_from_i32(quarter), x, first, second);
}
#else
enum { FN(RNG_GROUP) = GCH_RNG_GROUP_F64, FN(RNG_PAIRS) = 1 };

/* 53 bits of two words, as a whole number. */
GCH_INLINE V(vec) FN(rng_whole)(uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES], int number, int at)
{
    uint32_t high[LANES], low[LANES];
    for (int i = 0; i < LANES; ++i) {
        high[i] = words[number][at + i] >> 5;
        low[i] = words[number + 1][at + i] >> 6;
    }
    return V(add)(V(mul)(f64_from_i32(high), V(set1)(0x1p26)), f64_from_i32(low));
}

GCH_INLINE V(vec) FN(rng_fraction)(uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES], int number, int at)
{
    return V(mul)(FN(rng_whole)(words, 2 * number, at), V(set1)(0x1p-53));
}

GCH_INLINE void FN(rng_normals)(uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES], int pair, int at,
                                V(vec) * first, V(vec) * second)
{
    uint32_t quarter[LANES], whole[LANES], rest[LANES];
    (void)pair;
    for (int i = 0; i < LANES; ++i) {
        quarter[i] = (words[2][at + i] + (1u << 29)) >> 30;
        whole[i] = words[2][at + i] - (quarter[i] << 30);
        rest[i] = words[3][at + i] >> 6;
    }
    V(vec) u = V(mul)(V(add)(FN(rng_whole)(words, 0, at), V(set1)(0.5)), V(set1)(0x1p-53));
    V(vec) x = V(add)(V(mul)(f64_from_i32(whole), V(set1)(0x1p26)), f64_from_i32(rest));
    x = V(mul)(x, V(set1)(1.57079632679489661923 * 0x1p-56));
    FN(rng_pair)(u, f64_from_i32(quarter), x, first, second);
}
#endif

/* v * scale + shift to the elements from `at` on of a group of which `rest` are wanted. */
GCH_INLINE void FN(rng_store)(REAL *out, ptrdiff_t at, ptrdiff_t rest, V(vec) v, V(vec) scale, V(vec) shift)
{
    v = V(add)(V(mul)(v, scale), shift);
    if (at + LANES <= rest)
        V(store)(out + at, v);
    else if (at < rest)
        V(store_part)(out + at, V(lanes)(0, rest - at), v);
}

static void FN(rng_uniform)(const struct gch_rng_stream *stream, uint64_t group, void *target,
                            ptrdiff_t count, double low, double high)
{
    enum { GROUP = FN(RNG_GROUP) };
    const V(vec) scale = V(set1)((REAL)high - (REAL)low), shift = V(set1)((REAL)low);
    REAL *out = target;
    struct philox_keys keys;
    philox_schedule(stream, &keys);
    for (; count > 0; count -= GROUP, out += GROUP, ++group) {
        uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES] GCH_ALIGNED;
        philox_group(&keys, stream->draw, group, words);
        for (int number = 0; number < GROUP / GCH_RNG_LANES; ++number)
            for (int at = 0; at < GCH_RNG_LANES; at += LANES)
                FN(rng_store)(out, number * GCH_RNG_LANES + at, count, FN(rng_fraction)(words, number, at),
                              scale, shift);
    }
}

static void FN(rng_normal)(const struct gch_rng_stream *stream, uint64_t group, void *target, ptrdiff_t count,
                           double mean, double std)
{
    enum { GROUP = FN(RNG_GROUP) };
    const V(vec) scale = V(set1)((REAL)std), shift = V(set1)((REAL)mean);
    REAL *out = target;
    struct philox_keys keys;
    philox_schedule(stream, &keys);
    for (; count > 0; count -= GROUP, out += GROUP, ++group) {
        uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES] GCH_ALIGNED;
        philox_group(&keys, stream->draw, group, words);
        for (int pair = 0; pair < FN(RNG_PAIRS); ++pair) {
            for (int at = 0; at < GCH_RNG_LANES; at += LANES) {
                V(vec) first, second;
                FN(rng_normals)(words, pair, at, &first, &second);
                ptrdiff_t place = 2 * pair * GCH_RNG_LANES + at;
                FN(rng_store)(out, place, count, first, scale, shift);
                FN(rng_store)(out, place + GCH_RNG_LANES, count, second, scale, shift);
            }
        }
    }
}
