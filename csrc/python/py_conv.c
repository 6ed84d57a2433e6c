#include "python/py_conv.h"

#include <math.h>

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
    const enum gch_status status = gch_conv_open(&call, &plan);
    result =
        status == GCH_OK ? gch_py_run(run_items, plan, gch_conv_items(plan), work) : gch_py_status(status);
    if (result != NULL) gch_conv_finish(plan);
    gch_conv_close(plan);
    gch_runtime_leave();
done:
    for (int i = 0; i < ARRAYS; ++i)
        Py_XDECREF((PyObject *)array[i]);
    return result;
}

/* -- small layers of plain arguments ------------------------------------------------------------------------------
 *
 * Where checking arguments one by one in Python takes longer than the layer. Whatever is not plain (other types, other
 * memory, anything wrong) is answered with None, and Python says what it is.
 */
enum {
    PLAIN_TRANSPOSED,
    PLAIN_X,
    PLAIN_WEIGHT,
    PLAIN_BIAS,
    PLAIN_OUT,
    PLAIN_STRIDE,
    PLAIN_PADDING,
    PLAIN_OUTPUT_PADDING,
    PLAIN_DILATION,
    PLAIN_MODE,
    PLAIN_ACTIVATION,
    PLAIN_SCALE,
    PLAIN_LAYOUT,
    PLAIN_COUNT
};

static const double most_plain_work = 1e5; /* below what a second thread is worth */

static int is_word(PyObject *object, const char *word)
{
    return PyUnicode_CheckExact(object) && PyUnicode_CompareWithASCIIString(object, word) == 0;
}

static int is_plain_array(PyObject *object, int ndim, int type)
{
    PyArrayObject *array = (PyArrayObject *)object;
    return PyArray_CheckExact(object) && PyArray_NDIM(array) == ndim && PyArray_TYPE(array) == type &&
           PyArray_ISCARRAY_RO(array) && PyArray_SIZE(array) > 0;
}

/* An int, not a bool, from least on; other numbers are no geometry that the small layers have. */
static int plain_int(PyObject *object, ptrdiff_t least, ptrdiff_t value[2])
{
    int overflow;
    if (!PyLong_CheckExact(object)) return 0;
    const long number = PyLong_AsLongAndOverflow(object, &overflow);
    value[0] = value[1] = number;
    return !overflow && number >= least && number <= 1 << 15;
}

static int plain_geometry(gch_py_args args, struct gch_conv_geometry *g)
{
    ptrdiff_t padding[2];
    if (!plain_int(args[PLAIN_STRIDE], 1, g->stride) || !plain_int(args[PLAIN_DILATION], 1, g->dilation))
        return 0;
    if (!plain_int(args[PLAIN_PADDING], 0, padding)) return 0;
    if (!plain_int(args[PLAIN_OUTPUT_PADDING], 0, g->output_padding) || g->output_padding[0] > 0) return 0;
    g->pad[0][0] = g->pad[0][1] = g->pad[1][0] = g->pad[1][1] = padding[0];
    g->padding_mode = GCH_PAD_ZEROS;
    g->transposed = args[PLAIN_TRANSPOSED] == Py_True;
    return is_word(args[PLAIN_MODE], "zeros") && is_word(args[PLAIN_LAYOUT], "NCHW");
}

static int plain_activation(PyObject *object, struct gch_activation *activation)
{
    static const char *const name[] = {"linear", "tanh", "sigmoid", "relu"};
    static const enum gch_activation_kind kind[] = {GCH_LINEAR, GCH_TANH, GCH_SIGMOID, GCH_RELU};
    for (int i = 0; i < 4; ++i) {
        activation->kind = kind[i];
        if (is_word(object, name[i])) return 1;
    }
    return 0;
}

static int overlaps(PyArrayObject *out, PyObject *object)
{
    if (object == Py_None) return 0;
    PyArrayObject *array = (PyArrayObject *)object;
    const char *a = PyArray_BYTES(out), *b = PyArray_BYTES(array);
    return a < b + PyArray_NBYTES(array) && b < a + PyArray_NBYTES(out);
}

static int plain_out(gch_py_args args, int type, const npy_intp size[4])
{
    PyArrayObject *out = (PyArrayObject *)args[PLAIN_OUT];
    if (!is_plain_array(args[PLAIN_OUT], 4, type) || !PyArray_ISWRITEABLE(out)) return 0;
    for (int i = 0; i < 4; ++i)
        if (PyArray_DIM(out, i) != size[i]) return 0;
    return !overlaps(out, args[PLAIN_X]) && !overlaps(out, args[PLAIN_WEIGHT]) &&
           !overlaps(out, args[PLAIN_BIAS]);
}

static PyObject *conv_plain(PyObject *module, gch_py_args args, Py_ssize_t nargs)
{
    (void)module;
    struct gch_conv_call call = {.threads = 1};
    if (gch_py_count("conv_plain", nargs, PLAIN_COUNT) < 0) return NULL;
    PyArrayObject *x = (PyArrayObject *)args[PLAIN_X], *weight = (PyArrayObject *)args[PLAIN_WEIGHT];
    if (!PyArray_CheckExact(x)) Py_RETURN_NONE;
    const int type = PyArray_TYPE(x);
    if (type != NPY_FLOAT32 && type != NPY_FLOAT64) Py_RETURN_NONE;
    if (!is_plain_array(args[PLAIN_X], 4, type) || !is_plain_array(args[PLAIN_WEIGHT], 4, type))
        Py_RETURN_NONE;
    if (!plain_geometry(args, &call.geometry)) Py_RETURN_NONE;
    if (!plain_activation(args[PLAIN_ACTIVATION], &call.activation)) Py_RETURN_NONE;
    const npy_intp *size = PyArray_DIMS(x), *kernel = PyArray_DIMS(weight);
    call.images = size[0], call.channels = size[1], call.size[0] = size[2], call.size[1] = size[3];
    call.filters = kernel[!call.geometry.transposed ? 0 : 1];
    call.kernel[0] = kernel[2], call.kernel[1] = kernel[3];
    if (kernel[call.geometry.transposed ? 0 : 1] != size[1]) Py_RETURN_NONE;
    if (args[PLAIN_BIAS] != Py_None) {
        PyArrayObject *bias = (PyArrayObject *)args[PLAIN_BIAS];
        if (!is_plain_array(args[PLAIN_BIAS], 1, type) || PyArray_DIM(bias, 0) != call.filters)
            Py_RETURN_NONE;
        call.bias = PyArray_DATA(bias);
    }
    if (!PyFloat_CheckExact(args[PLAIN_SCALE])) Py_RETURN_NONE;
    call.output_scale = PyFloat_AsDouble(args[PLAIN_SCALE]);
    ptrdiff_t result[2];
    if (!isfinite(call.output_scale) || gch_conv_output_size(&call, result) != GCH_OK) Py_RETURN_NONE;
    const double work = gch_py_conv_work(&call);
    npy_intp shape[4] = {call.images, call.filters, result[0], result[1]};
    if (work > most_plain_work || (double)shape[0] * shape[1] * shape[2] * shape[3] > most_plain_work)
        Py_RETURN_NONE;
    PyObject *out = args[PLAIN_OUT];
    if (out != Py_None) {
        if (!plain_out(args, type, shape)) Py_RETURN_NONE;
        Py_INCREF(out);
    } else if ((out = PyArray_SimpleNew(4, shape, type)) == NULL) {
        return NULL;
    }
    call.real = gch_py_real(x);
    call.x = PyArray_DATA(x), call.weight = PyArray_DATA(weight),
    call.out = PyArray_DATA((PyArrayObject *)out);
    (void)gch_runtime_enter(1, work);
    enum gch_status status = gch_conv(&call);
    gch_runtime_leave();
    if (status == GCH_OK) return out;
    Py_DECREF(out);
    return gch_py_status(status);
}

PyMethodDef gch_py_conv_methods[] = {
    {"conv", (PyCFunction)(void (*)(void))conv, METH_FASTCALL,
     "conv($module, x, weight, bias, channel_scale, out, moments, geometry, activation, output_scale, "
     "threads, /)\n"
     "--\n\nout = activation(output_scale * conv(x * channel_scale, weight) + bias), and its colour "
     "moments."},
    {"conv_plain", (PyCFunction)(void (*)(void))conv_plain, METH_FASTCALL,
     "conv_plain($module, transposed, x, weight, bias, out, stride, padding, output_padding, dilation, "
     "padding_mode, activation, output_scale, layout, /)\n"
     "--\n\nThe result of a small layer, if all arguments are of the plainest kind; else None."},
    {NULL, NULL, 0, NULL},
};
