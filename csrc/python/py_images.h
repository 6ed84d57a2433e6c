/* Image batches between Python and the core. */
#ifndef GCH_PYTHON_IMAGES_H
#define GCH_PYTHON_IMAGES_H

#include "python/pyutil.h"

/* A (N, 3, H, W) array of uint8, float32 or float64 with any strides, aligned and native: what `images`
 * describes afterwards. A new reference, a copy only of a misaligned or byte-swapped input; NULL with an
 * exception. */
PyArrayObject *gch_py_images(PyObject *object, const char *name, int writable, struct gch_images *images);

/* Images first <= i < last of the same batch. */
struct gch_images gch_py_some_images(const struct gch_images *images, ptrdiff_t first, ptrdiff_t last);

/* (low, high) into *range; 0, or -1 and an exception. */
int gch_py_range(PyObject *low, PyObject *high, struct gch_range *range);

#endif
