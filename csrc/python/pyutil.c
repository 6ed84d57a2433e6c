#include "python/pyutil.h"

int gch_py_count(const char *function, Py_ssize_t given, Py_ssize_t expected)
{
    if (given == expected) return 0;
    PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, got %zd", function, expected, given);
    return -1;
}

static int check_array(PyObject *object, const char *name, int type, int ndim)
{
    if (!PyArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a NumPy array, got %R", name, (PyObject *)Py_TYPE(object));
        return -1;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    int given = PyArray_TYPE(array);
    if (type < 0 && given != NPY_FLOAT32 && given != NPY_FLOAT64) {
        PyErr_Format(PyExc_TypeError, "%s has dtype %S; accepted: float32, float64", name,
                     (PyObject *)PyArray_DESCR(array));
        return -1;
    }
    if (type >= 0 && given != type) {
        PyObject *wanted = (PyObject *)PyArray_DescrFromType(type);
        PyErr_Format(PyExc_TypeError, "%s has dtype %S; accepted: %S", name, (PyObject *)PyArray_DESCR(array),
                     wanted);
        Py_XDECREF(wanted);
        return -1;
    }
    if (ndim >= 0 && PyArray_NDIM(array) != ndim) {
        PyErr_Format(PyExc_ValueError, "%s must have %d dimensions, got %d", name, ndim, PyArray_NDIM(array));
        return -1;
    }
    return 0;
}

/* Piece by piece, so that Ctrl-C ends it soon; both are plain arrays of one shape. */
static int copy(PyObject *into, PyObject *from)
{
    const npy_intp piece = (npy_intp)1 << 22;
    PyArrayObject *array = (PyArrayObject *)from;
    const npy_intp size = PyArray_SIZE(array), rows = PyArray_NDIM(array) > 0 ? PyArray_DIM(array, 0) : 0;
    if (size <= piece) {
        if (PyArray_CopyInto((PyArrayObject *)into, array) < 0) return -1;
        return PyErr_CheckSignals();
    }
    const npy_intp step = size / rows > piece ? 1 : piece / (size / rows);
    int failed = 0;
    for (npy_intp row = 0; row < rows && !failed; row += step) {
        const npy_intp last = rows - row < step ? rows : row + step;
        PyObject *to = step > 1 ? PySequence_GetSlice(into, row, last) : PySequence_GetItem(into, row);
        PyObject *of = step > 1 ? PySequence_GetSlice(from, row, last) : PySequence_GetItem(from, row);
        failed = to == NULL || of == NULL || copy(to, of) < 0;
        Py_XDECREF(to);
        Py_XDECREF(of);
    }
    return failed ? -1 : 0;
}

PyArrayObject *gch_py_input(PyObject *object, const char *name, int type, int ndim)
{
    if (check_array(object, name, type, ndim) < 0) return NULL;
    PyObject *given = PyArray_FROM_OF(object, NPY_ARRAY_ENSUREARRAY);
    if (given == NULL || PyArray_ISCARRAY_RO((PyArrayObject *)given)) return (PyArrayObject *)given;
    PyArrayObject *array = (PyArrayObject *)given;
    PyObject *made = PyArray_SimpleNew(PyArray_NDIM(array), PyArray_DIMS(array), PyArray_TYPE(array));
    if (made != NULL && copy(made, given) < 0) Py_CLEAR(made);
    Py_DECREF(given);
    return (PyArrayObject *)made;
}

/* Whether the memory of (N, C, H, W) is that of a contiguous (N, H, W, C), and not just as well its own. */
static int is_channels_last(PyArrayObject *array)
{
    static const int order[4] = {1, 3, 2, 0};
    npy_intp stride = PyArray_ITEMSIZE(array);
    for (int i = 0; i < 4; ++i) {
        const npy_intp size = PyArray_DIM(array, order[i]);
        if (size != 1 && PyArray_STRIDE(array, order[i]) != stride) return 0;
        stride *= size;
    }
    return PyArray_ISALIGNED(array) && PyArray_ISNOTSWAPPED(array) && !PyArray_IS_C_CONTIGUOUS(array);
}

PyArrayObject *gch_py_features(PyObject *object, const char *name, int type, int output, int *last)
{
    if (check_array(object, name, type, 4) < 0) return NULL;
    PyArrayObject *array = (PyArrayObject *)object;
    *last = is_channels_last(array) && (!output || PyArray_ISWRITEABLE(array));
    if (!*last) return output ? gch_py_output(object, name, type, 4) : gch_py_input(object, name, type, 4);
    Py_INCREF(object);
    return array;
}

PyArrayObject *gch_py_output(PyObject *object, const char *name, int type, int ndim)
{
    if (check_array(object, name, type, ndim) < 0) return NULL;
    PyArrayObject *array = (PyArrayObject *)object;
    if (!PyArray_ISCARRAY(array)) {
        PyErr_Format(PyExc_ValueError, "%s must be C-contiguous, aligned, native and writable", name);
        return NULL;
    }
    Py_INCREF(object);
    return array;
}

int gch_py_size(PyArrayObject *array, const char *name, int axis, npy_intp size)
{
    if (PyArray_DIM(array, axis) == size) return 0;
    PyErr_Format(PyExc_ValueError, "dimension %d of %s must be %zd, got %zd", axis, name, (Py_ssize_t)size,
                 (Py_ssize_t)PyArray_DIM(array, axis));
    return -1;
}

enum gch_real gch_py_real(PyArrayObject *array)
{
    return PyArray_TYPE(array) == NPY_FLOAT64 ? GCH_F64 : GCH_F32;
}

int gch_py_int(PyObject *object, const char *name, ptrdiff_t *value)
{
    *value = PyNumber_AsSsize_t(object, PyExc_OverflowError);
    if (*value != -1 || !PyErr_Occurred()) return 0;
    if (PyErr_ExceptionMatches(PyExc_TypeError)) PyErr_Format(PyExc_TypeError, "%s must be an integer", name);
    return -1;
}

int gch_py_double(PyObject *object, const char *name, double *value)
{
    *value = PyFloat_AsDouble(object);
    if (*value != -1.0 || !PyErr_Occurred()) return 0;
    PyErr_Format(PyExc_TypeError, "%s must be a number", name);
    return -1;
}

int gch_py_activation(PyObject *object, struct gch_activation *activation)
{
    if (!PyTuple_Check(object) || PyTuple_Size(object) != 3) {
        PyErr_SetString(PyExc_TypeError, "activation must be a (kind, low, high) tuple");
        return -1;
    }
    ptrdiff_t kind;
    if (gch_py_int(PyTuple_GetItem(object, 0), "activation kind", &kind) < 0) return -1;
    if (kind < GCH_LINEAR || kind > GCH_CLAMP) {
        PyErr_Format(PyExc_ValueError, "there is no activation kind %zd", (Py_ssize_t)kind);
        return -1;
    }
    activation->kind = (enum gch_activation_kind)kind;
    if (gch_py_double(PyTuple_GetItem(object, 1), "activation low", &activation->low) < 0) return -1;
    return gch_py_double(PyTuple_GetItem(object, 2), "activation high", &activation->high);
}

PyObject *gch_py_status(enum gch_status status)
{
    switch (status) {
    case GCH_OK:
        Py_RETURN_NONE;
    case GCH_NO_MEMORY:
        return PyErr_NoMemory();
    case GCH_TOO_LARGE:
    case GCH_BAD_VALUE:
        break;
    }
    PyErr_SetString(PyExc_ValueError, gch_status_text(status));
    return NULL;
}

/* Of a watched call: Python's state while it is let go. */
static int look_at_signals(void *context)
{
    PyThreadState **state = context;
    PyEval_RestoreThread(*state);
    const int stop = PyErr_CheckSignals() < 0;
    *state = PyEval_SaveThread();
    return stop;
}

PyObject *gch_py_run(gch_py_items items, void *context, ptrdiff_t count, double work)
{
    const double first_slice_work = 5e7, slice_seconds = 0.05, not_worth_a_switch = 1e4;
    ptrdiff_t done = 0, slice = count;
    if (work + (double)count < not_worth_a_switch)
        return gch_py_status(items(context, 0, count)); /* some microseconds */
    if (work > first_slice_work) slice = (ptrdiff_t)((double)count * (first_slice_work / work));
    enum gch_status status = GCH_OK;
    PyThreadState *state;
    struct gch_watch watch = {.stop = look_at_signals, .context = &state, .thread = pthread_self()};
    int stopped = 0;
    while (done < count && status == GCH_OK && !stopped) {
        if (slice < 1) slice = 1;
        if (slice > count - done) slice = count - done;
        state = PyEval_SaveThread();
        const double start = gch_runtime_seconds();
        watch.due = start + 2 * slice_seconds; /* of a slice that takes much longer than it was meant to */
        struct gch_watch *before = gch_runtime_watch(&watch);
        status = items(context, done, done + slice);
        gch_runtime_watch(before);
        const double took = gch_runtime_seconds() - start;
        PyEval_RestoreThread(state);
        done += slice;
        stopped = atomic_load(&watch.stopped) || (done < count && PyErr_CheckSignals() < 0);
        if (took > 0) {
            double fit = (double)slice * (slice_seconds / took);
            slice = fit < (double)count ? (ptrdiff_t)fit : count;
        }
    }
    return stopped ? NULL : gch_py_status(status);
}
