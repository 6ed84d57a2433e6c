/* How many threads a call gets, and who may end it. */
#include "core/parallel.h"

#include <time.h>

/* Starting a team costs some 5 us; below about this many multiply-adds one thread is done sooner. */
static const double grain = 2e5;

static atomic_int calls_in_flight;
static atomic_int forked;

/* A child has none of its parent's threads, yet OpenMP's bookkeeping believes it has: a team started there
 * never begins. One thread is always right. */
static void in_child(void)
{
    atomic_store(&forked, 1);
    atomic_store(&calls_in_flight, 0);
}

void gch_runtime_start(void)
{
    static atomic_flag started = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&started)) pthread_atfork(NULL, NULL, in_child);
}

void gch_runtime_leave(void) { atomic_fetch_sub(&calls_in_flight, 1); }
int gch_runtime_default_threads(void) { return atomic_load(&forked) ? 1 : gch_parallel_default_threads(); }
int gch_runtime_has_openmp(void) { return gch_parallel_has_openmp(); }

static void *wait_for(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* How many threads can be had: where one can't be started, OpenMP ends the process. So as many as a team of this thread
 * has not had yet are started for a moment. */
static int startable(int threads)
{
    enum { MOST = 1024 };
    static _Thread_local int had = 1;
    if (threads <= had) return threads;
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t some[MOST];
    const int wanted = threads - had < MOST ? threads - had : MOST;
    int started = 0;
    pthread_mutex_lock(&gate);
    while (started < wanted && pthread_create(&some[started], NULL, wait_for, &gate) == 0)
        ++started;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; ++i)
        pthread_join(some[i], NULL);
    if (started < wanted) return had + started;
    had = threads;
    return threads;
}

int gch_runtime_enter(int requested, double work)
{
    int threads = requested, calls = atomic_fetch_add(&calls_in_flight, 1) + 1;
    if (atomic_load(&forked) || !(work >= grain)) return 1;
    if (calls > 1) threads /= calls;
    if (work / grain < threads) threads = (int)(work / grain);
    return threads > 1 ? startable(threads) : 1;
}

static _Thread_local struct gch_watch *current;

struct gch_watch *gch_runtime_watched(void) { return current; }

struct gch_watch *gch_runtime_watch(struct gch_watch *watch)
{
    struct gch_watch *before = current;
    current = watch;
    return before;
}

int gch_runtime_stopped(void)
{
    const double interval = 0.05;
    struct gch_watch *watch = current;
    if (watch == NULL) return 0;
    if (atomic_load_explicit(&watch->stopped, memory_order_relaxed)) return 1;
    if (!pthread_equal(watch->thread, pthread_self()) || gch_runtime_seconds() < watch->due) return 0;
    current = NULL; /* what a signal's handler computes has a watch of its own, or none */
    const int stop = watch->stop(watch->context) != 0;
    current = watch;
    watch->due = gch_runtime_seconds() + interval;
    if (stop) atomic_store_explicit(&watch->stopped, 1, memory_order_relaxed);
    return stop;
}

double gch_runtime_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void gch_runtime_rest(void)
{
    const struct timespec moment = {.tv_nsec = 50000};
    nanosleep(&moment, NULL);
}
