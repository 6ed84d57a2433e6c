/* Parallel loops: the only file that names OpenMP.
 *
 * The loop lives here, in portable code, and reaches the SIMD kernels through function pointers: a function that
 * held both would be compiled for the baseline once the compiler outlines it. Nothing here ever calls omp_set_*:
 * the OpenMP runtime may be shared with other libraries of the process.
 */
#ifndef GCH_CORE_PARALLEL_H
#define GCH_CORE_PARALLEL_H

#include "common.h"

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

/* Runs task for first <= index < last on at most `threads` threads; returns when all are done. */
static inline void gch_parallel_for(ptrdiff_t first, ptrdiff_t last, int threads, gch_task task,
                                    void *context)
{
    if (last - first < threads) threads = (int)(last - first);
#ifdef _OPENMP
    if (threads > 1) {
#    pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
        for (ptrdiff_t index = first; index < last; ++index)
            task(context, index, omp_get_thread_num());
        return;
    }
#endif
    for (ptrdiff_t index = first; index < last; ++index)
        task(context, index, 0);
}

#endif
