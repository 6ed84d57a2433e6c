/* Lets a Python program say what callgrind counts. Outside valgrind both functions do nothing. */
#include <valgrind/callgrind.h>

void count_on(void)
{
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
}

/* What was counted goes into a file of its own that holds `name`. */
void count_off(const char *name)
{
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}
