/* Values to 8-bit levels.
 *
 * Template. Needs: REAL, FN(name), FN(moments_load) and the f64 vocabulary. Gives: FN(stats_quantize) for the
 * table.
 */
static void FN(stats_quantize)(const struct gch_range *range, enum gch_rule rule, const void *source,
                               float *levels, ptrdiff_t count, struct gch_value_extremes *extremes)
{
    const REAL *values = source;
    const f64_vec none = f64_set1(0), white = f64_set1(255), low = f64_set1(range->low);
    const f64_vec span = f64_set1(range->high - range->low);
    const f64_vec near_low = f64_set1(0.01 * 255), near_high = f64_set1(0.99 * 255), one = f64_set1(1);
    f64_vec least = f64_set1(extremes->least), most = f64_set1(extremes->most), dark = none, bright = none;
    for (ptrdiff_t at = 0; at < count; at += F64_LANES) {
        ptrdiff_t rest = count - at;
        f64_vec v = FN(moments_load)(values + at, rest);
        f64_mask inside = f64_lanes(0, rest);
        f64_vec finite = f64_select(inside, f64_sub(v, v), none); /* 0, or NaN */
        f64_vec t = f64_div(f64_mul(white, f64_sub(v, low)), span);
        least = f64_select(f64_less(finite, one), f64_select(inside, f64_min(v, least), least), least);
        most = f64_select(f64_less(finite, one), f64_select(inside, f64_max(v, most), most), most);
        f64_vec counted = f64_select(inside, f64_select(f64_less(finite, one), one, none), none);
        dark = f64_add(dark, f64_select(f64_less(near_low, t), none, counted));
        bright = f64_add(bright, f64_select(f64_less(t, near_high), none, counted));
        t = f64_min(f64_select(f64_less(none, t), t, none), white);
        f64_vec level = f64_round(t);
        if (rule == GCH_RULE_FLOOR) { /* the nearest is at most one too high */
            level = f64_select(f64_less(t, level), f64_sub(level, one), level);
        }
        if (rest < F64_LANES) {
            float some[F64_LANES];
            f64_narrow(some, level);
            for (ptrdiff_t i = 0; i < rest; ++i)
                levels[at + i] = some[i];
        } else {
            f64_narrow(levels + at, level);
        }
    }
    double lane[4][F64_LANES];
    f64_store(lane[0], dark);
    f64_store(lane[1], bright);
    f64_store(lane[2], least);
    f64_store(lane[3], most);
    for (int i = 0; i < F64_LANES; ++i) {
        extremes->near[0] += (int64_t)lane[0][i];
        extremes->near[1] += (int64_t)lane[1][i];
        if (lane[2][i] < extremes->least) extremes->least = lane[2][i];
        if (lane[3][i] > extremes->most) extremes->most = lane[3][i];
    }
}
