/* Colour spaces, pixel by pixel. SERIAL. */
#ifndef GCH_KERNELS_COLOR_H
#define GCH_KERNELS_COLOR_H

#include "common.h"

/* The values of black and white. */
struct gch_range {
    double low, high;
};

/* Planes of `count` elements of the table's type; any alignment; outputs may be the inputs. The same bits for every
 * instruction set: what is fused is so everywhere. Values outside the range are not clipped; a pixel with a
 * non-finite channel gives three NaN. */
typedef void (*gch_color_kernel)(const struct gch_range *range, const void *const rgb[3], void *const out[3],
                                 ptrdiff_t count);

/* The same of pixels of three elements, one after another. */
typedef void (*gch_woven_kernel)(const struct gch_range *range, const void *rgb, void *out, ptrdiff_t count);

struct gch_color_kernels {
    gch_color_kernel lab;      /* CIELAB of sRGB, white D65 / 2 degrees: L in 0..100, a, b */
    gch_color_kernel hsv;      /* hue, saturation, value, all in 0..1; hue 0 for gray */
    gch_color_kernel opponent; /* |R - G|, |(R + G) / 2 - B|, 0; range unused */
    gch_woven_kernel lab_woven, hsv_woven;
};

#endif
