/* Parallel loops: the only file that names OpenMP.
 *
 * The loop lives here, in portable code, and reaches the SIMD kernels through function pointers: a function that
 * held both would be compiled for the baseline once the compiler outlines it. Nothing here ever calls omp_set_*:
 * the OpenMP runtime may be shared with other libraries of the process.
 */
#ifndef GCH_CORE_PARALLEL_H
#define GCH_CORE_PARALLEL_H

#include "core/ganchroma.h"

#ifdef _OPENMP
#    include <omp.h>
#endif

/* One item of work. `worker` is below the thread count and names scratch that no other running item uses. */
typedef void (*gch_task)(void *context, ptrdiff_t index, int worker);

static inline int gch_parallel_has_openmp(void)
{
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

/* What OpenMP would use now in this thread (OMP_NUM_THREADS, threadpoolctl), 1 without OpenMP. */
static inline int gch_parallel_default_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

#ifdef _OPENMP
/* What the thread that made the call does while others have still work: somebody may want to stop them. It rests only
 * after a while, some tenths of a millisecond: a rest is longer than a small call. */
static inline void gch_parallel_wait(atomic_int *done)
{
    const int looks = 10000;
    for (int look = 0; atomic_load(done) < omp_get_num_threads() && !gch_runtime_stopped(); ++look)
        if (look > looks) gch_runtime_rest();
}
#endif

/* Runs task for first <= index < last on at most `threads` threads; returns when all are done, or, where the call is
 * stopped, when those are that had begun. */
static inline void gch_parallel_for(ptrdiff_t first, ptrdiff_t last, int threads, gch_task task,
                                    void *context)
{
    if (last - first < threads) threads = (int)(last - first);
#ifdef _OPENMP
    if (threads > 1) {
        struct gch_watch *watch = gch_runtime_watched();
        atomic_int done = 0;
        atomic_ptrdiff_t next = first;
#    pragma omp parallel num_threads(threads)
        {
            const int worker = omp_get_thread_num();
            if (worker > 0) gch_runtime_watch(watch);
            while (!gch_runtime_stopped()) { /* a loop of OpenMP's could not be left */
                const ptrdiff_t index = atomic_fetch_add(&next, 1);
                if (index >= last) break;
                task(context, index, worker);
            }
            if (worker > 0) gch_runtime_watch(NULL);
            atomic_fetch_add(&done, 1);
            if (worker == 0 && watch != NULL) gch_parallel_wait(&done);
        }
        return;
    }
#endif
    for (ptrdiff_t index = first; index < last && !gch_runtime_stopped(); ++index)
        task(context, index, 0);
}

#endif
