#include "python/methods.h"
#include "python/py_conv.h"

enum { GRAD, X, WEIGHT, CHANNEL_SCALE, GRAD_INPUT, GRAD_WEIGHT, GRAD_BIAS, ARRAYS };

static int get_arrays(gch_py_args args, PyArrayObject *array[ARRAYS])
{
    static const char *const name[ARRAYS] = {"grad_output", "x",           "weight",   "channel_scale",
                                             "grad_input",  "grad_weight", "grad_bias"};
    static const int dimensions[ARRAYS] = {4, 4, 4, 2, 4, 4, 1};
    int type = -1;
    for (int i = 0; i < ARRAYS; ++i) {
        if (args[i] == Py_None && i >= CHANNEL_SCALE) continue;
        array[i] = i < GRAD_INPUT ? gch_py_input(args[i], name[i], type, dimensions[i])
                                  : gch_py_output(args[i], name[i], type, dimensions[i]);
        if (array[i] == NULL) return -1;
        type = PyArray_TYPE(array[GRAD]);
    }
    return 0;
}

static int check_shape(PyArrayObject *array, const char *name, int dimensions, const npy_intp *size)
{
    for (int i = 0; array != NULL && i < dimensions; ++i)
        if (gch_py_size(array, name, i, size[i]) < 0) return -1;
    return 0;
}

/* The layer's sizes from x and weight; every other shape must agree. */
static int check_shapes(PyArrayObject *const array[ARRAYS], struct gch_conv_call *layer)
{
    const npy_intp *x = PyArray_DIMS(array[X]), *weight = PyArray_DIMS(array[WEIGHT]);
    const int transposed = layer->geometry.transposed;
    layer->images = x[0], layer->channels = x[1], layer->size[0] = x[2], layer->size[1] = x[3];
    layer->filters = weight[transposed ? 1 : 0], layer->kernel[0] = weight[2], layer->kernel[1] = weight[3];
    if (gch_py_size(array[WEIGHT], "weight", transposed ? 0 : 1, x[1]) < 0) return -1;
    ptrdiff_t size[2];
    enum gch_status status = gch_conv_output_size(layer, size);
    if (status != GCH_OK) {
        Py_XDECREF(gch_py_status(status));
        return -1;
    }
    const npy_intp output[4] = {x[0], layer->filters, size[0], size[1]};
    if (check_shape(array[GRAD], "grad_output", 4, output) < 0) return -1;
    if (check_shape(array[CHANNEL_SCALE], "channel_scale", 2, x) < 0) return -1;
    if (check_shape(array[GRAD_INPUT], "grad_input", 4, x) < 0) return -1;
    if (check_shape(array[GRAD_WEIGHT], "grad_weight", 4, weight) < 0) return -1;
    return check_shape(array[GRAD_BIAS], "grad_bias", 1, &output[1]);
}

static void *data(PyArrayObject *array) { return array != NULL ? PyArray_DATA(array) : NULL; }

static enum gch_status run_items(void *context, ptrdiff_t first, ptrdiff_t last)
{
    gch_conv_backward_run(context, first, last);
    return GCH_OK;
}

static PyObject *conv_backward(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    PyArrayObject *array[ARRAYS] = {0};
    PyObject *result = NULL;
    struct gch_conv_call layer = {0};
    ptrdiff_t threads;
    if (gch_py_count("conv_backward", nargs, 10) < 0) return NULL;
    if (gch_py_geometry(args[7], &layer.geometry) < 0) return NULL;
    if (gch_py_double(args[8], "output_scale", &layer.output_scale) < 0) return NULL;
    if (gch_py_int(args[9], "threads", &threads) < 0) return NULL;
    layer.threads = threads < 1 ? 1 : threads > 1024 ? 1024 : (int)threads;
    if (get_arrays(args, array) < 0 || check_shapes(array, &layer) < 0) goto done;
    layer.real = gch_py_real(array[GRAD]);
    layer.x = data(array[X]), layer.weight = data(array[WEIGHT]),
    layer.channel_scale = data(array[CHANNEL_SCALE]);
    const struct gch_conv_gradients gradients = {
        .layer = &layer,
        .output = data(array[GRAD]),
        .input = data(array[GRAD_INPUT]),
        .weight = data(array[GRAD_WEIGHT]),
        .bias = data(array[GRAD_BIAS]),
    };
    const double work = gch_py_conv_work(&layer) * ((gradients.input != NULL) + (gradients.weight != NULL)) +
                        (double)PyArray_SIZE(array[GRAD]);
    layer.threads = gch_runtime_enter(layer.threads, work);
    struct gch_conv_backward_plan *plan;
    const enum gch_status status = gch_conv_backward_open(&gradients, &plan);
    result = status == GCH_OK ? gch_py_run(run_items, plan, gch_conv_backward_items(plan), work)
                              : gch_py_status(status);
    gch_conv_backward_close(plan);
    gch_runtime_leave();
done:
    for (int i = 0; i < ARRAYS; ++i)
        Py_XDECREF((PyObject *)array[i]);
    return result;
}

PyMethodDef gch_py_conv_backward_methods[] = {
    {"conv_backward", (PyCFunction)(void (*)(void))conv_backward, METH_FASTCALL,
     "conv_backward($module, grad_output, x, weight, channel_scale, grad_input, grad_weight, grad_bias, "
     "geometry, "
     "output_scale, threads, /)\n"
     "--\n\nFills the gradients of output_scale * conv(x * channel_scale, weight) + bias that are not None."},
    {NULL, NULL, 0, NULL},
};
