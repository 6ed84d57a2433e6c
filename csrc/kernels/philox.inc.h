/* Philox 4x32-10, sixteen blocks at a time.
 *
 * Template. Needs: the u32 vocabulary and F32_LANES. Gives: rng_words for the table; philox_schedule and philox_group.
 * Constants: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
enum { PHILOX_ROUNDS = 10 };

struct philox_keys {
    uint32_t round[PHILOX_ROUNDS][2];
};

/* Not inlined, so that the keys are in memory, where each is broadcast as it is used. */
static GCH_APART void philox_schedule(const struct gch_rng_stream *stream, struct philox_keys *keys)
{
    uint32_t key0 = (uint32_t)stream->key, key1 = (uint32_t)(stream->key >> 32);
    for (int round = 0; round < PHILOX_ROUNDS; ++round) {
        keys->round[round][0] = key0;
        keys->round[round][1] = key1;
        key0 += 0x9e3779b9u;
        key1 += 0xbb67ae85u;
    }
}

GCH_INLINE void philox_group(const struct philox_keys *keys, uint64_t draw, uint64_t group,
                             uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES])
{
    enum { VECTORS = GCH_RNG_LANES / F32_LANES };
    static const uint32_t lane[GCH_RNG_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const u32_vec factor0 = u32_set1(0xd2511f53u), factor1 = u32_set1(0xcd9e8d57u);
    const uint64_t block = group * GCH_RNG_LANES;
    for (int v = 0; v < VECTORS; ++v) {
        u32_wide c0 = u32_widen(u32_add(u32_set1((uint32_t)block), u32_load(lane + v * F32_LANES)));
        u32_wide c1 = u32_widen(u32_set1((uint32_t)(block >> 32)));
        u32_wide c2 = u32_widen(u32_set1((uint32_t)draw)), c3 = u32_widen(u32_set1((uint32_t)(draw >> 32)));
        GCH_UNROLL
        for (int round = 0; round < PHILOX_ROUNDS; ++round) {
            const u32_wide product0 = u32_wide_mul(c0, factor0), product1 = u32_wide_mul(c2, factor1);
            c0 = u32_wide_mix(product1, c1, u32_set1(keys->round[round][0]));
            c2 = u32_wide_mix(product0, c3, u32_set1(keys->round[round][1]));
            c1 = product1;
            c3 = product0;
        }
        u32_store(words[0] + v * F32_LANES, u32_narrow(c0));
        u32_store(words[1] + v * F32_LANES, u32_narrow(c1));
        u32_store(words[2] + v * F32_LANES, u32_narrow(c2));
        u32_store(words[3] + v * F32_LANES, u32_narrow(c3));
    }
}

static void rng_words(const struct gch_rng_stream *stream, uint64_t group,
                      uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES])
{
    struct philox_keys keys;
    philox_schedule(stream, &keys);
    philox_group(&keys, stream->draw, group, words);
}
