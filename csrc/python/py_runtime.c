#include "python/methods.h"

#include "core/faults.h"
#include "cpu/dispatch.h"

static PyObject *isa(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyUnicode_FromString(gch_isa()->name);
}

static PyObject *available_isas(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    const struct gch_isa *tables[8];
    int count = gch_dispatch_available(tables, 8);
    PyObject *names = PyTuple_New(count);
    for (int i = 0; i < count && names != NULL; ++i) {
        PyObject *name = PyUnicode_FromString(tables[count - 1 - i]->name);
        if (name == NULL || PyTuple_SetItem(names, i, name) < 0) Py_CLEAR(names);
    }
    return names;
}

static PyObject *select_isa(PyObject *module, PyObject *name)
{
    (void)module;
    PyObject *bytes = PyUnicode_AsUTF8String(name);
    if (bytes == NULL) return NULL;
    int failed = gch_dispatch_select(PyBytes_AsString(bytes)) < 0;
    Py_DECREF(bytes);
    if (failed) {
        PyErr_Format(PyExc_ValueError, "instruction set %R is not available here", name);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *default_threads(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromLong(gch_runtime_default_threads());
}

static PyObject *has_openmp(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyBool_FromLong(gch_runtime_has_openmp());
}

#ifdef GCH_FAULTS
static PyObject *fail_allocation(PyObject *module, PyObject *given)
{
    (void)module;
    ptrdiff_t n;
    if (gch_py_int(given, "n", &n) < 0) return NULL;
    const long asked = gch_faults_asked();
    gch_faults_set((long)n);
    return PyLong_FromLong(asked);
}

static PyObject *held_allocations(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromLong(gch_faults_held());
}
#endif

PyMethodDef gch_py_runtime_methods[] = {
    {"isa", isa, METH_NOARGS, "isa($module, /)\n--\n\nName of the instruction set in use."},
    {"available_isas", available_isas, METH_NOARGS,
     "available_isas($module, /)\n--\n\nNames of the instruction sets of this machine, the plainest first."},
    {"select_isa", select_isa, METH_O,
     "select_isa($module, name, /)\n--\n\nFor tests: use another instruction set from now on."},
    {"default_threads", default_threads, METH_NOARGS,
     "default_threads($module, /)\n--\n\nWhat OpenMP would use now in this thread; 1 in a forked child."},
    {"has_openmp", has_openmp, METH_NOARGS,
     "has_openmp($module, /)\n--\n\nWhether the core was built with OpenMP."},
#ifdef GCH_FAULTS
    {"fail_allocation", fail_allocation, METH_O,
     "fail_allocation($module, n, /)\n--\n\nFor tests: the n-th allocation of the core from now on fails (0: "
     "none); "
     "returns how many were asked for since the last time."},
    {"held_allocations", held_allocations, METH_NOARGS,
     "held_allocations($module, /)\n--\n\nFor tests: allocations of the core that were not released."},
#endif
    {NULL, NULL, 0, NULL},
};
