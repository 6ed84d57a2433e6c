#include "python/methods.h"

struct job {
    enum gch_real real;
    struct gch_activation activation;
    const char *grad; /* NULL: forward */
    const char *x;
    char *out;
    int threads;
};

static enum gch_status run(void *context, ptrdiff_t first, ptrdiff_t last)
{
    const struct job *job = context;
    const size_t at = (size_t)first * gch_real_size(job->real);
    if (job->grad == NULL)
        return gch_activate(job->real, &job->activation, job->x + at, job->out + at, last - first,
                            job->threads);
    return gch_activate_backward(job->real, &job->activation, job->grad + at, job->x + at, job->out + at,
                                 last - first, job->threads);
}

/* Both functions; `grad` is NULL for the forward one. */
static PyObject *apply(PyObject *grad, PyObject *x, PyObject *activation, PyObject *out, PyObject *threads)
{
    struct job job = {0};
    ptrdiff_t most;
    if (gch_py_activation(activation, &job.activation) < 0) return NULL;
    if (gch_py_int(threads, "threads", &most) < 0) return NULL;
    PyObject *result = NULL;
    PyArrayObject *source = gch_py_input(x, "x", -1, -1), *slope = NULL, *target = NULL;
    if (source == NULL) goto done;
    if (grad != NULL && (slope = gch_py_input(grad, "grad", PyArray_TYPE(source), -1)) == NULL) goto done;
    target = gch_py_output(out, "out", PyArray_TYPE(source), -1);
    if (target == NULL) goto done;
    const npy_intp count = PyArray_SIZE(source);
    if (PyArray_SIZE(target) != count || (slope != NULL && PyArray_SIZE(slope) != count)) {
        PyErr_SetString(PyExc_ValueError, "all arrays must have as many elements as x");
        goto done;
    }
    job.real = gch_py_real(source);
    job.grad = slope != NULL ? PyArray_BYTES(slope) : NULL;
    job.x = PyArray_BYTES(source);
    job.out = PyArray_BYTES(target);
    const double work = 20.0 * (double)count;
    job.threads = gch_runtime_enter((int)most, work);
    result = gch_py_run(run, &job, count, work);
    gch_runtime_leave();
done:
    Py_XDECREF((PyObject *)source);
    Py_XDECREF((PyObject *)slope);
    Py_XDECREF((PyObject *)target);
    return result;
}

static PyObject *activate(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    if (gch_py_count("activate", nargs, 4) < 0) return NULL;
    return apply(NULL, args[0], args[1], args[2], args[3]);
}

static PyObject *activate_backward(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    if (gch_py_count("activate_backward", nargs, 5) < 0) return NULL;
    return apply(args[0], args[1], args[2], args[3], args[4]);
}

PyMethodDef gch_py_activation_methods[] = {
    {"activate", (PyCFunction)(void (*)(void))activate, METH_FASTCALL,
     "activate($module, x, activation, out, threads, /)\n--\n\nout = activation(x), elementwise."},
    {"activate_backward", (PyCFunction)(void (*)(void))activate_backward, METH_FASTCALL,
     "activate_backward($module, grad, x, activation, out, threads, /)\n--\n\nout = grad * activation'(x), "
     "elementwise."},
    {NULL, NULL, 0, NULL},
};
