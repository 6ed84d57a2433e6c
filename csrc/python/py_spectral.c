#include "python/methods.h"

#include <math.h>

enum { MOST_PLAIN = 20000 }; /* elements: some microseconds */

struct wide {
    enum gch_real real;
    const void *matrix;
    ptrdiff_t rows, columns;
    double sigma;
};

static enum gch_status run_sigma(void *context, ptrdiff_t first, ptrdiff_t last)
{
    struct wide *job = context;
    (void)first, (void)last;
    return gch_spectral_sigma(job->real, job->matrix, job->rows, job->columns, &job->sigma);
}

static PyObject *sigma(PyObject *module, PyObject *given)
{
    (void)module;
    PyArrayObject *matrix = gch_py_input(given, "matrix", -1, 2);
    if (matrix == NULL) return NULL;
    struct wide job = {gch_py_real(matrix), PyArray_BYTES(matrix), PyArray_DIM(matrix, 0),
                       PyArray_DIM(matrix, 1), 0};
    (void)gch_runtime_enter(1, 0);
    PyObject *result = gch_py_run(run_sigma, &job, 1, (double)job.rows * (double)PyArray_SIZE(matrix));
    gch_runtime_leave();
    Py_DECREF((PyObject *)matrix);
    if (result == NULL) return NULL;
    Py_DECREF(result);
    return PyFloat_FromDouble(job.sigma);
}

/* sigma of an array as it lies, its first dimension the rows, where nothing has to be asked, copied or said; else
 * None. It's soon done: no thread is let in meanwhile. */
static PyObject *sigma_of_plain(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    if (gch_py_count("spectral_sigma_of_plain", nargs, 2) < 0) return NULL;
    PyArrayObject *array = (PyArrayObject *)args[0];
    if (!PyArray_CheckExact(array) || !PyLong_CheckExact(args[1]) || !PyArray_ISCARRAY_RO(array))
        Py_RETURN_NONE;
    const int type = PyArray_TYPE(array);
    const npy_intp size = PyArray_SIZE(array);
    if ((type != NPY_FLOAT32 && type != NPY_FLOAT64) || PyArray_NDIM(array) < 1 || size < 1) Py_RETURN_NONE;
    const npy_intp rows = PyArray_DIM(array, 0);
    int overflow;
    if (PyLong_AsLongAndOverflow(args[1], &overflow) != 0 || overflow) Py_RETURN_NONE;
    if (rows > GCH_SPECTRAL_ROWS || size > MOST_PLAIN) Py_RETURN_NONE;
    double value = 0;
    enum gch_status status =
        gch_spectral_sigma(gch_py_real(array), PyArray_DATA(array), rows, size / rows, &value);
    return status == GCH_OK ? PyFloat_FromDouble(value) : gch_py_status(status);
}

struct job {
    enum gch_real real;
    const void *matrix;
    ptrdiff_t rows, columns;
    void *u, *v;
    int u_first;
    double eps, *scratch;
    int threads;
};

static enum gch_status run(void *context, ptrdiff_t first, ptrdiff_t last)
{
    const struct job *job = context;
    for (ptrdiff_t step = first; step < last; ++step)
        gch_spectral_step(job->real, job->matrix, job->rows, job->columns, job->u, job->v, job->u_first,
                          job->eps, job->scratch, job->threads);
    return GCH_OK;
}

static PyObject *power(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    struct job job = {.scratch = NULL};
    ptrdiff_t steps, u_first, threads;
    if (gch_py_count("spectral_power", nargs, 7) < 0) return NULL;
    if (gch_py_int(args[3], "steps", &steps) < 0 || gch_py_int(args[4], "u_first", &u_first) < 0) return NULL;
    if (gch_py_double(args[5], "eps", &job.eps) < 0 || gch_py_int(args[6], "threads", &threads) < 0)
        return NULL;
    PyObject *result = NULL;
    PyArrayObject *u = NULL, *v = NULL, *matrix = gch_py_input(args[0], "matrix", -1, 2);
    if (matrix == NULL) goto done;
    const int type = PyArray_TYPE(matrix);
    u = gch_py_output(args[1], "u", type, 1);
    v = u == NULL ? NULL : gch_py_output(args[2], "v", type, 1);
    if (v == NULL) goto done;
    job.real = gch_py_real(matrix);
    job.matrix = PyArray_BYTES(matrix);
    job.rows = PyArray_DIM(matrix, 0);
    job.columns = PyArray_DIM(matrix, 1);
    if (gch_py_size(u, "u", 0, job.rows) < 0 || gch_py_size(v, "v", 0, job.columns) < 0) goto done;
    job.u = PyArray_BYTES(u);
    job.v = PyArray_BYTES(v);
    job.u_first = u_first != 0;
    job.scratch = gch_alloc((size_t)job.rows + (size_t)job.columns, sizeof *job.scratch);
    if (job.scratch == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    const double size = (double)job.rows * (double)job.columns;
    job.threads = gch_runtime_enter((int)threads, size);
    result = gch_py_run(run, &job, steps > 0 ? steps : 0, 2 * size * (double)steps);
    if (result != NULL) {
        Py_DECREF(result);
        double value;
        Py_BEGIN_ALLOW_THREADS;
        value = gch_spectral_bilinear(job.real, job.matrix, job.rows, job.columns, job.u, job.v, job.scratch,
                                      job.threads);
        Py_END_ALLOW_THREADS;
        result = PyFloat_FromDouble(value);
    }
    gch_runtime_leave();
done:
    gch_free(job.scratch);
    Py_XDECREF((PyObject *)u);
    Py_XDECREF((PyObject *)v);
    Py_XDECREF((PyObject *)matrix);
    return result;
}

struct rows {
    double *matrix, shortest;
    ptrdiff_t columns;
};

static enum gch_status run_rows(void *context, ptrdiff_t first, ptrdiff_t last)
{
    struct rows *job = context;
    gch_orthonormalize(job->matrix, job->columns, first, last, &job->shortest);
    return GCH_OK;
}

static PyObject *orthonormalize(PyObject *module, PyObject *given)
{
    (void)module;
    PyArrayObject *matrix = gch_py_output(given, "matrix", NPY_FLOAT64, 2);
    if (matrix == NULL) return NULL;
    struct rows job = {(double *)PyArray_BYTES(matrix), INFINITY, PyArray_DIM(matrix, 1)};
    const ptrdiff_t rows = PyArray_DIM(matrix, 0);
    (void)gch_runtime_enter(1, 0);
    PyObject *result = gch_py_run(run_rows, &job, rows, (double)rows * (double)rows * (double)job.columns);
    gch_runtime_leave();
    Py_DECREF((PyObject *)matrix);
    if (result == NULL) return NULL;
    Py_DECREF(result);
    return PyFloat_FromDouble(job.shortest);
}

PyMethodDef gch_py_spectral_methods[] = {
    {"orthonormalize", orthonormalize, METH_O,
     "orthonormalize($module, matrix, /)\n--\n\n"
     "Make rows (float64) orthonormal in place; returns the length of the shortest before it became 1."},
    {"spectral_sigma", sigma, METH_O,
     "spectral_sigma($module, matrix, /)\n--\n\nLargest singular value of a matrix with at most four rows."},
    {"spectral_sigma_of_plain", (PyCFunction)(void (*)(void))sigma_of_plain, METH_FASTCALL,
     "spectral_sigma_of_plain($module, array, dim, /)\n--\n\n"
     "The same of an array as it lies, with dim 0; None of what must be checked, copied or reshaped first."},
    {"spectral_power", (PyCFunction)(void (*)(void))power, METH_FASTCALL,
     "spectral_power($module, matrix, u, v, steps, u_first, eps, threads, /)\n--\n\n"
     "Run steps of the power method on u and v in place; returns u . matrix v."},
    {NULL, NULL, 0, NULL},
};
