/* Sums over pixels in 8-bit levels.
 *
 * Template. Needs: the f32 and u8 vocabularies, unit_linear_vecs and lab_of_linear_vec. Gives: bytes_sums, bytes_chroma,
 * bytes_moments, bytes_add, bytes_split and levels_from_bytes for the table.
 */

/* Sums, and sums of products RR, RG, RB, GG, GB, BB. */
struct moment_lanes {
    u8_products product[6];
    u8_tally sum[3];
};

/* What one pass over the bytes counts. */
struct bytes_lanes {
    struct moment_lanes moments;
    u8_products yellow;
    u8_tally apart;
    u8_vec gray[3], clipped[2], near[2], least, most;
};

enum {
    BYTES_BLOCK = 85,    /* a counter of eight bits takes three channels a step */
    MOMENTS_BLOCK = 8192 /* a sum of products takes so many */
};

GCH_INLINE struct moment_lanes no_moments(void)
{
    const u8_products none = u8_products_none();
    const u8_tally no = u8_tally_none();
    struct moment_lanes lanes = {{none, none, none, none, none, none}, {no, no, no}};
    return lanes;
}

GCH_INLINE void moments_step(const u8_vec rgb[3], struct moment_lanes *lanes)
{
    GCH_UNROLL
    for (int i = 0; i < 3; ++i)
        lanes->sum[i] = u8_tally_sum(lanes->sum[i], rgb[i]);
    lanes->product[0] = u8_products_add(lanes->product[0], rgb[0], rgb[0]);
    lanes->product[1] = u8_products_add(lanes->product[1], rgb[0], rgb[1]);
    lanes->product[2] = u8_products_add(lanes->product[2], rgb[0], rgb[2]);
    lanes->product[3] = u8_products_add(lanes->product[3], rgb[1], rgb[1]);
    lanes->product[4] = u8_products_add(lanes->product[4], rgb[1], rgb[2]);
    lanes->product[5] = u8_products_add(lanes->product[5], rgb[2], rgb[2]);
}

GCH_INLINE void moments_flush(const struct moment_lanes *lanes, int64_t sum[3], int64_t product[6])
{
    GCH_UNROLL
    for (int i = 0; i < 3; ++i)
        sum[i] += u8_tally_total(lanes->sum[i]);
    GCH_UNROLL
    for (int i = 0; i < 6; ++i)
        product[i] += u8_products_total(lanes->product[i]);
}

GCH_INLINE void moments_pixel(const uint8_t *const plane[3], ptrdiff_t at, int64_t sum[3], int64_t product[6])
{
    for (int i = 0, k = 0; i < 3; ++i) {
        sum[i] += plane[i][at];
        for (int j = i; j < 3; ++j, ++k)
            product[k] += plane[i][at] * plane[j][at];
    }
}

static void bytes_moments(const uint8_t *const plane[3], ptrdiff_t count, int64_t sum[3], int64_t product[6])
{
    ptrdiff_t at = 0, whole = count - count % U8_LANES;
    while (at < whole) {
        struct moment_lanes lanes = no_moments();
        ptrdiff_t last = at + (ptrdiff_t)MOMENTS_BLOCK * U8_LANES;
        for (last = last < whole ? last : whole; at < last; at += U8_LANES) {
            const u8_vec rgb[3] = {u8_load(plane[0] + at), u8_load(plane[1] + at), u8_load(plane[2] + at)};
            moments_step(rgb, &lanes);
        }
        moments_flush(&lanes, sum, product);
    }
    for (; at < count; ++at)
        moments_pixel(plane, at, sum, product);
}

GCH_INLINE void bytes_step(const u8_vec rgb[3], struct bytes_lanes *lanes)
{
    moments_step(rgb, &lanes->moments);
    lanes->apart = u8_tally_apart(lanes->apart, rgb[0], rgb[1]);
    lanes->yellow = u8_products_yellow(lanes->yellow, rgb[0], rgb[1], rgb[2]);
    u8_vec most = u8_max(u8_max(rgb[0], rgb[1]), rgb[2]), least = u8_min(u8_min(rgb[0], rgb[1]), rgb[2]);
    u8_vec spread = u8_sub(most, least);
    GCH_UNROLL
    for (int i = 0; i < 3; ++i)
        lanes->gray[i] = u8_count_up_to(lanes->gray[i], spread, u8_set1((uint8_t)i));
    lanes->least = u8_min(lanes->least, least);
    lanes->most = u8_max(lanes->most, most);
    u8_vec from_ends = u8_min(least, u8_sub(u8_set1(255), most));
    if (!u8_any_up_to(from_ends, u8_set1(GCH_NEAR_LEVELS))) return; /* few pictures have many such bytes */
    GCH_UNROLL
    for (int i = 0; i < 3; ++i) {
        lanes->clipped[0] = u8_count_up_to(lanes->clipped[0], rgb[i], u8_set1(0));
        lanes->clipped[1] = u8_count_from(lanes->clipped[1], rgb[i], u8_set1(255));
        lanes->near[0] = u8_count_up_to(lanes->near[0], rgb[i], u8_set1(GCH_NEAR_LEVELS));
        lanes->near[1] = u8_count_from(lanes->near[1], rgb[i], u8_set1(255 - GCH_NEAR_LEVELS));
    }
}

GCH_INLINE int64_t bytes_counted(u8_vec counts)
{
    return u8_tally_total(u8_tally_sum(u8_tally_none(), counts));
}

static void bytes_flush(const struct bytes_lanes *lanes, struct gch_level_sums *sums,
                        struct gch_value_extremes *extremes)
{
    uint8_t least[U8_LANES], most[U8_LANES];
    moments_flush(&lanes->moments, sums->sum, sums->product);
    for (int i = 0; i < 3; ++i)
        sums->gray[i] += bytes_counted(lanes->gray[i]);
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
        moments_pixel(plane, at, sums->sum, sums->product);
        for (int i = 0; i < 3; ++i) {
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
        const u8_vec zero = u8_set1(0);
        struct bytes_lanes lanes = {no_moments(), u8_products_none(), u8_tally_none(), {zero, zero, zero},
                                    {zero, zero}, {zero, zero},       u8_set1(255),    zero};
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

/* Of F32_LANES pixels, in whole numbers. */
GCH_INLINE f32_vec chroma_vec(const uint8_t *red, const uint8_t *green, const uint8_t *blue)
{
    const f32_vec part = f32_set1(1.0f / 255);
    const f32_vec rgb[3] = {f32_mul(f32_from_bytes(red), part), f32_mul(f32_from_bytes(green), part),
                            f32_mul(f32_from_bytes(blue), part)};
    f32_vec linear[3], lab[3];
    unit_linear_vecs(3, rgb, linear);
    lab_of_linear_vec(linear, lab);
    f32_vec chroma = f32_sqrt(f32_add(f32_mul(lab[1], lab[1]), f32_mul(lab[2], lab[2])));
    return f32_round(f32_mul(chroma, f32_set1(1 << GCH_CHROMA_BITS)));
}

static void bytes_chroma(const uint8_t *const plane[3], ptrdiff_t count, struct gch_level_sums *sums)
{
    const ptrdiff_t whole = count - count % F32_LANES;
    uint8_t some[3][F32_LANES] = {{0}};
    float lane[2][F32_LANES];
    for (ptrdiff_t at = 0; at < whole;) {
        ptrdiff_t last = at + CHROMA_BLOCK * F32_LANES;
        f32_vec high = f32_set1(0), low = f32_set1(0);
        for (last = last < whole ? last : whole; at < last; at += F32_LANES) {
            f32_vec chroma = chroma_vec(plane[0] + at, plane[1] + at, plane[2] + at);
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
    f32_store(lane[0], chroma_vec(some[0], some[1], some[2]));
    for (ptrdiff_t i = 0; i < count - whole; ++i)
        sums->chroma += (int64_t)lane[0][i];
}

static void bytes_add(const uint8_t *const bytes[GCH_ADDED], uint16_t *sums, ptrdiff_t count)
{
    ptrdiff_t at = 0;
    for (; at + U8_LANES <= count; at += U8_LANES) {
        u8_words words = u8_words_load(sums + at);
        GCH_UNROLL
        for (int i = 0; i < GCH_ADDED; ++i)
            words = u8_words_add(words, u8_load(bytes[i] + at));
        u8_words_store(sums + at, words);
    }
    for (; at < count; ++at)
        for (int i = 0; i < GCH_ADDED; ++i)
            sums[at] = (uint16_t)(sums[at] + bytes[i][at]);
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
