/* Random numbers in parallel: a group depends on its number alone, so any thread may make it. */
#include "core/ganchroma.h"
#include "core/parallel.h"
#include "cpu/dispatch.h"

enum { CHUNK = 256 }; /* groups per item of work: some 10 us */

struct job {
    enum gch_real real;
    enum gch_rng_law law;
    const struct gch_rng_stream *stream;
    ptrdiff_t group, count;
    char *out;
    double a, b;
};

static ptrdiff_t group_size(enum gch_real real)
{
    return real == GCH_F32 ? GCH_RNG_GROUP_F32 : GCH_RNG_GROUP_F64;
}

ptrdiff_t gch_rng_groups(enum gch_real real, ptrdiff_t count)
{
    ptrdiff_t size = group_size(real);
    return count / size + (count % size != 0);
}

static void fill_chunk(void *context, ptrdiff_t index, int worker)
{
    const struct job *job = context;
    const ptrdiff_t most = CHUNK * group_size(job->real), first = index * most, rest = job->count - first;
    const ptrdiff_t count = rest < most ? rest : most;
    const struct gch_rng_kernels *kernels = &gch_isa()->rng[job->real];
    const uint64_t group = (uint64_t)job->group + (uint64_t)index * CHUNK;
    char *out = job->out + (size_t)first * gch_real_size(job->real);
    (void)worker;
    if (job->law == GCH_RNG_UNIFORM)
        kernels->uniform(job->stream, group, out, count, job->a, job->b);
    else
        kernels->normal(job->stream, group, out, count, job->a, job->b);
}

enum gch_status gch_rng_fill(enum gch_real real, enum gch_rng_law law, const struct gch_rng_stream *stream,
                             ptrdiff_t group, void *out, ptrdiff_t count, double a, double b, int threads)
{
    if (count < 0 || group < 0) return GCH_BAD_VALUE;
    struct job job = {real, law, stream, group, count, out, a, b};
    const ptrdiff_t groups = gch_rng_groups(real, count);
    gch_parallel_for(0, groups / CHUNK + (groups % CHUNK != 0), threads, fill_chunk, &job);
    return GCH_OK;
}
