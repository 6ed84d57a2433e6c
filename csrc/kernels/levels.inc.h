/* Sums over pixels in 8-bit levels.
 *
 * Template. Needs: the f32 and u8 vocabularies, unit_linear_vecs and lab_of_linear_vec. Gives: bytes_sums, bytes_chroma,
 * bytes_split, levels_linear, levels_from_bytes and bytes_from_levels for the table.
 */

/* What one pass over the bytes counts. */
struct bytes_lanes {
    u8_products product[6], yellow;
    u8_tally sum[3], apart;
    u8_vec gray[3], clipped[2], near[2], least, most;
};

enum { BYTES_BLOCK = 85 }; /* a counter of eight bits takes three channels a step */

GCH_INLINE void bytes_step(const u8_vec rgb[3], struct bytes_lanes *lanes)
{
    for (int i = 0, k = 0; i < 3; ++i) {
        lanes->sum[i] = u8_tally_sum(lanes->sum[i], rgb[i]);
        for (int j = i; j < 3; ++j, ++k)
            lanes->product[k] = u8_products_add(lanes->product[k], rgb[i], rgb[j]);
        lanes->clipped[0] = u8_count_up_to(lanes->clipped[0], rgb[i], u8_set1(0));
        lanes->clipped[1] = u8_count_from(lanes->clipped[1], rgb[i], u8_set1(255));
        lanes->near[0] = u8_count_up_to(lanes->near[0], rgb[i], u8_set1(GCH_NEAR_LEVELS));
        lanes->near[1] = u8_count_from(lanes->near[1], rgb[i], u8_set1(255 - GCH_NEAR_LEVELS));
    }
    lanes->apart = u8_tally_apart(lanes->apart, rgb[0], rgb[1]);
    lanes->yellow = u8_products_yellow(lanes->yellow, rgb[0], rgb[1], rgb[2]);
    u8_vec most = u8_max(u8_max(rgb[0], rgb[1]), rgb[2]), least = u8_min(u8_min(rgb[0], rgb[1]), rgb[2]);
    u8_vec spread = u8_sub(most, least);
    for (int i = 0; i < 3; ++i)
        lanes->gray[i] = u8_count_up_to(lanes->gray[i], spread, u8_set1((uint8_t)i));
    lanes->least = u8_min(lanes->least, least);
    lanes->most = u8_max(lanes->most, most);
}

GCH_INLINE int64_t bytes_counted(u8_vec counts)
{
    return u8_tally_total(u8_tally_sum(u8_tally_none(), counts));
}

static void bytes_flush(const struct bytes_lanes *lanes, struct gch_level_sums *sums,
                        struct gch_value_extremes *extremes)
{
    uint8_t least[U8_LANES], most[U8_LANES];
    for (int i = 0; i < 3; ++i) {
        sums->sum[i] += u8_tally_total(lanes->sum[i]);
        sums->gray[i] += bytes_counted(lanes->gray[i]);
    }
    for (int i = 0; i < 6; ++i)
        sums->product[i] += u8_products_total(lanes->product[i]);
    sums->opponent[0] += u8_tally_total(lanes->apart);
    sums->opponent[1] += u8_products_total(lanes->yellow);
    u8_store(least, lanes->least);
    u8_store(most, lanes->most);
    for (int i = 0; i < 2; ++i) {
        sums->clipped[i] += bytes_counted(lanes->clipped[i]);
        extremes->near[i] += bytes_counted(lanes->near[i]);
    }
    for (int i = 0; i < U8_LANES; ++i) {
        if (least[i] < extremes->least) extremes->least = least[i];
        if (most[i] > extremes->most) extremes->most = most[i];
    }
}

/* Pixels that fill no register: one by one, so that none is counted that is not there. */
static void bytes_rest(const uint8_t *const plane[3], ptrdiff_t at, ptrdiff_t count,
                       struct gch_level_sums *sums, struct gch_value_extremes *extremes)
{
    for (; at < count; ++at) {
        const int rgb[3] = {plane[0][at], plane[1][at], plane[2][at]};
        int least = 255, most = 0, yellow = rgb[0] + rgb[1] - 2 * rgb[2];
        for (int i = 0, k = 0; i < 3; ++i) {
            sums->sum[i] += rgb[i];
            for (int j = i; j < 3; ++j, ++k)
                sums->product[k] += rgb[i] * rgb[j];
            sums->clipped[0] += rgb[i] == 0;
            sums->clipped[1] += rgb[i] == 255;
            extremes->near[0] += rgb[i] <= GCH_NEAR_LEVELS;
            extremes->near[1] += rgb[i] >= 255 - GCH_NEAR_LEVELS;
            if (rgb[i] < least) least = rgb[i];
            if (rgb[i] > most) most = rgb[i];
        }
        sums->opponent[0] += rgb[0] > rgb[1] ? rgb[0] - rgb[1] : rgb[1] - rgb[0];
        sums->opponent[1] += yellow < 0 ? -yellow : yellow;
        for (int i = 0; i < 3; ++i)
            sums->gray[i] += most - least <= i;
        if (least < extremes->least) extremes->least = least;
        if (most > extremes->most) extremes->most = most;
    }
}

static void bytes_sums(const uint8_t *const plane[3], ptrdiff_t count, struct gch_level_sums *sums,
                       struct gch_value_extremes *extremes)
{
    ptrdiff_t at = 0, whole = count - count % U8_LANES;
    while (at < whole) {
        const u8_tally no = u8_tally_none();
        const u8_products none = u8_products_none();
        const u8_vec zero = u8_set1(0);
        struct bytes_lanes lanes = {{none, none, none, none, none, none},
                                    none,
                                    {no, no, no},
                                    no,
                                    {zero, zero, zero},
                                    {zero, zero},
                                    {zero, zero},
                                    u8_set1(255),
                                    zero};
        ptrdiff_t last = at + BYTES_BLOCK * U8_LANES;
        for (last = last < whole ? last : whole; at < last; at += U8_LANES) {
            const u8_vec rgb[3] = {u8_load(plane[0] + at), u8_load(plane[1] + at), u8_load(plane[2] + at)};
            bytes_step(rgb, &lanes);
        }
        bytes_flush(&lanes, sums, extremes);
    }
    bytes_rest(plane, at, count, sums, extremes);
}

/* Chroma in whole numbers of 2^-GCH_CHROMA_BITS. Below 2^24 / 2^8 of them are added in a lane, so that float
 * arithmetic is exact in any order: each is split into a part for either of two sums. */
enum { CHROMA_BLOCK = 256 };

/* sRGB's curve undone, of every level. */
static void levels_linear(float table[256])
{
    float level[256];
    for (int i = 0; i < 256; ++i)
        level[i] = (float)i / 255;
    for (int i = 0; i < 256; i += F32_LANES) {
        f32_vec v = f32_load(level + i);
        unit_linear_vecs(1, &v, &v);
        f32_store(table + i, v);
    }
}

/* Of F32_LANES pixels, in whole numbers. */
GCH_INLINE f32_vec chroma_vec(const float linear[256], const uint8_t *red, const uint8_t *green,
                              const uint8_t *blue)
{
    const f32_vec rgb[3] = {f32_lookup(linear, red), f32_lookup(linear, green), f32_lookup(linear, blue)};
    f32_vec lab[3];
    lab_of_linear_vec(rgb, lab);
    f32_vec chroma = f32_sqrt(f32_add(f32_mul(lab[1], lab[1]), f32_mul(lab[2], lab[2])));
    return f32_round(f32_mul(chroma, f32_set1(1 << GCH_CHROMA_BITS)));
}

static void bytes_chroma(const float linear[256], const uint8_t *const plane[3], ptrdiff_t count,
                         struct gch_level_sums *sums)
{
    const ptrdiff_t whole = count - count % F32_LANES;
    uint8_t some[3][F32_LANES] = {{0}};
    float lane[2][F32_LANES];
    for (ptrdiff_t at = 0; at < whole;) {
        ptrdiff_t last = at + CHROMA_BLOCK * F32_LANES;
        f32_vec high = f32_set1(0), low = f32_set1(0);
        for (last = last < whole ? last : whole; at < last; at += F32_LANES) {
            f32_vec chroma = chroma_vec(linear, plane[0] + at, plane[1] + at, plane[2] + at);
            f32_vec share = f32_round(f32_mul(chroma, f32_set1(1.0f / 256)));
            high = f32_add(high, share);
            low = f32_add(low, f32_fused(share, f32_set1(-256), chroma));
        }
        f32_store(lane[0], high);
        f32_store(lane[1], low);
        for (int i = 0; i < F32_LANES; ++i)
            sums->chroma += 256 * (int64_t)lane[0][i] + (int64_t)lane[1][i];
    }
    if (whole == count) return;
    for (int i = 0; i < 3; ++i)
        memcpy(some[i], plane[i] + whole, (size_t)(count - whole));
    f32_store(lane[0], chroma_vec(linear, some[0], some[1], some[2]));
    for (ptrdiff_t i = 0; i < count - whole; ++i)
        sums->chroma += (int64_t)lane[0][i];
}

static void bytes_split(const uint8_t *pixels, uint8_t *const plane[3], ptrdiff_t count)
{
    ptrdiff_t at = 0;
    for (; at + U8_LANES <= count; at += U8_LANES) {
        u8_vec rgb[3];
        u8_split(pixels + 3 * at, rgb);
        for (int i = 0; i < 3; ++i)
            u8_store(plane[i] + at, rgb[i]);
    }
    for (; at < count; ++at)
        for (int i = 0; i < 3; ++i)
            plane[i][at] = pixels[3 * at + i];
}

static void levels_from_bytes(const uint8_t *bytes, float *levels, ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; i + F32_LANES <= count; i += F32_LANES)
        f32_store(levels + i, f32_from_bytes(bytes + i));
    for (; i < count; ++i)
        levels[i] = (float)bytes[i];
}

static void bytes_from_levels(const float *levels, uint8_t *bytes, ptrdiff_t count)
{
    ptrdiff_t i = 0;
    for (; i + F32_LANES <= count; i += F32_LANES)
        f32_to_bytes(bytes + i, f32_load(levels + i));
    for (; i < count; ++i)
        bytes[i] = (uint8_t)levels[i];
}
