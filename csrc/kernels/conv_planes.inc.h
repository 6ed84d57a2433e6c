/* Channels-last memory to planes and back.
 *
 * Template. Needs: REAL, V(word), LANES, FN(name). Gives: FN(conv_planes), FN(conv_weave) for the table.
 */
enum { FN(CONV_PLANES_ROUNDS) = (LANES > 2) + (LANES > 4) + (LANES > 8) };

/* LANES rows in memory to columns. Half a vector is loaded of a row, and half of the row that its lanes belong with, so that
 * what is left to turn lies within halves: zipping those of two vectors shifts the bits of an element's place, row and
 * lane, by one. */
GCH_INLINE void FN(conv_turned)(const REAL *x, ptrdiff_t step, V(vec) v[LANES])
{
    enum { HALF = LANES / 2 };
    GCH_UNROLL
    for (int i = 0; i < LANES; ++i) {
        const int first = i < HALF ? 0 : HALF;
        const REAL *p = x + (i - first) * step + first;
        v[i] = V(join)(p, p + HALF * step);
    }
    GCH_UNROLL
    for (int round = 0; round < FN(CONV_PLANES_ROUNDS); ++round) {
        V(vec) zipped[LANES];
        GCH_UNROLL
        for (int i = 0; i < HALF; ++i) {
            const int from = i < HALF / 2 ? i : i + HALF / 2;
            zipped[2 * i] = V(zip_halves_low)(v[from], v[from + HALF / 2]);
            zipped[2 * i + 1] = V(zip_halves_high)(v[from], v[from + HALF / 2]);
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
    REAL *out = (REAL *)p->out + channel * p->step + pixel, some[LANES * LANES] = {0};
    const int channels = p->channels - channel < LANES ? p->channels - channel : LANES;
    V(vec) v[LANES];
    for (int i = 0; !whole && i < LANES && pixel + i < p->count; ++i)
        memcpy(some + i * LANES, x + i * p->pixel, (size_t)channels * sizeof *x);
    FN(conv_turned)(whole ? x : some, whole ? p->pixel : LANES, v);
    GCH_UNROLL
    for (int c = 0; c < LANES; ++c)
        if (whole || c < channels) V(store)(out + c * p->step, v[c]);
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
