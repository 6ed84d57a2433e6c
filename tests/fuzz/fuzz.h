/* What the fuzz targets share: numbers from the input, and buffers of exactly the size that is needed, so that one
 * element too far is found. */
#ifndef GCH_TESTS_FUZZ_H
#define GCH_TESTS_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "core/ganchroma.h"
#include "cpu/dispatch.h"

struct bytes {
    const uint8_t *at;
    size_t left;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next `size` bytes, zeros where the input has ended. */
static inline void take(struct bytes *in, void *to, size_t size)
{
    const size_t now = size < in->left ? size : in->left;
    memset(to, 0, size);
    if (now > 0) memcpy(to, in->at, now);
    in->at += now;
    in->left -= now;
}

static inline uint8_t take_byte(struct bytes *in)
{
    uint8_t value;
    take(in, &value, 1);
    return value;
}

/* A number from `low` to `high`. */
static inline ptrdiff_t take_between(struct bytes *in, ptrdiff_t low, ptrdiff_t high)
{
    return low + take_byte(in) % (high - low + 1);
}

/* Any number, the extreme ones often. */
static inline ptrdiff_t take_any(struct bytes *in)
{
    int64_t value;
    switch (take_byte(in) % 4) {
    case 0:
        return take_between(in, -2, 20);
    case 1:
        return ((ptrdiff_t)1 << take_between(in, 0, 62)) + take_between(in, -2, 2);
    case 2:
        return PTRDIFF_MAX - take_byte(in);
    default:
        take(in, &value, sizeof value);
        return value;
    }
}

static inline double take_double(struct bytes *in)
{
    double value;
    take(in, &value, sizeof value);
    return value;
}

/* Of exactly `count` elements; what the input has left, again and again. */
static inline void *take_array(struct bytes *in, ptrdiff_t count, size_t size)
{
    const size_t wanted = (size_t)count * size;
    char *array = malloc(wanted ? wanted : 1);
    if (array == NULL) abort();
    for (size_t i = 0; i < wanted; ++i)
        array[i] = in->left > 0 ? (char)in->at[i % in->left] : (char)(7 * i);
    return array;
}

/* One of the sets of this machine. */
static inline void take_isa(struct bytes *in)
{
    const struct gch_isa *tables[8];
    const int count = gch_dispatch_available(tables, 8);
    gch_dispatch_select(tables[take_byte(in) % count]->name);
}

#endif
