#include "python/methods.h"
#include "python/py_images.h"

enum { LEVEL_COLUMNS = sizeof(struct gch_level_record) / sizeof(int64_t), EXTREME_COLUMNS = 4 };

struct job {
    struct gch_images images;
    struct gch_range range;
    enum gch_rule rule;
    ptrdiff_t every;
    int threads;
    struct gch_level_record *records;
    double *extremes; /* EXTREME_COLUMNS an image */
    const uint8_t *use;
    int64_t *sums;
};

static enum gch_status run_levels(void *context, ptrdiff_t first, ptrdiff_t last)
{
    const struct job *job = context;
    struct gch_images images = gch_py_some_images(&job->images, first, last);
    struct gch_value_extremes *extremes = gch_alloc((size_t)(last - first), sizeof *extremes);
    if (extremes == NULL) return GCH_NO_MEMORY;
    enum gch_status status = gch_stats_levels(&job->range, job->rule, &images, job->records + first,
                                              job->every, extremes, job->threads);
    for (ptrdiff_t i = first; i < last && status == GCH_OK; ++i) {
        double *row = job->extremes + EXTREME_COLUMNS * i;
        row[0] = (double)extremes[i - first].near[0];
        row[1] = (double)extremes[i - first].near[1];
        row[2] = extremes[i - first].least;
        row[3] = extremes[i - first].most;
    }
    gch_free(extremes);
    return status;
}

static PyObject *stats_levels(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    struct job job;
    ptrdiff_t rule, threads;
    if (gch_py_count("stats_levels", nargs, 8) < 0) return NULL;
    if (gch_py_range(args[3], args[4], &job.range) < 0 || gch_py_int(args[5], "rule", &rule) < 0) return NULL;
    if (gch_py_int(args[6], "every", &job.every) < 0 || gch_py_int(args[7], "threads", &threads) < 0)
        return NULL;
    job.rule = rule == GCH_RULE_ROUND ? GCH_RULE_ROUND : GCH_RULE_FLOOR;
    PyObject *result = NULL;
    PyArrayObject *records = NULL, *extremes = NULL,
                  *images = gch_py_images(args[0], "images", 0, &job.images);
    if (images == NULL) goto done;
    records = gch_py_output(args[1], "records", NPY_INT64, 2);
    if (records == NULL || gch_py_size(records, "records", 0, job.images.count) < 0) goto done;
    if (gch_py_size(records, "records", 1, LEVEL_COLUMNS) < 0) goto done;
    extremes = gch_py_output(args[2], "extremes", NPY_FLOAT64, 2);
    if (extremes == NULL || gch_py_size(extremes, "extremes", 0, job.images.count) < 0) goto done;
    if (gch_py_size(extremes, "extremes", 1, EXTREME_COLUMNS) < 0) goto done;
    job.records = (struct gch_level_record *)PyArray_DATA(records);
    job.extremes = (double *)PyArray_DATA(extremes);
    double work = 100.0 * (double)job.images.count * (double)job.images.height * (double)job.images.width;
    job.threads = gch_runtime_enter((int)threads, work);
    result = gch_py_run(run_levels, &job, job.images.count, work);
    gch_runtime_leave();
done:
    Py_XDECREF((PyObject *)images);
    Py_XDECREF((PyObject *)records);
    Py_XDECREF((PyObject *)extremes);
    return result;
}

static enum gch_status run_positions(void *context, ptrdiff_t first, ptrdiff_t last)
{
    const struct job *job = context;
    struct gch_images images = gch_py_some_images(&job->images, first, last);
    return gch_stats_positions(&job->range, &images, job->use + first, job->sums, job->threads);
}

static PyObject *stats_positions(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    struct job job;
    ptrdiff_t threads;
    if (gch_py_count("stats_positions", nargs, 6) < 0) return NULL;
    if (gch_py_range(args[3], args[4], &job.range) < 0 || gch_py_int(args[5], "threads", &threads) < 0)
        return NULL;
    PyObject *result = NULL;
    PyArrayObject *use = NULL, *sums = NULL, *images = gch_py_images(args[0], "images", 0, &job.images);
    if (images == NULL) goto done;
    use = gch_py_input(args[1], "use", NPY_UINT8, 1);
    if (use == NULL || gch_py_size(use, "use", 0, job.images.count) < 0) goto done;
    sums = gch_py_output(args[2], "sums", NPY_INT64, 3);
    if (sums == NULL || gch_py_size(sums, "sums", 0, 3) < 0) goto done;
    if (gch_py_size(sums, "sums", 1, job.images.height) < 0) goto done;
    if (gch_py_size(sums, "sums", 2, job.images.width) < 0) goto done;
    job.use = (const uint8_t *)PyArray_DATA(use);
    job.sums = (int64_t *)PyArray_DATA(sums);
    double work = 10.0 * (double)job.images.count * (double)job.images.height * (double)job.images.width;
    job.threads = gch_runtime_enter((int)threads, work);
    result = gch_py_run(run_positions, &job, job.images.count, work);
    gch_runtime_leave();
done:
    Py_XDECREF((PyObject *)images);
    Py_XDECREF((PyObject *)use);
    Py_XDECREF((PyObject *)sums);
    return result;
}

PyMethodDef gch_py_stats_methods[] = {
    {"stats_levels", (PyCFunction)(void (*)(void))stats_levels, METH_FASTCALL,
     "stats_levels($module, images, records, extremes, low, high, rule, every, threads, /)\n--\n\n"
     "One record of integer sums over 8-bit levels an image."},
    {"stats_positions", (PyCFunction)(void (*)(void))stats_positions, METH_FASTCALL,
     "stats_positions($module, images, use, sums, low, high, threads, /)\n--\n\n"
     "Adds the images in use to sums at every position."},
    {NULL, NULL, 0, NULL},
};
