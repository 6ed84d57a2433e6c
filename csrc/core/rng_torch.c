/* PyTorch's CPU random stream: which words of the Mersenne Twister go where.
 *
 * The words come one after the other, so one thread draws them; turning uniform numbers into normal ones is the
 * larger part of the work, and is shared.
 */
#include "core/ganchroma.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"
#include "cpu/dispatch.h"

enum {
    CHUNK = 1 << 13,   /* elements that become normal in one item of work: they stay in the nearest cache */
    CHUNKS_AHEAD = 64, /* drawn for each thread before all turn to that work */
    SMALL = GCH_TORCH_BLOCK, /* below it normal numbers are made one by one */
    MOST_BY_32_BITS =
        214748364, /* longer permutations take 64 bits a step, as PyTorch does: (2^32 - 1) / 20 */
};

_Static_assert(sizeof(struct gch_torch_state) == 5056, "the layout is PyTorch's");

struct engine {
    uint32_t words[GCH_MT19937_WORDS];
    uint32_t tempered[GCH_MT19937_WORDS + GCH_MT19937_ROOM];
    ptrdiff_t next, unused;
    int whole; /* 0: only the words that one draw needs were read, and none was renewed */
};

void gch_torch_seed(struct gch_torch_state *state, uint64_t seed)
{
    memset(state, 0, sizeof *state);
    state->seed = seed;
    state->left = 1;
    state->seeded = 1;
    uint32_t word = (uint32_t)seed;
    for (uint32_t i = 0; i < GCH_MT19937_WORDS; ++i) {
        if (i > 0) word = 1812433253u * (word ^ (word >> 30)) + i;
        state->words[i] = word;
    }
}

/* Ready to draw `most` words. Where they are at hand the other hundreds stay unread: small draws are frequent. */
static enum gch_status load_engine(struct engine *engine, const struct gch_torch_state *state, ptrdiff_t most)
{
    const uint64_t words = GCH_MT19937_WORDS;
    if (state->seeded != 1 || state->left < 1 || state->next > words) return GCH_BAD_VALUE;
    if ((uint64_t)state->left > words || state->next + (uint64_t)state->left > words + 1)
        return GCH_BAD_VALUE;
    engine->next = (ptrdiff_t)state->next;
    engine->unused = state->left - 1;
    engine->whole = most > engine->unused;
    const ptrdiff_t room = GCH_MT19937_ROOM;
    const ptrdiff_t first = engine->whole ? 0 : engine->next / room * room,
                    last = engine->whole ? GCH_MT19937_WORDS : (engine->next + most + room - 1) / room * room;
    for (ptrdiff_t i = first; i < last; ++i)
        engine->words[i] = (uint32_t)state->words[i];
    memset(engine->tempered + last, 0, GCH_MT19937_ROOM * sizeof *engine->tempered);
    gch_isa()->mt19937.temper(engine->words, engine->tempered, first, last);
    return GCH_OK;
}

static void store_engine(const struct engine *engine, struct gch_torch_state *state)
{
    for (int i = 0; engine->whole && i < GCH_MT19937_WORDS; ++i)
        state->words[i] = engine->words[i];
    state->next = (uint64_t)engine->next;
    state->left = (int32_t)(engine->unused + 1);
}

static void renew(struct engine *engine)
{
    const struct gch_isa *isa = gch_isa();
    isa->mt19937.twist(engine->words);
    isa->mt19937.temper(engine->words, engine->tempered, 0, GCH_MT19937_WORDS);
    engine->next = 0;
    engine->unused = GCH_MT19937_WORDS;
}

static uint32_t draw32(struct engine *engine)
{
    if (engine->unused == 0) renew(engine);
    --engine->unused;
    return engine->tempered[engine->next++];
}

static uint64_t draw64(struct engine *engine)
{
    const uint64_t high = draw32(engine);
    return high << 32 | draw32(engine);
}

/* Words of that many elements, or as many as are more than any state holds. */
static ptrdiff_t most_words(enum gch_real real, ptrdiff_t count)
{
    const ptrdiff_t some = count < GCH_MT19937_WORDS ? count : GCH_MT19937_WORDS;
    return real == GCH_F32 ? some : 2 * some;
}

static void draw_uniform(struct engine *engine, enum gch_real real, enum gch_torch_capability capability,
                         void *out, ptrdiff_t count, double low, double high)
{
    const struct gch_torch_kernels *kernels = &gch_isa()->torch[real];
    const ptrdiff_t each = real == GCH_F32 ? 1 : 2;
    char *place = out;
    while (count > 0) {
        ptrdiff_t now = engine->unused / each;
        if (now > count) now = count;
        if (now > 0) {
            kernels->uniform(engine->tempered + engine->next, place, now, low, high, capability);
            engine->next += now * each;
            engine->unused -= now * each;
        } else { /* the words of one element stand in two generations */
            uint32_t words[2 + GCH_MT19937_ROOM] = {0};
            for (ptrdiff_t i = 0; i < each; ++i)
                words[i] = draw32(engine);
            now = 1;
            kernels->uniform(words, place, now, low, high, capability);
        }
        count -= now;
        place += (size_t)now * gch_real_size(real);
    }
}

enum gch_status gch_torch_uniform(enum gch_real real, enum gch_torch_capability capability,
                                  struct gch_torch_state *state, void *out, ptrdiff_t count, double low,
                                  double high)
{
    struct engine engine;
    if (count < 0 || load_engine(&engine, state, most_words(real, count)) != GCH_OK) return GCH_BAD_VALUE;
    draw_uniform(&engine, real, capability, out, count, low, high);
    store_engine(&engine, state);
    return GCH_OK;
}

/* One normal number in double: the second of the last pair if it waits, or the first of a new one. */
static double draw_normal(struct engine *engine, struct gch_torch_state *state)
{
    if (state->second_normal_is_kept) {
        const double second = state->second_normal;
        state->second_normal_is_kept = 0;
        state->second_normal = 0;
        return second;
    }
    const uint64_t mask = ((uint64_t)1 << 53) - 1;
    const double u1 = (double)(draw64(engine) & mask) * 0x1p-53,
                 u2 = (double)(draw64(engine) & mask) * 0x1p-53;
    const double radius = sqrt(-2.0 * log1p(-u2)), angle = 6.28318530717958647692 * u1;
    state->second_normal_is_kept = 1;
    state->second_normal = radius * sin(angle);
    return radius * cos(angle);
}

static void draw_few_normals(struct engine *engine, enum gch_real real, enum gch_torch_capability capability,
                             struct gch_torch_state *state, void *out, ptrdiff_t count, double mean,
                             double std)
{
    for (ptrdiff_t i = 0; i < count; ++i) {
        const double z = draw_normal(engine, state);
        const double x = capability == GCH_TORCH_AVX2 ? fma(z, std, mean) : z * std + mean;
        if (real == GCH_F32)
            ((float *)out)[i] = (float)x;
        else
            ((double *)out)[i] = x;
    }
}

struct job {
    const struct gch_torch_kernels *kernels;
    enum gch_torch_capability capability;
    char *out;
    ptrdiff_t count; /* a multiple of GCH_TORCH_BLOCK */
    size_t size;
    double mean, std;
};

static void transform_chunk(void *context, ptrdiff_t index, int worker)
{
    const struct job *job = context;
    const ptrdiff_t first = index * CHUNK, rest = job->count - first, count = rest < CHUNK ? rest : CHUNK;
    (void)worker;
    job->kernels->normal(job->out + (size_t)first * job->size, count / GCH_TORCH_BLOCK, job->mean, job->std,
                         job->capability);
}

enum gch_status gch_torch_normal(enum gch_real real, enum gch_torch_capability capability,
                                 struct gch_torch_state *state, void *out, ptrdiff_t count, double mean,
                                 double std, int threads)
{
    struct engine engine;
    if (count < 0) return GCH_BAD_VALUE;
    const ptrdiff_t most_of_few = 4 * count; /* two numbers in double a pair, and it may be an odd one */
    const ptrdiff_t words =
        count < SMALL ? most_of_few : most_words(real, count) + most_words(real, 2 * SMALL);
    if (load_engine(&engine, state, words) != GCH_OK) return GCH_BAD_VALUE;
    if (count < SMALL) {
        draw_few_normals(&engine, real, capability, state, out, count, mean, std);
        store_engine(&engine, state);
        return GCH_OK;
    }
    struct job job = {&gch_isa()->torch[real], capability, out, 0, gch_real_size(real), mean, std};
    const ptrdiff_t rest = count % GCH_TORCH_BLOCK, whole = count - rest;
    const ptrdiff_t most = threads > 1 ? (ptrdiff_t)threads * CHUNKS_AHEAD * CHUNK : CHUNK;
    for (ptrdiff_t done = 0; done < whole && !gch_runtime_stopped(); done += job.count) {
        job.count = whole - done < most ? whole - done : most;
        job.out = (char *)out + (size_t)done * job.size;
        draw_uniform(&engine, real, capability, job.out, job.count, 0, 1);
        gch_parallel_for(0, (job.count + CHUNK - 1) / CHUNK, threads, transform_chunk, &job);
    }
    if (rest > 0) { /* PyTorch draws for the last places twice, and makes the last sixteen once more */
        char *last = (char *)out + (size_t)(count - GCH_TORCH_BLOCK) * job.size;
        double unused[GCH_TORCH_BLOCK];
        draw_uniform(&engine, real, capability, unused, rest, 0, 1);
        draw_uniform(&engine, real, capability, last, GCH_TORCH_BLOCK, 0, 1);
        job.kernels->normal(last, 1, mean, std, capability);
    }
    store_engine(&engine, state);
    return GCH_OK;
}

enum gch_status gch_torch_shuffle(struct gch_torch_state *state, int64_t *order, ptrdiff_t count,
                                  ptrdiff_t first, ptrdiff_t last)
{
    struct engine engine;
    if (first < 0 || last > count || load_engine(&engine, state, PTRDIFF_MAX) != GCH_OK) return GCH_BAD_VALUE;
    const int wide = count >= MOST_BY_32_BITS;
    const ptrdiff_t between = 1 << 18; /* looks at whether to stop */
    for (ptrdiff_t i = 0; i < count && first == 0 && !wide; ++i) {
        if (i % between == 0 && gch_runtime_stopped()) break;
        order[i] = i;
    }
    for (ptrdiff_t i = first; i < last; ++i) {
        if (i % between == 0 && gch_runtime_stopped()) break;
        if (wide) {
            const uint64_t other = draw64(&engine) % ((uint64_t)i + 1);
            order[i] = i;
            order[i] = order[other];
            order[other] = i;
        } else if (i < count - 1) {
            const ptrdiff_t other = i + (ptrdiff_t)(draw32(&engine) % (uint32_t)(count - i));
            const int64_t moved = order[i];
            order[i] = order[other];
            order[other] = moved;
        }
    }
    store_engine(&engine, state);
    return GCH_OK;
}
