/* PyTorch's random stream on every instruction set: the twister against its textbook form, each kernel's bits and
 * its reach in memory, and the rules for dividing calls. */
#include "check.h"

#include "core/ganchroma.h"

enum { N = GCH_MT19937_WORDS, LENGTHS = 70 };

/* Matsumoto and Nishimura's own order: in place, one word after the other. */
static void naive_twist(uint32_t *w)
{
    for (int i = 0; i < N; ++i) {
        const uint32_t y = (w[i] & 0x80000000u) | (w[(i + 1) % N] & 0x7fffffffu);
        w[i] = w[(i + 397) % N] ^ (y >> 1) ^ (y % 2 ? 0x9908b0dfu : 0);
    }
}

static uint32_t naive_temper(uint32_t y)
{
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

static void check_twister(void)
{
    struct gch_torch_state state;
    gch_torch_seed(&state, 5489);
    uint32_t start[N];
    for (int i = 0; i < N; ++i)
        start[i] = (uint32_t)state.words[i];
    for (FOR_EACH_ISA(isa)) {
        uint32_t *words = guarded(sizeof start), *tempered = guarded(sizeof start), naive[N];
        memcpy(words, start, sizeof start);
        memcpy(naive, start, sizeof start);
        for (int generation = 0; generation < 5; ++generation) {
            isa->mt19937.twist(words);
            isa->mt19937.temper(words, tempered, 0, N);
            naive_twist(naive);
            for (int i = 0; i < N; ++i)
                CHECK(words[i] == naive[i] && tempered[i] == naive_temper(naive[i]), "word %d of %d", i,
                      generation);
        }
        /* The 10,000th number of the standard's mt19937, whose seed is 5489: 15 whole generations before it. */
        for (int generation = 5; generation <= 10000 / N; ++generation)
            naive_twist(naive);
        CHECK(naive_temper(naive[(10000 - 1) % N]) == 4123659995u, "the published number");
    }
}

/* Inputs and outputs at the very end of memory, and the bits of the first instruction set. */
static void check_kernels(enum gch_real real, enum gch_torch_capability capability)
{
    const size_t size = gch_real_size(real);
    for (ptrdiff_t count = 0; count < LENGTHS; ++count) {
        const size_t each = real == GCH_F32 ? 1 : 2, read = (size_t)count * each + GCH_MT19937_ROOM;
        const ptrdiff_t blocks = count / 2;
        uint32_t *words = guarded(read * sizeof *words);
        void *uniform = guarded((size_t)count * size),
             *normal = guarded((size_t)blocks * GCH_TORCH_BLOCK * size);
        void *known_uniform = NULL, *known_normal = NULL;
        for (size_t i = 0; i < read; ++i)
            words[i] = (uint32_t)(int64_t)(check_random() * 0x1p32);
        for (FOR_EACH_ISA(isa)) {
            const struct gch_torch_kernels *kernels = &isa->torch[real];
            kernels->uniform(words, uniform, count, -0.3, 0.75, capability);
            for (ptrdiff_t i = 0; i < blocks * GCH_TORCH_BLOCK; ++i) {
                const double d = i % 64 == 5   ? 0
                                 : i % 64 == 6 ? 0x1.fffffep-1
                                               : (double)(i * 37 % 1009) / 1009;
                if (real == GCH_F32) {
                    ((float *)normal)[i] = (float)d;
                } else {
                    ((double *)normal)[i] = d;
                }
            }
            kernels->normal(normal, blocks, 0.3, 1.7, capability);
            if (known_uniform == NULL) {
                known_uniform = memcpy(guarded((size_t)count * size), uniform, (size_t)count * size);
                known_normal = memcpy(guarded((size_t)blocks * GCH_TORCH_BLOCK * size), normal,
                                      (size_t)blocks * GCH_TORCH_BLOCK * size);
            }
            CHECK(memcmp(uniform, known_uniform, (size_t)count * size) == 0, "%td uniform", count);
            CHECK(memcmp(normal, known_normal, (size_t)blocks * GCH_TORCH_BLOCK * size) == 0, "%td blocks",
                  blocks);
        }
    }
}

/* Normal numbers in two calls, the first a multiple of sixteen, are those of one. */
static void check_division(enum gch_real real)
{
    enum { COUNT = 2003 };
    const size_t size = gch_real_size(real);
    double whole[COUNT], parts[COUNT];
    check_running = "division";
    for (ptrdiff_t first = 16; first < COUNT - 16; first += 112) {
        struct gch_torch_state one, two;
        gch_torch_seed(&one, 3);
        gch_torch_seed(&two, 3);
        gch_torch_normal(real, GCH_TORCH_AVX2, &one, whole, COUNT, 0, 1, 1);
        gch_torch_normal(real, GCH_TORCH_AVX2, &two, parts, first, 0, 1, 2);
        gch_torch_normal(real, GCH_TORCH_AVX2, &two, (char *)parts + (size_t)first * size, COUNT - first, 0,
                         1, 1);
        CHECK(memcmp(whole, parts, COUNT * size) == 0, "divided at %td", first);
        CHECK(memcmp(&one, &two, sizeof one) == 0, "states after division at %td", first);
        int64_t order[100], again[100];
        gch_torch_shuffle(&one, order, 100, 0, 100);
        gch_torch_shuffle(&two, again, 100, 0, 41);
        gch_torch_shuffle(&two, again, 100, 41, 100);
        CHECK(memcmp(order, again, sizeof order) == 0, "shuffle in two parts");
    }
}

static void check_states(void)
{
    float out[40];
    int64_t order[4];
    struct gch_torch_state good, state;
    gch_torch_seed(&good, 0);
    check_running = "states";
    for (int32_t left = -1; left <= 626; ++left) {
        for (uint64_t next = 0; next <= 626; next += 3) {
            state = good;
            state.left = left;
            state.next = next;
            const int valid = left >= 1 && left <= 624 && next + (uint64_t)left <= 625;
            const enum gch_status wanted = valid ? GCH_OK : GCH_BAD_VALUE;
            const enum gch_status got = gch_torch_uniform(GCH_F32, GCH_TORCH_AVX2, &state, out, 40, 0, 1);
            CHECK(got == wanted, "left %d, next %d", (int)left, (int)next);
        }
    }
    state = good;
    state.next = UINT64_MAX;
    CHECK(gch_torch_normal(GCH_F32, GCH_TORCH_AVX2, &state, out, 40, 0, 1, 1) == GCH_BAD_VALUE,
          "next overflows");
    state = good;
    state.seeded = 0;
    CHECK(gch_torch_shuffle(&state, order, 4, 0, 4) == GCH_BAD_VALUE, "not seeded");
    CHECK(gch_torch_shuffle(&good, order, 4, 0, 5) == GCH_BAD_VALUE, "more steps than numbers");
    CHECK(gch_torch_uniform(GCH_F32, GCH_TORCH_AVX2, &good, out, -1, 0, 1) == GCH_BAD_VALUE,
          "a negative count");
}

int main(void)
{
    check_start();
    check_twister();
    for (int real = GCH_F32; real <= GCH_F64; ++real) {
        check_kernels((enum gch_real)real, GCH_TORCH_DEFAULT);
        check_kernels((enum gch_real)real, GCH_TORCH_AVX2);
        check_division((enum gch_real)real);
    }
    check_states();
    return check_end("torch stream");
}
