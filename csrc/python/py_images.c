#include "python/py_images.h"

PyArrayObject *gch_py_images(PyObject *object, const char *name, int writable, struct gch_images *images)
{
    if (!PyArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a NumPy array, got %R", name, (PyObject *)Py_TYPE(object));
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    switch (PyArray_TYPE(array)) {
    case NPY_UINT8:
        images->pixel = GCH_PIXEL_U8;
        break;
    case NPY_FLOAT32:
        images->pixel = GCH_PIXEL_F32;
        break;
    case NPY_FLOAT64:
        images->pixel = GCH_PIXEL_F64;
        break;
    default:
        PyErr_Format(PyExc_TypeError, "%s has dtype %S; accepted: uint8, float32, float64", name,
                     (PyObject *)PyArray_DESCR(array));
        return NULL;
    }
    if (PyArray_NDIM(array) != 4 || PyArray_DIM(array, 1) != 3) {
        PyErr_Format(PyExc_ValueError, "%s must have shape (N, 3, H, W)", name);
        return NULL;
    }
    if (writable) {
        if (!PyArray_ISBEHAVED(array)) {
            PyErr_Format(PyExc_ValueError, "%s must be aligned, native and writable", name);
            return NULL;
        }
        Py_INCREF(object);
    } else {
        const int flags = NPY_ARRAY_ALIGNED | NPY_ARRAY_NOTSWAPPED | NPY_ARRAY_ENSUREARRAY;
        array = (PyArrayObject *)PyArray_FROM_OF(object, flags);
        if (array == NULL) return NULL;
    }
    images->data = PyArray_BYTES(array);
    images->count = PyArray_DIM(array, 0);
    images->height = PyArray_DIM(array, 2);
    images->width = PyArray_DIM(array, 3);
    for (int i = 0; i < 4; ++i)
        images->stride[i] = PyArray_STRIDE(array, i);
    return array;
}

struct gch_images gch_py_some_images(const struct gch_images *images, ptrdiff_t first, ptrdiff_t last)
{
    struct gch_images some = *images;
    some.data += first * some.stride[0];
    some.count = last - first;
    return some;
}

int gch_py_range(PyObject *low, PyObject *high, struct gch_range *range)
{
    if (gch_py_double(low, "low", &range->low) < 0) return -1;
    return gch_py_double(high, "high", &range->high);
}
