#include "python/methods.h"

#include <string.h>

#include "cpu/dispatch.h"

struct job {
    enum gch_real real;
    enum gch_rng_law law;
    struct gch_rng_stream stream;
    char *out;
    ptrdiff_t count;
    double a, b;
    int threads;
};

static enum gch_status run(void *context, ptrdiff_t first, ptrdiff_t last)
{
    const struct job *job = context;
    const ptrdiff_t size = job->real == GCH_F32 ? GCH_RNG_GROUP_F32 : GCH_RNG_GROUP_F64;
    ptrdiff_t end = last * size < job->count ? last * size : job->count;
    char *out = job->out + (size_t)(first * size) * gch_real_size(job->real);
    return gch_rng_fill(job->real, job->law, &job->stream, first, out, end - first * size, job->a, job->b,
                        job->threads);
}

static int word64(PyObject *object, const char *name, uint64_t *value)
{
    if (!PyLong_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be an integer", name);
        return -1;
    }
    unsigned long long given = PyLong_AsUnsignedLongLong(object);
    if (given == (unsigned long long)-1 && PyErr_Occurred()) return -1;
    *value = given;
    return 0;
}

static PyObject *fill(const char *name, enum gch_rng_law law, gch_py_args args, Py_ssize_t nargs)
{
    struct job job = {.law = law};
    ptrdiff_t threads;
    if (gch_py_count(name, nargs, 6) < 0) return NULL;
    if (word64(args[0], "key", &job.stream.key) < 0 || word64(args[1], "draw", &job.stream.draw) < 0)
        return NULL;
    if (gch_py_double(args[2], law == GCH_RNG_UNIFORM ? "low" : "mean", &job.a) < 0) return NULL;
    if (gch_py_double(args[3], law == GCH_RNG_UNIFORM ? "high" : "std", &job.b) < 0) return NULL;
    if (gch_py_int(args[5], "threads", &threads) < 0) return NULL;
    PyArrayObject *out = gch_py_output(args[4], "out", -1, -1);
    if (out == NULL) return NULL;
    job.real = gch_py_real(out);
    job.out = PyArray_BYTES(out);
    job.count = PyArray_SIZE(out);
    const double work = 4.0 * (double)job.count;
    job.threads = gch_runtime_enter((int)threads, work);
    PyObject *result = gch_py_run(run, &job, gch_rng_groups(job.real, job.count), work);
    gch_runtime_leave();
    Py_DECREF((PyObject *)out);
    return result;
}

static PyObject *uniform(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    return fill("rng_uniform", GCH_RNG_UNIFORM, args, nargs);
}

static PyObject *normal(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    return fill("rng_normal", GCH_RNG_NORMAL, args, nargs);
}

static PyObject *words(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    struct gch_rng_stream stream;
    uint64_t group;
    if (gch_py_count("rng_words", nargs, 4) < 0) return NULL;
    if (word64(args[0], "key", &stream.key) < 0 || word64(args[1], "draw", &stream.draw) < 0) return NULL;
    if (word64(args[2], "group", &group) < 0) return NULL;
    PyArrayObject *out = gch_py_output(args[3], "out", NPY_UINT32, 2);
    if (out == NULL) return NULL;
    PyObject *result = NULL;
    if (gch_py_size(out, "out", 0, GCH_RNG_WORDS) == 0 && gch_py_size(out, "out", 1, GCH_RNG_LANES) == 0) {
        uint32_t block[GCH_RNG_WORDS][GCH_RNG_LANES] GCH_ALIGNED;
        gch_isa()->rng_words(&stream, group, block);
        memcpy(PyArray_BYTES(out), block, sizeof block);
        result = gch_py_status(GCH_OK);
    }
    Py_DECREF((PyObject *)out);
    return result;
}

PyMethodDef gch_py_rng_methods[] = {
    {"rng_uniform", (PyCFunction)(void (*)(void))uniform, METH_FASTCALL,
     "rng_uniform($module, key, draw, low, high, out, threads, /)\n--\n\nFill out with uniform numbers."},
    {"rng_normal", (PyCFunction)(void (*)(void))normal, METH_FASTCALL,
     "rng_normal($module, key, draw, mean, std, out, threads, /)\n--\n\nFill out with normal numbers."},
    {"rng_words", (PyCFunction)(void (*)(void))words, METH_FASTCALL,
     "rng_words($module, key, draw, group, out, /)\n--\n\nFor tests: the raw words of one group, uint32 (4, "
     "16)."},
    {NULL, NULL, 0, NULL},
};
