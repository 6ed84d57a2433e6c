/* What the plain C checks share. Each check is a program: it prints what is wrong and returns 1, or one line and 0.
 *
 * Buffers for kernels come from guarded(): they end at a page that can't be read or written, so that one element too
 * far is a crash and not a quiet success. A crash names the check that was running.
 */
#ifndef GCH_TESTS_CHECK_H
#define GCH_TESTS_CHECK_H

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/dispatch.h"

static long checks_made, checks_failed;
static const char *check_running = "start";

/* Counts; on failure prints the place, the condition and the formatted rest. */
#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        ++checks_made;                                                                                       \
        if (!(condition) && ++checks_failed <= 20) {                                                         \
            fprintf(stderr, "%s:%d: %s: not %s: ", __FILE__, __LINE__, check_running, #condition);           \
            fprintf(stderr, __VA_ARGS__);                                                                    \
            fprintf(stderr, "\n");                                                                           \
        }                                                                                                    \
    } while (0)

GCH_UNUSED static void check_crashed(int number)
{
    const char *parts[] = {"crashed in ", check_running, number == SIGILL ? ": illegal instruction\n" : "\n"};
    for (int i = 0; i < 3; ++i)
        if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0) break;
    _exit(1);
}

static inline void check_start(void)
{
#if !defined(GCH_ASAN) && !defined(GCH_TSAN)
    signal(SIGSEGV, check_crashed);
    signal(SIGBUS, check_crashed);
    signal(SIGILL, check_crashed);
#endif
}

static inline int check_end(const char *subject)
{
    printf("%-12s %8ld checks, %ld failed\n", subject, checks_made, checks_failed);
    return checks_failed != 0 || checks_made == 0;
}

/* What may be done with the pages beside a buffer: nothing. CHECK_GUARDS=readable is for emulators that read what a
 * masked load leaves out; writing stays forbidden. */
static inline int guard_access(void)
{
    const char *access = getenv("CHECK_GUARDS");
    return access != NULL && strcmp(access, "readable") == 0 ? PROT_READ : PROT_NONE;
}

/* `bytes` bytes (0 too) that end where memory does. Never released: a check is a short program. */
GCH_UNUSED static void *guarded(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
    char *start = mmap(NULL, room + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start, page, guard_access()) != 0 ||
        mprotect(start + page + room, page, guard_access()) != 0) {
        perror("guarded");
        exit(1);
    }
    return start + page + room - bytes;
}

/* Uniform in [-1, 1), the same in every run (xorshift64*). */
GCH_UNUSED static double check_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)(int64_t)(state * 0x2545f4914f6cdd1du) * 0x1p-63;
}

/* Every instruction set of this machine, in turn: for (FOR_EACH_ISA(isa)) ... */
#define FOR_EACH_ISA(isa)                                                                                    \
    const struct gch_isa *isa##_all[8],                                                                      \
        **isa##_at = isa##_all, **isa##_end = isa##_all + gch_dispatch_available(isa##_all, 8), *isa;        \
    isa##_at < isa##_end && (isa = *isa##_at, check_running = isa->name, 1);                                 \
    ++isa##_at

#endif
