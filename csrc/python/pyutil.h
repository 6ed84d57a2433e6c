/* What every binding file shares. Include it first: it sets up Python and NumPy.
 *
 * The rules of this layer. Functions of _core are positional and private: Python code has already checked the
 * arguments for people and made the outputs. The checks here only make sure that no call whatever can crash: type,
 * number of dimensions, sizes that must agree. Arrays come in C-contiguous, images of convolutions also
 * channels-last; outputs are never copied. An input of a subclass comes in as a plain array: once the first array is
 * checked, no Python code runs that might change it.
 */
#ifndef GCH_PYTHON_PYUTIL_H
#define GCH_PYTHON_PYUTIL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define PY_ARRAY_UNIQUE_SYMBOL gch_numpy_api
#ifndef GCH_IMPORTS_NUMPY
#    define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "core/ganchroma.h"

typedef PyObject *const *gch_py_args;

/* 0 if `given` arguments are what the function takes, else -1 and a TypeError. */
int gch_py_count(const char *function, Py_ssize_t given, Py_ssize_t expected);

/* An input: C-contiguous, aligned, native byte order, `type` (an NPY_ number, or -1 for float32 or float64) and
 * `ndim` dimensions (-1: any). A new reference, possibly a copy; NULL with an exception that names the argument. */
PyArrayObject *gch_py_input(PyObject *object, const char *name, int type, int ndim);

/* An output: as above, but writable and never a copy. A new reference. */
PyArrayObject *gch_py_output(PyObject *object, const char *name, int type, int ndim);

/* An input or output (N, C, H, W) as above, or, then with *last 1, in the memory of a contiguous (N, H, W, C). */
PyArrayObject *gch_py_features(PyObject *object, const char *name, int type, int output, int *last);

/* 0 if dimension `axis` of the array is `size`, else -1 and a ValueError. */
int gch_py_size(PyArrayObject *array, const char *name, int axis, npy_intp size);

/* Element type of a float32 or float64 array. */
enum gch_real gch_py_real(PyArrayObject *array);

/* 0 on success with *value set, else -1 and an exception. */
int gch_py_int(PyObject *object, const char *name, ptrdiff_t *value);
int gch_py_double(PyObject *object, const char *name, double *value);

/* A (kind, low, high) tuple into *activation; 0, or -1 and an exception. */
int gch_py_activation(PyObject *object, struct gch_activation *activation);

/* None for GCH_OK; otherwise NULL and the matching exception. */
PyObject *gch_py_status(enum gch_status status);

/* Items first <= i < last of some work. Called without the GIL. */
typedef enum gch_status (*gch_py_items)(void *context, ptrdiff_t first, ptrdiff_t last);

/* Runs `count` items of about `work` multiply-adds in all without the GIL, in slices of some 50 ms with a look at
 * signals between them, and in the midst of one that takes longer (gch_runtime_stopped). None, or NULL with an
 * exception (KeyboardInterrupt among them). Between gch_runtime_enter, which says how many threads the items may use,
 * and gch_runtime_leave. */
PyObject *gch_py_run(gch_py_items items, void *context, ptrdiff_t count, double work);

#endif
