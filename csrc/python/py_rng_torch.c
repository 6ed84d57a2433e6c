#include "python/methods.h"

#include <string.h>

struct job {
    enum gch_real real;
    enum gch_torch_capability capability;
    struct gch_torch_state *state;
    void *out;
    ptrdiff_t count, item;
    double a, b;
    int threads;
};

/* Elements first to last of the slice; the last slice takes what is left. */
static ptrdiff_t begin(const struct job *job, ptrdiff_t first, ptrdiff_t last, void **out)
{
    const ptrdiff_t end =
        last == (job->count > job->item ? job->count / job->item : 1) ? job->count : last * job->item;
    *out = (char *)job->out + (size_t)(first * job->item) * gch_real_size(job->real);
    return end - first * job->item;
}

static enum gch_status run_uniform(void *context, ptrdiff_t first, ptrdiff_t last)
{
    struct job *job = context;
    void *out;
    ptrdiff_t count = begin(job, first, last, &out);
    return gch_torch_uniform(job->real, job->capability, job->state, out, count, job->a, job->b);
}

static enum gch_status run_normal(void *context, ptrdiff_t first, ptrdiff_t last)
{
    struct job *job = context;
    void *out;
    ptrdiff_t count = begin(job, first, last, &out);
    return gch_torch_normal(job->real, job->capability, job->state, out, count, job->a, job->b, job->threads);
}

static enum gch_status run_shuffle(void *context, ptrdiff_t first, ptrdiff_t last)
{
    struct job *job = context;
    return gch_torch_shuffle(job->state, job->out, job->count, first, last);
}

/* The state array that Python owns; a new reference. */
static PyArrayObject *state_array(PyObject *object)
{
    PyArrayObject *array = gch_py_output(object, "state", NPY_UINT8, 1);
    if (array != NULL && gch_py_size(array, "state", 0, sizeof(struct gch_torch_state)) < 0) Py_CLEAR(array);
    return array;
}

/* Runs on the state where it lies, or where that is no place for it on a copy; it moves on even if the call is
 * interrupted. Takes over both references. */
static PyObject *draw(struct job *job, PyArrayObject *state, PyArrayObject *out, gch_py_items items,
                      ptrdiff_t count, double work)
{
    struct gch_torch_state copy, *own = PyArray_DATA(state);
    const int aligned = (uintptr_t)own % _Alignof(struct gch_torch_state) == 0;
    if (!aligned) memcpy(&copy, own, sizeof copy);
    job->out = PyArray_DATA(out);
    job->state = aligned ? own : &copy;
    job->threads = gch_runtime_enter(job->threads, work);
    PyObject *result = gch_py_run(items, job, count, work);
    gch_runtime_leave();
    if (!aligned) memcpy(own, &copy, sizeof copy);
    Py_DECREF((PyObject *)state);
    Py_DECREF((PyObject *)out);
    return result;
}

static PyObject *fill(gch_py_args args, const char *const names[2], gch_py_items items, double cost,
                      ptrdiff_t threads)
{
    struct job job = {.item = 4096};
    ptrdiff_t capability;
    if (gch_py_int(args[1], "capability", &capability) < 0) return NULL;
    job.capability = capability != 0 ? GCH_TORCH_AVX2 : GCH_TORCH_DEFAULT;
    if (gch_py_double(args[2], names[0], &job.a) < 0 || gch_py_double(args[3], names[1], &job.b) < 0)
        return NULL;
    PyArrayObject *state = state_array(args[0]);
    if (state == NULL) return NULL;
    PyArrayObject *out = gch_py_output(args[4], "out", -1, -1);
    if (out == NULL) {
        Py_DECREF((PyObject *)state);
        return NULL;
    }
    job.real = gch_py_real(out);
    job.count = PyArray_SIZE(out);
    const double work = cost * (double)job.count;
    job.threads = (int)threads;
    return draw(&job, state, out, items, job.count > job.item ? job.count / job.item : 1, work);
}

static PyObject *seed(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    if (gch_py_count("rng_torch_seed", nargs, 2) < 0) return NULL;
    if (!PyLong_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "seed must be an integer");
        return NULL;
    }
    const unsigned long long value = PyLong_AsUnsignedLongLong(args[1]);
    if (value == (unsigned long long)-1 && PyErr_Occurred()) return NULL;
    PyArrayObject *array = state_array(args[0]);
    if (array == NULL) return NULL;
    struct gch_torch_state state;
    gch_torch_seed(&state, value);
    memcpy(PyArray_DATA(array), &state, sizeof state);
    Py_DECREF((PyObject *)array);
    return gch_py_status(GCH_OK);
}

static PyObject *uniform(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    static const char *const names[] = {"low", "high"};
    (void)module;
    if (gch_py_count("rng_torch_uniform", nargs, 5) < 0) return NULL;
    return fill(args, names, run_uniform, 4.0, 1);
}

static PyObject *normal(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    static const char *const names[] = {"mean", "std"};
    ptrdiff_t threads;
    (void)module;
    if (gch_py_count("rng_torch_normal", nargs, 6) < 0) return NULL;
    if (gch_py_int(args[5], "threads", &threads) < 0) return NULL;
    return fill(args, names, run_normal, 16.0, threads);
}

static PyObject *shuffle(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    struct job job = {.item = 1};
    (void)module;
    if (gch_py_count("rng_torch_shuffle", nargs, 2) < 0) return NULL;
    PyArrayObject *state = state_array(args[0]);
    if (state == NULL) return NULL;
    PyArrayObject *order = gch_py_output(args[1], "order", NPY_INT64, 1);
    if (order == NULL) {
        Py_DECREF((PyObject *)state);
        return NULL;
    }
    job.count = PyArray_SIZE(order);
    return draw(&job, state, order, run_shuffle, job.count, 32.0 * (double)job.count);
}

PyMethodDef gch_py_rng_torch_methods[] = {
    {"rng_torch_seed", (PyCFunction)(void (*)(void))seed, METH_FASTCALL,
     "rng_torch_seed($module, state, seed, /)\n--\n\nMake a state, uint8 (5056,)."},
    {"rng_torch_uniform", (PyCFunction)(void (*)(void))uniform, METH_FASTCALL,
     "rng_torch_uniform($module, state, capability, low, high, out, /)\n--\n\nFill out with uniform "
     "numbers."},
    {"rng_torch_normal", (PyCFunction)(void (*)(void))normal, METH_FASTCALL,
     "rng_torch_normal($module, state, capability, mean, std, out, threads, /)\n--\n\nFill out with normal "
     "numbers."},
    {"rng_torch_shuffle", (PyCFunction)(void (*)(void))shuffle, METH_FASTCALL,
     "rng_torch_shuffle($module, state, order, /)\n--\n\nFill order (int64) with a permutation."},
    {NULL, NULL, 0, NULL},
};
