#include "python/methods.h"

static enum gch_status run_gram(void *context, ptrdiff_t first, ptrdiff_t last)
{
    gch_frequency_gram(context, first, last);
    return GCH_OK;
}

static PyObject *gram(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    ptrdiff_t threads;
    if (gch_py_count("frequency_gram", nargs, 3) < 0 || gch_py_int(args[2], "threads", &threads) < 0)
        return NULL;
    PyObject *result = NULL;
    PyArrayObject *out = NULL, *filters = gch_py_input(args[0], "filters", NPY_FLOAT64, 4);
    if (filters == NULL) goto done;
    out = gch_py_output(args[1], "gram", NPY_FLOAT64, 4);
    if (out == NULL) goto done;
    struct gch_frequency_filters job = {
        .rows = PyArray_DIM(filters, 0),
        .kernel = {PyArray_DIM(filters, 1), PyArray_DIM(filters, 2)},
        .channels = PyArray_DIM(filters, 3),
        .filters = (const double *)PyArray_BYTES(filters),
        .gram = (double *)PyArray_BYTES(out),
    };
    const ptrdiff_t width = job.kernel[1] > 0 ? 2 * job.kernel[1] - 1 : 0;
    if (gch_py_size(out, "gram", 0, job.kernel[0]) < 0 || gch_py_size(out, "gram", 1, width) < 0 ||
        gch_py_size(out, "gram", 2, job.rows) < 0 || gch_py_size(out, "gram", 3, job.rows) < 0)
        goto done;
    const double taps = (double)(job.kernel[0] * job.kernel[1]);
    const double work = taps * taps / 2 * (double)(job.rows * job.rows) * (double)job.channels;
    job.threads = gch_runtime_enter((int)threads, work);
    result = gch_py_run(run_gram, &job, job.kernel[0] * width, work);
    gch_runtime_leave();
done:
    Py_XDECREF((PyObject *)out);
    Py_XDECREF((PyObject *)filters);
    return result;
}

static enum gch_status run_values(void *context, ptrdiff_t first, ptrdiff_t last)
{
    gch_frequency_run(context, first, last);
    return GCH_OK;
}

/* What is given, with the sizes that must agree. */
static int fill_call(struct gch_frequency_call *call, PyArrayObject *gram, PyArrayObject *lines,
                     PyArrayObject *columns)
{
    call->rows = PyArray_DIM(gram, 2);
    call->reach[0] = PyArray_DIM(gram, 0) - 1;
    call->reach[1] = (PyArray_DIM(gram, 1) - 1) / 2;
    call->lines = PyArray_DIM(lines, 0);
    call->columns = PyArray_DIM(columns, 1);
    call->own_columns = PyArray_DIM(columns, 0) != 1;
    call->gram = (const double *)PyArray_BYTES(gram);
    call->line_turns = (const double *)PyArray_BYTES(lines);
    call->column_turns = (const double *)PyArray_BYTES(columns);
    if (call->reach[0] < 0 || PyArray_DIM(gram, 1) % 2 == 0) {
        PyErr_SetString(PyExc_ValueError, "gram has no offsets, or an even number of columns of them");
        return -1;
    }
    if (call->own_columns && gch_py_size(columns, "columns", 0, call->lines) < 0) return -1;
    return gch_py_size(gram, "gram", 3, call->rows);
}

/* What is wanted. */
static int fill_outputs(struct gch_frequency_call *call, PyArrayObject *values, PyArrayObject *vectors)
{
    const ptrdiff_t height = call->height ? call->height : call->lines;
    call->keep = PyArray_DIM(values, 2);
    call->values = (double *)PyArray_BYTES(values);
    if (gch_py_size(values, "values", 0, height) < 0 || gch_py_size(values, "values", 1, call->columns) < 0)
        return -1;
    if (vectors == NULL) return 0;
    call->vectors = (double *)PyArray_BYTES(vectors);
    if (gch_py_size(vectors, "vectors", 0, height) < 0 ||
        gch_py_size(vectors, "vectors", 1, call->columns) < 0)
        return -1;
    return gch_py_size(vectors, "vectors", 2, call->rows);
}

static PyObject *run_call(struct gch_frequency_call *call, ptrdiff_t threads)
{
    /* Measured, in the time of a multiply-add: rotations, reflections, or the bounds of the largest alone. */
    const double n = (double)call->rows, few = call->rows <= 4;
    const double each = call->peaks != NULL && few ? 3 : few || call->vectors != NULL ? 15 : 4;
    const double columns = (double)call->lines * (double)call->columns;
    const double work = columns * n * n * (2 * (double)call->reach[1] + each * n);
    struct gch_frequency_plan *plan;
    call->threads = gch_runtime_enter((int)threads, work);
    enum gch_status status = gch_frequency_open(call, &plan);
    PyObject *result =
        status == GCH_OK ? gch_py_run(run_values, plan, call->lines, work) : gch_py_status(status);
    gch_runtime_leave();
    gch_frequency_close(plan);
    return result;
}

static PyObject *values(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    static const char *const names[] = {"gram", "lines", "columns", "values", "vectors"};
    static const int dimensions[] = {4, 1, 2, 3, 3};
    PyArrayObject *arrays[5] = {NULL};
    struct gch_frequency_call call = {.threads = 1};
    PyObject *result = NULL;
    ptrdiff_t threads;
    if (gch_py_count("frequency_values", nargs, 7) < 0 || gch_py_int(args[5], "height", &call.height) < 0 ||
        gch_py_int(args[6], "threads", &threads) < 0)
        return NULL;
    for (int i = 0; i < 5; ++i) {
        if (i == 4 && args[i] == Py_None) break;
        arrays[i] =
            i < 3 ? gch_py_input(args[i], names[i], NPY_FLOAT64, dimensions[i])
                  : gch_py_output(args[i], names[i], i == 4 ? NPY_COMPLEX128 : NPY_FLOAT64, dimensions[i]);
        if (arrays[i] == NULL) goto done;
    }
    if (fill_call(&call, arrays[0], arrays[1], arrays[2]) == 0 &&
        fill_outputs(&call, arrays[3], arrays[4]) == 0)
        result = run_call(&call, threads);
done:
    for (int i = 0; i < 5; ++i)
        Py_XDECREF((PyObject *)arrays[i]);
    return result;
}

static PyObject *peaks(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    PyArrayObject *gram = NULL, *lines = NULL, *columns = NULL, *out = NULL;
    struct gch_frequency_call call = {.threads = 1};
    PyObject *result = NULL;
    ptrdiff_t threads;
    if (gch_py_count("frequency_peaks", nargs, 5) < 0 || gch_py_int(args[4], "threads", &threads) < 0)
        return NULL;
    gram = gch_py_input(args[0], "gram", NPY_FLOAT64, 4);
    lines = gram == NULL ? NULL : gch_py_input(args[1], "lines", NPY_FLOAT64, 1);
    columns = lines == NULL ? NULL : gch_py_input(args[2], "columns", NPY_FLOAT64, 2);
    out = columns == NULL ? NULL : gch_py_output(args[3], "peaks", NPY_FLOAT64, 2);
    if (out == NULL || fill_call(&call, gram, lines, columns) < 0) goto done;
    if (gch_py_size(out, "peaks", 0, call.lines) < 0 || gch_py_size(out, "peaks", 1, 2) < 0) goto done;
    call.peaks = (double *)PyArray_BYTES(out);
    result = run_call(&call, threads);
done:
    Py_XDECREF((PyObject *)gram);
    Py_XDECREF((PyObject *)lines);
    Py_XDECREF((PyObject *)columns);
    Py_XDECREF((PyObject *)out);
    return result;
}

PyMethodDef gch_py_frequency_methods[] = {
    {"frequency_gram", (PyCFunction)(void (*)(void))gram, METH_FASTCALL,
     "frequency_gram($module, filters, gram, threads, /)\n--\n\n"
     "Gram matrices of filters (rows, kh, kw, channels) for half of the offsets."},
    {"frequency_values", (PyCFunction)(void (*)(void))values, METH_FASTCALL,
     "frequency_values($module, gram, lines, columns, values, vectors, height, threads, /)\n--\n\n"
     "Singular values and leading vectors at frequencies in turns."},
    {"frequency_peaks", (PyCFunction)(void (*)(void))peaks, METH_FASTCALL,
     "frequency_peaks($module, gram, lines, columns, peaks, threads, /)\n--\n\n"
     "The largest singular value of each line of frequencies, and its column."},
    {NULL, NULL, 0, NULL},
};
