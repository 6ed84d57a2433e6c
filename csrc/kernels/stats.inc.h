/* Values to 8-bit levels, and to what is summed of them at every position.
 *
 * Template. Needs: REAL, REAL_IS_F32, FN(name), FN(moments_load) and both vocabularies. Gives: FN(stats_quantize) and
 * FN(stats_place) for the table.
 */
enum { FN(TOGETHER) = 8 * F32_LANES }; /* values that are quantised at a time */

struct FN(quantizing) {
    double low, span, part; /* part: 1 / span, for when all products with it are what quotients are */
    int by_part, floor;
    f64_vec least, most, dark, bright;
};

/* In double, nothing fused: what a level is defined by. */
GCH_INLINE f64_vec FN(level_vec)(struct FN(quantizing) * q, f64_vec v, f64_mask inside)
{
    const f64_vec none = f64_set1(0), white = f64_set1(255), one = f64_set1(1);
    f64_mask finite = f64_less(f64_select(inside, f64_sub(v, v), one), one); /* v - v is 0, or NaN */
    f64_vec counted = f64_select(finite, one, none);
    f64_vec t = f64_mul(white, f64_sub(v, f64_set1(q->low)));
    t = q->by_part ? f64_mul(t, f64_set1(q->part)) : f64_div(t, f64_set1(q->span));
    q->least = f64_select(finite, f64_min(v, q->least), q->least);
    q->most = f64_select(finite, f64_max(v, q->most), q->most);
    q->dark = f64_add(q->dark, f64_select(f64_less(f64_set1(0.01 * 255), t), none, counted));
    q->bright = f64_add(q->bright, f64_select(f64_less(t, f64_set1(0.99 * 255)), none, counted));
    t = f64_min(f64_select(f64_less(none, t), t, none), white);
    f64_vec level = f64_round(t);
    if (q->floor) level = f64_select(f64_less(t, level), f64_sub(level, one), level);
    f64_vec there = f64_select(inside, one, none);
    q->dark = f64_sub(q->dark, f64_select(f64_less(f64_set1(GCH_NEAR_LEVELS), level), none, there));
    q->bright = f64_sub(q->bright, f64_select(f64_less(level, f64_set1(255 - GCH_NEAR_LEVELS)), none, there));
    return level;
}

static GCH_APART void FN(levels_exactly)(struct FN(quantizing) * state, const REAL *values, uint8_t *levels,
                                         ptrdiff_t count)
{
    struct FN(quantizing) q = *state;
    float some[FN(TOGETHER)];
    ptrdiff_t at = 0;
    for (; at + F64_LANES <= count; at += F64_LANES) {
        f64_vec v = FN(moments_load)(values + at, F64_LANES);
        f64_narrow(some + at, FN(level_vec)(&q, v, f64_lanes(0, F64_LANES)));
    }
    if (at < count) {
        f64_vec v = FN(moments_load)(values + at, count - at);
        f64_narrow(some + at, FN(level_vec)(&q, v, f64_lanes(0, count - at)));
    }
    *state = q;
    for (at = 0; at + F32_LANES <= count; at += F32_LANES)
        f32_to_bytes(levels + at, f32_load(some + at));
    for (; at < count; ++at)
        levels[at] = (uint8_t)some[at];
}

#if REAL_IS_F32

/* Of floats in float, where no error of that can matter: 0 where it might. */
struct quick_levels {
    float low, part;
    float most_off;    /* the nearest level */
    float least_aside; /* from where a value is near an end and its level is not */
};

/* 255 (v - low) / span is off by less than `error`: three roundings of at most 256, and one of low. */
static struct quick_levels quick_levels_of(const struct gch_range *range)
{
    const double part = 255 / (range->high - range->low), error = (fabs(range->low) * part + 1024) * 0x1p-23;
    struct quick_levels quick = {(float)range->low, (float)part, (float)(0.5 - error),
                                 (float)(0.025 + error)};
    return quick;
}

GCH_INLINE int levels_quickly(struct quick_levels quick, const float *values, uint8_t *levels,
                              f32_vec ends[2])
{
    const f32_vec middle = f32_set1(127.5f), aside_of_middle = f32_set1(127.5f - 2.525f);
    f32_vec least = ends[0], most = ends[1], off = f32_set1(0), all = off, aside = middle, large = off;
    GCH_UNROLL
    for (int at = 0; at < FN(TOGETHER); at += F32_LANES) {
        f32_vec v = f32_load(values + at);
        f32_vec t = f32_mul(f32_sub(v, f32_set1(quick.low)), f32_set1(quick.part)), level = f32_round(t);
        f32_vec from_level = f32_abs(f32_sub(t, level)), from_middle = f32_abs(f32_sub(t, middle));
        off = f32_max(from_level, off);
        all = f32_add(all, from_level); /* NaN stays */
        aside = f32_min(f32_abs(f32_sub(from_middle, aside_of_middle)), aside);
        large = f32_max(from_middle, large);
        least = f32_min(v, least);
        most = f32_max(v, most);
        f32_to_bytes(levels + at, level);
    }
    f32_vec bad = f32_select(f32_less(off, f32_set1(quick.most_off)), f32_set1(0), f32_set1(1));
    bad = f32_select(f32_less(all, f32_set1(FN(TOGETHER))), bad, f32_set1(1));
    bad = f32_select(f32_less(f32_set1(quick.least_aside), aside), bad, f32_set1(1));
    bad = f32_select(f32_less(large, f32_set1(0x1p30f)), bad, f32_set1(1));
    if (f32_any(f32_less(f32_set1(0), bad))) return 0;
    ends[0] = least;
    ends[1] = most;
    return 1;
}

#endif

static void FN(stats_quantize)(const struct gch_range *range, enum gch_rule rule, const void *source,
                               uint8_t *levels, ptrdiff_t count, struct gch_value_extremes *extremes)
{
    const REAL *values = source;
    const double span = range->high - range->low;
    struct FN(quantizing)
        q = {.low = range->low, .span = span, .part = 1 / span, .floor = rule == GCH_RULE_FLOOR};
    q.by_part = FN(color_is_exact)(range) && isfinite(q.part);
    q.least = f64_set1(extremes->least);
    q.most = f64_set1(extremes->most);
    q.dark = q.bright = f64_set1(0);
#if REAL_IS_F32
    const struct quick_levels quick = quick_levels_of(range);
    f32_vec ends[2] = {f32_set1(INFINITY), f32_set1(-INFINITY)};
#endif
    for (ptrdiff_t at = 0; at < count; at += FN(TOGETHER)) {
        ptrdiff_t some = count - at < FN(TOGETHER) ? count - at : FN(TOGETHER);
#if REAL_IS_F32
        if (some == FN(TOGETHER) && !q.floor && levels_quickly(quick, values + at, levels + at, ends))
            continue;
#endif
        FN(levels_exactly)(&q, values + at, levels + at, some);
    }
    double lane[4][F64_LANES];
    f64_store(lane[0], q.least);
    f64_store(lane[1], q.most);
    f64_store(lane[2], q.dark);
    f64_store(lane[3], q.bright);
    for (int i = 0; i < F64_LANES; ++i) {
        if (lane[0][i] < extremes->least) extremes->least = lane[0][i];
        if (lane[1][i] > extremes->most) extremes->most = lane[1][i];
        extremes->near[0] += (int64_t)lane[2][i];
        extremes->near[1] += (int64_t)lane[3][i];
    }
#if REAL_IS_F32
    float end[2][F32_LANES];
    f32_store(end[0], ends[0]);
    f32_store(end[1], ends[1]);
    for (int i = 0; i < F32_LANES; ++i) {
        if (end[0][i] < extremes->least) extremes->least = end[0][i];
        if (end[1][i] > extremes->most) extremes->most = end[1][i];
    }
#endif
}

static void FN(stats_place)(const struct gch_range *range, const void *source, double *sums, ptrdiff_t count)
{
    const REAL *values = source;
    const f64_vec low = f64_set1(range->low), unit = f64_set1(0x1p32 / (range->high - range->low));
    const f64_vec least = f64_set1(-GCH_MOST_PLACED), most = f64_set1(GCH_MOST_PLACED);
    for (ptrdiff_t at = 0; at < count; at += F64_LANES) {
        f64_mask inside = f64_lanes(0, count - at);
        f64_vec t = f64_mul(f64_sub(FN(moments_load)(values + at, count - at), low), unit);
        t = f64_round(f64_min(f64_max(t, least), most)); /* NaN is the least */
        if (count - at < F64_LANES) {
            f64_store_part(sums + at, inside, f64_add(f64_load_part(sums + at, inside), t));
        } else {
            f64_store(sums + at, f64_add(f64_load(sums + at), t));
        }
    }
}
