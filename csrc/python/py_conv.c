#include "python/py_conv.h"

#include "python/methods.h"

_Static_assert(sizeof(struct gch_moments) == 11 * sizeof(double), "rows of the array of moments");

int gch_py_geometry(PyObject *object, struct gch_conv_geometry *geometry)
{
    enum { COUNT = 12 };
    ptrdiff_t value[COUNT];
    if (!PyTuple_Check(object) || PyTuple_Size(object) != COUNT) {
        PyErr_SetString(PyExc_TypeError, "geometry must be a tuple of 12 integers");
        return -1;
    }
    for (int i = 0; i < COUNT; ++i)
        if (gch_py_int(PyTuple_GetItem(object, i), "geometry", &value[i]) < 0) return -1;
    if (value[7] < GCH_PAD_ZEROS || value[7] > GCH_PAD_CIRCULAR) {
        PyErr_Format(PyExc_ValueError, "there is no padding mode %zd", (Py_ssize_t)value[7]);
        return -1;
    }
    *geometry = (struct gch_conv_geometry){
        .transposed = value[0] != 0,
        .stride = {value[1], value[2]},
        .pad = {{value[3], value[4]}, {value[5], value[6]}},
        .padding_mode = (enum gch_padding_mode)value[7],
        .dilation = {value[8], value[9]},
        .output_padding = {value[10], value[11]},
    };
    return 0;
}

enum { X, WEIGHT, BIAS, CHANNEL_SCALE, OUT, MOMENTS, ARRAYS };

/* Optional array: 0 with *array NULL for None. */
static int get_array(PyObject *object, int which, int type, struct gch_conv_call *call, PyArrayObject **array)
{
    static const char *const name[ARRAYS] = {"x", "weight", "bias", "channel_scale", "out", "moments"};
    static const int dimensions[ARRAYS] = {4, 4, 1, 2, 4, 2};
    if (object == Py_None && which > WEIGHT) return 0;
    if (which == X || which == OUT)
        *array = gch_py_features(object, name[which], type, which == OUT,
                                 which == X ? &call->x_last : &call->out_last);
    else if (which == MOMENTS)
        *array = gch_py_output(object, name[which], type, dimensions[which]);
    else
        *array = gch_py_input(object, name[which], type, dimensions[which]);
    return *array == NULL ? -1 : 0;
}

static int get_arrays(gch_py_args args, PyArrayObject *array[ARRAYS], struct gch_conv_call *call)
{
    int type = -1;
    for (int i = 0; i < ARRAYS; ++i) {
        if (get_array(args[i], i, i == MOMENTS ? NPY_FLOAT64 : type, call, &array[i]) < 0) return -1;
        type = PyArray_TYPE(array[X]);
    }
    return 0;
}

/* The call's sizes from the arrays' shapes; every other shape must agree. */
static int check_shapes(PyArrayObject *const array[ARRAYS], struct gch_conv_call *call)
{
    const npy_intp *x = PyArray_DIMS(array[X]), *weight = PyArray_DIMS(array[WEIGHT]);
    const int transposed = call->geometry.transposed;
    call->images = x[0], call->channels = x[1], call->size[0] = x[2], call->size[1] = x[3];
    call->filters = weight[transposed ? 1 : 0], call->kernel[0] = weight[2], call->kernel[1] = weight[3];
    if (gch_py_size(array[WEIGHT], "weight", transposed ? 0 : 1, x[1]) < 0) return -1;
    if (array[BIAS] != NULL && gch_py_size(array[BIAS], "bias", 0, call->filters) < 0) return -1;
    const npy_intp per_image[2] = {x[0], x[1]}, moments[2] = {x[0], 11};
    for (int i = 0; i < 2; ++i) {
        if (array[CHANNEL_SCALE] != NULL &&
            gch_py_size(array[CHANNEL_SCALE], "channel_scale", i, per_image[i]) < 0)
            return -1;
        if (array[MOMENTS] != NULL && gch_py_size(array[MOMENTS], "moments", i, moments[i]) < 0) return -1;
    }
    if (array[MOMENTS] != NULL && call->filters != 3) {
        PyErr_Format(PyExc_ValueError, "moments need 3 filters, weight has %zd", (Py_ssize_t)call->filters);
        return -1;
    }
    ptrdiff_t size[2];
    enum gch_status status = gch_conv_output_size(call, size);
    if (status != GCH_OK) {
        Py_XDECREF(gch_py_status(status));
        return -1;
    }
    const npy_intp out[4] = {x[0], call->filters, size[0], size[1]};
    for (int i = 0; array[OUT] != NULL && i < 4; ++i)
        if (gch_py_size(array[OUT], "out", i, out[i]) < 0) return -1;
    return 0;
}

static void *data(PyArrayObject *array) { return array != NULL ? PyArray_DATA(array) : NULL; }

static enum gch_status run_items(void *context, ptrdiff_t first, ptrdiff_t last)
{
    gch_conv_run(context, first, last);
    return GCH_OK;
}

double gch_py_conv_work(const struct gch_conv_call *call)
{
    const struct gch_conv_geometry *g = &call->geometry;
    ptrdiff_t size[2] = {call->size[0], call->size[1]};
    if (!g->transposed && gch_conv_output_size(call, size) != GCH_OK) return 0;
    return (double)call->images * (double)size[0] * (double)size[1] * (double)call->channels *
           (double)call->filters * (double)call->kernel[0] * (double)call->kernel[1];
}

static PyObject *conv(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    PyArrayObject *array[ARRAYS] = {0};
    PyObject *result = NULL;
    struct gch_conv_call call = {0};
    ptrdiff_t threads;
    if (gch_py_count("conv", nargs, 10) < 0) return NULL;
    if (gch_py_geometry(args[6], &call.geometry) < 0 || gch_py_activation(args[7], &call.activation) < 0)
        return NULL;
    if (gch_py_double(args[8], "output_scale", &call.output_scale) < 0) return NULL;
    if (gch_py_int(args[9], "threads", &threads) < 0) return NULL;
    call.threads = threads < 1 ? 1 : threads > 1024 ? 1024 : (int)threads;
    if (get_arrays(args, array, &call) < 0 || check_shapes(array, &call) < 0) goto done;
    call.real = gch_py_real(array[X]);
    call.x = data(array[X]), call.weight = data(array[WEIGHT]), call.bias = data(array[BIAS]);
    call.channel_scale = data(array[CHANNEL_SCALE]), call.out = data(array[OUT]),
    call.moments = data(array[MOMENTS]);
    const double work = gch_py_conv_work(&call);
    call.threads = gch_runtime_enter(call.threads, work);
    struct gch_conv_plan *plan;
    enum gch_status status = gch_conv_open(&call, &plan);
    if (status == GCH_OK) {
        result = gch_py_run(run_items, plan, gch_conv_items(plan), work);
        if (result != NULL) gch_conv_finish(plan);
        gch_conv_close(plan);
    } else {
        result = gch_py_status(status);
    }
    gch_runtime_leave();
done:
    for (int i = 0; i < ARRAYS; ++i)
        Py_XDECREF((PyObject *)array[i]);
    return result;
}

PyMethodDef gch_py_conv_methods[] = {
    {"conv", (PyCFunction)(void (*)(void))conv, METH_FASTCALL,
     "conv($module, x, weight, bias, channel_scale, out, moments, geometry, activation, output_scale, "
     "threads, /)\n"
     "--\n\nout = activation(output_scale * conv(x * channel_scale, weight) + bias), and its colour "
     "moments."},
    {NULL, NULL, 0, NULL},
};
