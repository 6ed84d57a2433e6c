/* Channels-last memory to planes and back.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name). Gives: FN(conv_planes), FN(conv_weave) for the table.
 */
enum { FN(CONV_PLANES_ROUNDS) = (LANES > 1) + (LANES > 2) + (LANES > 4) + (LANES > 8) };

/* Rows to columns: zipping the two halves shifts the bits of an element's place, row and lane, by one. */
GCH_INLINE void FN(conv_turn)(V(vec) v[LANES])
{
    GCH_UNROLL
    for (int round = 0; round < FN(CONV_PLANES_ROUNDS); ++round) {
        V(vec) zipped[LANES];
        GCH_UNROLL
        for (int i = 0; i < LANES / 2; ++i) {
            zipped[2 * i] = V(zip_low)(v[i], v[i + LANES / 2]);
            zipped[2 * i + 1] = V(zip_high)(v[i], v[i + LANES / 2]);
        }
        GCH_UNROLL
        for (int i = 0; i < LANES; ++i)
            v[i] = zipped[i];
    }
}

/* LANES pixels of LANES channels, of which some are there: all where `whole`, a constant at every call. */
GCH_INLINE void FN(conv_planes_tile)(const int whole, const struct gch_conv_planes *p, ptrdiff_t pixel,
                                     int channel)
{
    const REAL *x = (const REAL *)p->x + pixel * p->pixel + channel;
    REAL *out = (REAL *)p->out + channel * p->step + pixel;
    const V(mask) there = V(lanes)(0, p->channels - channel);
    V(vec) v[LANES];
    GCH_UNROLL
    for (int i = 0; i < LANES; ++i)
        v[i] = whole                  ? V(load)(x + i * p->pixel)
               : pixel + i < p->count ? V(load_part)(x + i * p->pixel, there)
                                      : V(set1)(0);
    FN(conv_turn)(v);
    GCH_UNROLL
    for (int c = 0; c < LANES; ++c)
        if (whole || channel + c < p->channels) V(store)(out + c * p->step, v[c]);
}

static void FN(conv_planes)(const struct gch_conv_planes *p)
{
    const REAL *next = p->next;
    for (ptrdiff_t pixel = 0; pixel < p->count; pixel += LANES) {
        for (int i = 0; next != NULL && i < LANES * p->channels; i += GCH_ALIGNMENT / (int)sizeof(REAL))
            GCH_PREFETCH_SECOND(next + i);
        if (next != NULL) next += LANES * p->channels;
        for (int channel = 0; channel < p->channels; channel += LANES) {
            if (pixel + LANES <= p->count && channel + LANES <= p->channels)
                FN(conv_planes_tile)(1, p, pixel, channel);
            else
                FN(conv_planes_tile)(0, p, pixel, channel);
        }
    }
}

static void FN(conv_weave)(const void *runs, ptrdiff_t planes, ptrdiff_t count, void *out)
{
    const REAL *from = runs;
    REAL *to = out;
    if (planes == 3) {
        for (ptrdiff_t i = 0; i < count; ++i, to += 3)
            to[0] = from[i], to[1] = from[count + i], to[2] = from[2 * count + i];
        return;
    }
    for (ptrdiff_t p = 0; p < planes; ++p)
        for (ptrdiff_t i = 0; i < count; ++i)
            to[i * planes + p] = from[p * count + i];
}
