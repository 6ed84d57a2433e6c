/* Philox 4x32-10, sixteen blocks at a time.
 *
 * Template. Needs: the u32 vocabulary and F32_LANES. Gives: rng_words for the table and for rng.inc.h.
 * Constants: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
static void rng_words(const struct gch_rng_stream *stream, uint64_t group,
                      uint32_t words[GCH_RNG_WORDS][GCH_RNG_LANES])
{
    enum { ROUNDS = 10, VECTORS = GCH_RNG_LANES / F32_LANES };
    static const uint32_t lane[GCH_RNG_LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const u32_vec factor0 = u32_set1(0xd2511f53u), factor1 = u32_set1(0xcd9e8d57u);
    const uint64_t block = group * GCH_RNG_LANES;
    for (int v = 0; v < VECTORS; ++v) {
        uint32_t key0 = (uint32_t)stream->key, key1 = (uint32_t)(stream->key >> 32);
        u32_vec c0 = u32_add(u32_set1((uint32_t)block), u32_load(lane + v * F32_LANES));
        u32_vec c1 = u32_set1((uint32_t)(block >> 32));
        u32_vec c2 = u32_set1((uint32_t)stream->draw), c3 = u32_set1((uint32_t)(stream->draw >> 32));
        for (int round = 0; round < ROUNDS; ++round) {
            u32_vec high0, high1;
            u32_vec low0 = u32_mul_wide(factor0, c0, &high0), low1 = u32_mul_wide(factor1, c2, &high1);
            c0 = u32_xor(u32_xor(high1, c1), u32_set1(key0));
            c2 = u32_xor(u32_xor(high0, c3), u32_set1(key1));
            c1 = low1;
            c3 = low0;
            key0 += 0x9e3779b9u;
            key1 += 0xbb67ae85u;
        }
        u32_store(words[0] + v * F32_LANES, c0);
        u32_store(words[1] + v * F32_LANES, c1);
        u32_store(words[2] + v * F32_LANES, c2);
        u32_store(words[3] + v * F32_LANES, c3);
    }
}
