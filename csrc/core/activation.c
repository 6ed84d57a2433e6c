#include "core/ganchroma.h"

#include "core/parallel.h"
#include "cpu/dispatch.h"

enum { CHUNK = 16384 }; /* elements per item of work: a few microseconds of tanh */

struct job {
    enum gch_real real;
    const struct gch_activation *activation;
    const char *grad; /* NULL: forward */
    const char *x;
    char *y;
    ptrdiff_t count;
};

static void run_chunk(void *context, ptrdiff_t index, int worker)
{
    const struct job *job = context;
    (void)worker;
    const struct gch_activation_kernels *kernels = &gch_isa()->activation[job->real];
    const ptrdiff_t first = index * CHUNK, rest = job->count - first, count = rest < CHUNK ? rest : CHUNK;
    const size_t offset = (size_t)first * gch_real_size(job->real);
    if (job->grad == NULL)
        kernels->apply(job->activation, job->x + offset, job->y + offset, count);
    else
        kernels->backward(job->activation, job->grad + offset, job->x + offset, job->y + offset, count);
}

enum gch_status gch_activate(enum gch_real real, const struct gch_activation *activation, const void *x,
                             void *y, ptrdiff_t count, int threads)
{
    if (count < 0) return GCH_BAD_VALUE;
    struct job job = {real, activation, NULL, x, y, count};
    gch_parallel_for(0, (count + CHUNK - 1) / CHUNK, threads, run_chunk, &job);
    return GCH_OK;
}

enum gch_status gch_activate_backward(enum gch_real real, const struct gch_activation *activation,
                                      const void *grad, const void *x, void *out, ptrdiff_t count,
                                      int threads)
{
    if (count < 0) return GCH_BAD_VALUE;
    struct job job = {real, activation, grad, x, out, count};
    gch_parallel_for(0, (count + CHUNK - 1) / CHUNK, threads, run_chunk, &job);
    return GCH_OK;
}
