/* What surrounds the strips: weights in, rows out.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name), FN(activation_apply).
 * Gives: FN(conv_pack), FN(conv_finish), FN(conv_stage) for the table.
 */
/* Zero times what is not finite is NaN, and NaN stays. */
GCH_INLINE int FN(conv_finite)(const REAL *x, ptrdiff_t count)
{
    const V(vec) zero = V(set1)(0);
    V(vec) sums = zero;
    REAL sum[LANES], total = 0;
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        sums = V(fma)(V(load)(x + i), zero, sums);
    V(store)(sum, sums);
    for (; i < count; ++i)
        total += x[i] * 0;
    for (int lane = 0; lane < LANES; ++lane)
        total += sum[lane];
    return total == 0;
}

static int FN(conv_pack)(const struct gch_conv_pack *pack)
{
    const REAL *scale = pack->channel_scale;
    REAL *target = pack->packed;
    for (ptrdiff_t c = 0; c < pack->channels; ++c) {
        const REAL *channel = (const REAL *)pack->weight + c * pack->weight_channel;
        const REAL by = scale != NULL ? scale[c] : (REAL)1;
        for (ptrdiff_t i = 0; i < pack->taps[1]; ++i) {
            const REAL *column = channel + pack->first[1] + i * pack->pitch[1];
            for (ptrdiff_t j = 0; j < pack->taps[0]; ++j) {
                const REAL *tap = column + (pack->first[0] + j * pack->pitch[0]) * pack->weight_row;
                for (ptrdiff_t f = 0; f < pack->filters; ++f)
                    *target++ = tap[f * pack->weight_filter] * by;
            }
        }
    }
    return FN(conv_finite)(pack->packed, target - (const REAL *)pack->packed);
}

/* Adding -0 changes no value, so a missing bias needs no path of its own. */
GCH_INLINE V(vec) FN(conv_affine)(const REAL *sum, V(vec) scale, V(vec) bias)
{
    return V(add)(V(mul)(V(load)(sum), scale), bias);
}

GCH_INLINE void FN(conv_store)(REAL *out, ptrdiff_t rest, V(vec) y)
{
    if (rest >= LANES)
        V(store)(out, y);
    else
        V(store_part)(out, V(lanes)(0, rest), y);
}

static void FN(conv_finish)(const struct gch_conv_finish *finish)
{
    const REAL *sum = finish->sum;
    const V(vec) scale = V(set1)((REAL)finish->scale);
    const V(vec) bias = V(set1)(finish->bias != NULL ? *(const REAL *)finish->bias : (REAL)-0.0);
    REAL *out = finish->out;
    const ptrdiff_t count = finish->count, phases = finish->phases;
    if (phases == 1) {
        for (ptrdiff_t x = 0; x < count; x += LANES)
            FN(conv_store)(out + x, count - x, FN(conv_affine)(sum + x, scale, bias));
    } else if (phases == 2) {
        const REAL *odd = sum + finish->sum_phase;
        for (ptrdiff_t x = 0; x < count; x += 2 * LANES) {
            const V(vec) a = FN(conv_affine)(sum + x / 2, scale, bias);
            const V(vec) b = FN(conv_affine)(odd + x / 2, scale, bias);
            FN(conv_store)(out + x, count - x, V(zip_low)(a, b));
            if (count - x > LANES) FN(conv_store)(out + x + LANES, count - x - LANES, V(zip_high)(a, b));
        }
    } else {
        for (ptrdiff_t p = 0; p < phases; ++p) {
            const REAL *from = sum + p * finish->sum_phase;
            for (ptrdiff_t q = 0; q * phases + p < count; q += LANES) {
                REAL some[LANES];
                V(store)(some, FN(conv_affine)(from + q, scale, bias));
                for (ptrdiff_t i = 0; i < LANES && (q + i) * phases + p < count; ++i)
                    out[(q + i) * phases + p] = some[i];
            }
        }
    }
    if (finish->activation->kind != GCH_LINEAR) FN(activation_apply)(finish->activation, out, out, count);
}

static void FN(conv_stage)(const struct gch_conv_stage *stage, const void *source, void *target)
{
    const REAL *x = source, *plain = x + stage->first;
    const ptrdiff_t *index = stage->index, stride = stage->stride, end = stage->end;
    REAL *y = target;
    ptrdiff_t i = 0;
    for (; i < stage->begin; ++i)
        y[i] = index[i] < 0 ? (REAL)0 : x[index[i]];
    if (stride == 1) {
        for (; i + LANES <= end; i += LANES)
            V(store)(y + i, V(load)(plain + i));
    } else if (stride == 2) {
        /* Two whole vectors reach one element beyond the last that is wanted: it must be inside the row. */
        for (; i + LANES < end; i += LANES)
            V(store)(y + i, V(even)(V(load)(plain + 2 * i), V(load)(plain + 2 * i + LANES)));
    }
    for (; i < end; ++i)
        y[i] = plain[i * stride];
    for (; i < stage->count; ++i)
        y[i] = index[i] < 0 ? (REAL)0 : x[index[i]];
}
