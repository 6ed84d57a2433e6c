/* Threads: how many a call gets, callers side by side, and a forked child. */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>

#include "core/ganchroma.h"
#include "core/parallel.h"

enum { CALLERS = 6, ROUNDS = 20, COUNT = 50021, ITEMS = 1000 };

static float source[COUNT], expected[COUNT];
static const struct gch_activation tanh_activation = {GCH_TANH, 0, 0};

/* What a call gets that enters and leaves at once. */
static int granted(int requested, double work)
{
    int threads = gch_runtime_enter(requested, work);
    gch_runtime_leave();
    return threads;
}

static void check_share(void)
{
    const double much = 1e12;
    check_running = "share";
    CHECK(granted(8, much) == 8, "alone: %d", granted(8, much));
    CHECK(granted(8, 0) == 1 && granted(8, 1000) == 1, "little work");
    CHECK(granted(8, NAN) == 1, "work that is no number");
    const int odd[] = {1, 0, -1, -2147483647};
    for (int i = 0; i < 4; ++i)
        CHECK(granted(odd[i], much) == 1, "%d requested", odd[i]);
    int first = gch_runtime_enter(8, much), second = gch_runtime_enter(8, much);
    CHECK(first == 8 && second == 4, "two calls share: %d, %d", first, second);
    CHECK(granted(8, much) == 2, "three share: %d", granted(8, much));
    gch_runtime_leave();
    gch_runtime_leave();
    CHECK(gch_runtime_default_threads() >= 1, "%d", gch_runtime_default_threads());
}

static unsigned char visits[ITEMS];
static void visit(void *context, ptrdiff_t index, int worker)
{
    int threads = *(int *)context;
    visits[index] = (unsigned char)(visits[index] + 1 + (worker < 0 || worker >= threads) * 100);
}

static void check_loop(void)
{
    check_running = "loop";
    for (int threads = 1; threads <= 5; ++threads) {
        for (ptrdiff_t items = 0; items <= ITEMS; items += items < 8 ? 1 : 331) {
            memset(visits, 0, sizeof visits);
            gch_parallel_for(0, items, threads, visit, &threads);
            int wrong = 0;
            for (ptrdiff_t i = 0; i < ITEMS; ++i)
                wrong += visits[i] != (i < items);
            CHECK(wrong == 0, "%d of %td items with %d threads", wrong, items, threads);
        }
    }
}

static int stop_at_second_look(void *context) { return ++*(int *)context == 2; }
static void rest(void *context, ptrdiff_t index, int worker)
{
    (void)index, (void)worker;
    atomic_fetch_add((atomic_int *)context, 1);
    gch_runtime_rest();
}

/* Without a stop it would take longer than anybody lives. */
static void check_stop(int threads)
{
    int looks = 0;
    atomic_int done = 0;
    struct gch_watch watch = {.stop = stop_at_second_look, .context = &looks, .thread = pthread_self()};
    CHECK(gch_runtime_watch(&watch) == NULL, "watched by somebody");
    gch_parallel_for(0, PTRDIFF_MAX, threads, rest, &done);
    CHECK(looks == 2 && atomic_load(&watch.stopped), "%d looks", looks);
    CHECK(atomic_load(&done) > 0, "nothing done");
    const int before = atomic_load(&done);
    gch_parallel_for(0, 10, threads, rest, &done);
    CHECK(atomic_load(&done) == before, "it went on");
    CHECK(gch_runtime_watch(NULL) == &watch, "watched by somebody else");
    gch_parallel_for(0, 10, threads, rest, &done);
    CHECK(atomic_load(&done) == before + 10, "unwatched, it stops");
}

static void check_watch(void)
{
    check_running = "watch";
    for (int threads = 1; threads <= 3; ++threads)
        check_stop(threads);
}

static void *caller(void *context)
{
    long wrong = 0;
    float *y = malloc(sizeof expected);
    (void)context;
    for (int round = 0; round < ROUNDS; ++round) {
        int threads = gch_runtime_enter(2, 1e9);
        wrong += gch_activate(GCH_F32, &tanh_activation, source, y, COUNT, threads) != GCH_OK;
        gch_runtime_leave();
        wrong += memcmp(y, expected, sizeof expected) != 0;
    }
    free(y);
    return (void *)wrong;
}

static void check_callers(void)
{
    pthread_t threads[CALLERS];
    check_running = "callers";
    for (int i = 0; i < CALLERS; ++i)
        CHECK(pthread_create(&threads[i], NULL, caller, NULL) == 0, "no thread %d", i);
    for (int i = 0; i < CALLERS; ++i) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK(wrong == NULL, "caller %d: %ld wrong answers", i, (long)wrong);
    }
    CHECK(granted(8, 1e12) == 8, "a call was left in flight");
}

/* The parent has run a team: a child that started another would wait for ever. */
static void check_fork(void)
{
    check_running = "fork";
    (void)gch_runtime_enter(1, 0);
    pid_t child = fork();
    if (child == 0) {
        static float y[COUNT];
        alarm(60);
        int threads = granted(8, 1e12);
        int wrong = threads != 1 || gch_runtime_default_threads() != 1;
        wrong |= gch_activate(GCH_F32, &tanh_activation, source, y, COUNT, threads) != GCH_OK;
        wrong |= memcmp(y, expected, sizeof expected) != 0;
        _exit(wrong);
    }
    gch_runtime_leave();
    int status = -1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child, "no child");
    CHECK(status == 0, "the child ended with status %#x", status);
    CHECK(granted(8, 1e12) == 8, "the parent changed");
}

int main(void)
{
    check_start();
    gch_runtime_start();
    gch_runtime_start();
    for (int i = 0; i < COUNT; ++i)
        source[i] = (float)(9 * check_random());
    gch_activate(GCH_F32, &tanh_activation, source, expected, COUNT, 1);
    check_share();
    check_loop();
    check_watch();
    check_callers();
    check_fork();
    return check_end("runtime");
}
