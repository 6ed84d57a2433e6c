/* Sums over pixels in 8-bit levels.
 *
 * Template. Needs: the f32 vocabulary and lab_vec_f32. Gives: levels_sums and levels_from_bytes for the
 * table.
 *
 * The sums are of integers below 2^24, so float arithmetic is exact in any order: a lane takes at most BLOCK
 * pixels, each adding at most 255^2, before it is emptied into 64-bit integers.
 */
enum { LEVELS_BLOCK = 256 };

struct levels_lanes {
    f32_vec sum[3], product[6], opponent[2], gray[3], clipped[2], chroma[2];
};

/* Rounded to GCH_CHROMA_BITS, in two parts: a lane of whole numbers would overflow 24 bits. */
GCH_INLINE void levels_chroma(const f32_vec level[3], f32_vec one, struct levels_lanes *lanes)
{
    const f32_vec parts = f32_set1(256), scale = f32_set1(1 << GCH_CHROMA_BITS);
    f32_vec rgb[3], lab[3];
    for (int i = 0; i < 3; ++i)
        rgb[i] = f32_div(level[i], f32_set1(255));
    lab_vec_f32(rgb, lab);
    f32_vec chroma = f32_sqrt(f32_add(f32_mul(lab[1], lab[1]), f32_mul(lab[2], lab[2])));
    chroma = f32_round(f32_mul(f32_mul(chroma, scale), one));
    f32_vec high = f32_round(f32_div(chroma, parts));
    lanes->chroma[0] = f32_add(lanes->chroma[0], high);
    lanes->chroma[1] = f32_add(lanes->chroma[1], f32_sub(chroma, f32_mul(high, parts)));
}

/* `one` is 1 in the lanes that hold a pixel, 0 in the others, whose levels must be 0. */
GCH_INLINE void levels_step(const f32_vec level[3], f32_vec one, struct levels_lanes *lanes)
{
    const f32_vec none = f32_set1(0);
    f32_vec r = level[0], g = level[1], b = level[2];
    for (int i = 0, k = 0; i < 3; ++i) {
        lanes->sum[i] = f32_add(lanes->sum[i], level[i]);
        for (int j = i; j < 3; ++j, ++k)
            lanes->product[k] = f32_add(lanes->product[k], f32_mul(level[i], level[j]));
        f32_vec black = f32_select(f32_less(level[i], f32_set1(0.5f)), one, none);
        f32_vec white = f32_select(f32_less(f32_set1(254.5f), level[i]), one, none);
        lanes->clipped[0] = f32_add(lanes->clipped[0], black);
        lanes->clipped[1] = f32_add(lanes->clipped[1], white);
    }
    f32_vec yellow = f32_sub(f32_add(r, g), f32_add(b, b));
    lanes->opponent[0] = f32_add(lanes->opponent[0], f32_abs(f32_sub(r, g)));
    lanes->opponent[1] = f32_add(lanes->opponent[1], f32_abs(yellow));
    f32_vec spread = f32_sub(f32_max(f32_max(r, g), b), f32_min(f32_min(r, g), b));
    for (int i = 0; i < 3; ++i) {
        f32_vec gray = f32_select(f32_less(spread, f32_set1((float)i + 0.5f)), one, none);
        lanes->gray[i] = f32_add(lanes->gray[i], gray);
    }
    levels_chroma(level, one, lanes);
}

static int64_t levels_total(f32_vec lanes)
{
    float lane[F32_LANES];
    int64_t total = 0;
    f32_store(lane, lanes);
    for (int i = 0; i < F32_LANES; ++i)
        total += (int64_t)lane[i];
    return total;
}

static void levels_flush(const struct levels_lanes *lanes, struct gch_level_sums *sums)
{
    for (int i = 0; i < 3; ++i)
        sums->sum[i] += levels_total(lanes->sum[i]);
    for (int i = 0; i < 6; ++i)
        sums->product[i] += levels_total(lanes->product[i]);
    for (int i = 0; i < 2; ++i)
        sums->opponent[i] += levels_total(lanes->opponent[i]);
    for (int i = 0; i < 3; ++i)
        sums->gray[i] += levels_total(lanes->gray[i]);
    for (int i = 0; i < 2; ++i)
        sums->clipped[i] += levels_total(lanes->clipped[i]);
    sums->chroma += 256 * levels_total(lanes->chroma[0]) + levels_total(lanes->chroma[1]);
}

static void levels_sums(const float *red, const float *green, const float *blue, ptrdiff_t count,
                        struct gch_level_sums *sums)
{
    const float *const plane[3] = {red, green, blue};
    const f32_vec none = f32_set1(0), one = f32_set1(1);
    for (ptrdiff_t first = 0; first < count; first += LEVELS_BLOCK * F32_LANES) {
        struct levels_lanes lanes = {{none, none, none}, {none, none, none, none, none, none},
                                     {none, none},       {none, none, none},
                                     {none, none},       {none, none}};
        ptrdiff_t last = first + LEVELS_BLOCK * F32_LANES, at = first;
        if (last > count) last = count;
        for (; at + F32_LANES <= last; at += F32_LANES) {
            const f32_vec level[3] = {f32_load(red + at), f32_load(green + at), f32_load(blue + at)};
            levels_step(level, one, &lanes);
        }
        if (at < last) {
            f32_mask inside = f32_lanes(0, last - at);
            f32_vec level[3];
            for (int i = 0; i < 3; ++i)
                level[i] = f32_load_part(plane[i] + at, inside);
            levels_step(level, f32_select(inside, one, none), &lanes);
        }
        levels_flush(&lanes, sums);
    }
}

static void levels_from_bytes(const uint8_t *bytes, float *levels, ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; i + F32_LANES <= count; i += F32_LANES)
        f32_store(levels + i, f32_from_bytes(bytes + i));
    for (; i < count; ++i)
        levels[i] = (float)bytes[i];
}
