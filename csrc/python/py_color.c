#include "python/methods.h"
#include "python/py_images.h"

struct job {
    struct gch_images images, out;
    struct gch_range range;
    enum gch_space space;
    enum gch_rule rule;
    int opponent, threads;
    struct gch_moments *moments;
};

static double work_of(const struct gch_images *images, double per_pixel)
{
    return per_pixel * (double)images->count * (double)images->height * (double)images->width;
}

static int check_sizes(const struct gch_images *images, const struct gch_images *out)
{
    if (images->count == out->count && images->height == out->height && images->width == out->width) return 0;
    PyErr_SetString(PyExc_ValueError, "out must have the shape of images");
    return -1;
}

static enum gch_status run_convert(void *context, ptrdiff_t first, ptrdiff_t last)
{
    const struct job *job = context;
    struct gch_images images = gch_py_some_images(&job->images, first, last);
    struct gch_images out = gch_py_some_images(&job->out, first, last);
    return gch_color_convert(job->space, &job->range, &images, &out, job->threads);
}

static enum gch_status run_quantize(void *context, ptrdiff_t first, ptrdiff_t last)
{
    const struct job *job = context;
    struct gch_images images = gch_py_some_images(&job->images, first, last);
    struct gch_images out = gch_py_some_images(&job->out, first, last);
    return gch_color_quantize(&job->range, job->rule, &images, &out, job->threads);
}

/* From images to out, of the same shape: the arrays are args[0] and args[1]. */
static PyObject *transform(gch_py_args args, struct job *job, gch_py_items items, double per_pixel)
{
    PyObject *result = NULL;
    PyArrayObject *out = NULL, *images = gch_py_images(args[0], "images", 0, &job->images);
    if (images == NULL) goto done;
    out = gch_py_images(args[1], "out", 1, &job->out);
    if (out == NULL || check_sizes(&job->images, &job->out) < 0) goto done;
    double work = work_of(&job->images, per_pixel);
    job->threads = gch_runtime_enter(job->threads, work);
    result = gch_py_run(items, job, job->images.count, work);
    gch_runtime_leave();
done:
    Py_XDECREF((PyObject *)images);
    Py_XDECREF((PyObject *)out);
    return result;
}

static PyObject *color_convert(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    struct job job;
    ptrdiff_t space, threads;
    if (gch_py_count("color_convert", nargs, 6) < 0) return NULL;
    if (gch_py_int(args[2], "space", &space) < 0 || gch_py_range(args[3], args[4], &job.range) < 0)
        return NULL;
    if (gch_py_int(args[5], "threads", &threads) < 0) return NULL;
    job.space = space == GCH_LAB ? GCH_LAB : GCH_HSV;
    job.threads = (int)threads;
    return transform(args, &job, run_convert, 100);
}

static PyObject *color_quantize(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    struct job job;
    ptrdiff_t rule, threads;
    if (gch_py_count("color_quantize", nargs, 6) < 0) return NULL;
    if (gch_py_range(args[2], args[3], &job.range) < 0 || gch_py_int(args[4], "rule", &rule) < 0) return NULL;
    if (gch_py_int(args[5], "threads", &threads) < 0) return NULL;
    job.rule = rule == GCH_RULE_ROUND ? GCH_RULE_ROUND : GCH_RULE_FLOOR;
    job.threads = (int)threads;
    return transform(args, &job, run_quantize, 20);
}

static enum gch_status run_moments(void *context, ptrdiff_t first, ptrdiff_t last)
{
    const struct job *job = context;
    struct gch_images images = gch_py_some_images(&job->images, first, last);
    return gch_color_moments(&images, job->opponent, job->moments + first, job->threads);
}

static PyObject *color_moments(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    struct job job;
    ptrdiff_t opponent, threads;
    if (gch_py_count("color_moments", nargs, 4) < 0) return NULL;
    if (gch_py_int(args[2], "opponent", &opponent) < 0 || gch_py_int(args[3], "threads", &threads) < 0)
        return NULL;
    job.opponent = opponent != 0;
    PyObject *result = NULL;
    PyArrayObject *records = NULL, *images = gch_py_images(args[0], "images", 0, &job.images);
    if (images == NULL) goto done;
    records = gch_py_output(args[1], "records", NPY_FLOAT64, 2);
    if (records == NULL || gch_py_size(records, "records", 0, job.images.count) < 0) goto done;
    if (gch_py_size(records, "records", 1, sizeof(struct gch_moments) / sizeof(double)) < 0) goto done;
    job.moments = (struct gch_moments *)PyArray_DATA(records);
    double work = work_of(&job.images, 20);
    job.threads = gch_runtime_enter((int)threads, work);
    result = gch_py_run(run_moments, &job, job.images.count, work);
    gch_runtime_leave();
done:
    Py_XDECREF((PyObject *)images);
    Py_XDECREF((PyObject *)records);
    return result;
}

PyMethodDef gch_py_color_methods[] = {
    {"color_convert", (PyCFunction)(void (*)(void))color_convert, METH_FASTCALL,
     "color_convert($module, images, out, space, low, high, threads, /)\n--\n\nout = images in CIELAB (0) or "
     "HSV (1)."},
    {"color_quantize", (PyCFunction)(void (*)(void))color_quantize, METH_FASTCALL,
     "color_quantize($module, images, out, low, high, rule, threads, /)\n--\n\nout = images in 8-bit "
     "levels."},
    {"color_moments", (PyCFunction)(void (*)(void))color_moments, METH_FASTCALL,
     "color_moments($module, images, records, opponent, threads, /)\n--\n\nOne record of moments an image."},
    {NULL, NULL, 0, NULL},
};
