/* Which table of kernels runs: chosen once, at import; changed afterwards only by tests. */
#ifndef GCH_CPU_DISPATCH_H
#define GCH_CPU_DISPATCH_H

#include "kernels/isa.h"

/* The tables this machine can run, best first, at most `room` of them; returns how many there are. */
int gch_dispatch_available(const struct gch_isa **tables, int room);

/* Selects the table of that name, or the best one for NULL. Returns 0, or -1 if there is none of that name here. */
int gch_dispatch_select(const char *name);

/* The selected table; the best one if none was selected yet. */
const struct gch_isa *gch_isa(void);

#endif
