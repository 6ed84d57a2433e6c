/* The words of the Mersenne Twister.
 *
 * Template. Needs: the u32 vocabulary and F32_LANES. Gives: mt19937_twist, mt19937_temper for the table.
 *
 * The state is a linear recurrence, w[i + 624] = w[i + 397] ^ mix(w[i], w[i + 1]): written behind the words it comes
 * from, a generation of 624 is a whole number of vectors for every width, and no vector needs a word that is
 * less than 227 old.
 */
static void mt19937_twist(uint32_t *words)
{
    enum { N = GCH_MT19937_WORDS, M = 397 };
    uint32_t sequence[2 * N] GCH_ALIGNED;
    const u32_vec upper = u32_set1(0x80000000u), lower = u32_set1(0x7fffffffu), one = u32_set1(1);
    const u32_vec zero = u32_set1(0), matrix = u32_set1(0x9908b0dfu);
    memcpy(sequence, words, N * sizeof *words);
    for (int i = 0; i < N; i += F32_LANES) {
        const u32_vec next = u32_load(sequence + i + 1);
        const u32_vec joined = u32_xor(u32_and(u32_load(sequence + i), upper), u32_and(next, lower));
        const u32_vec odd = u32_and(u32_sub(zero, u32_and(next, one)), matrix);
        const u32_vec mixed = u32_xor(u32_shift_right(joined, 1), odd);
        u32_store(sequence + N + i, u32_xor(u32_load(sequence + i + M), mixed));
    }
    memcpy(words, sequence + N, N * sizeof *words);
}

static void mt19937_temper(const uint32_t *words, uint32_t *tempered, ptrdiff_t first, ptrdiff_t last)
{
    for (ptrdiff_t i = first; i < last; i += F32_LANES) {
        u32_vec y = u32_load(words + i);
        y = u32_xor(y, u32_shift_right(y, 11));
        y = u32_xor(y, u32_and(u32_shift_left(y, 7), u32_set1(0x9d2c5680u)));
        y = u32_xor(y, u32_and(u32_shift_left(y, 15), u32_set1(0xefc60000u)));
        u32_store(tempered + i, u32_xor(y, u32_shift_right(y, 18)));
    }
}
