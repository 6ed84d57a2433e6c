/* ganchroma._core: module initialisation and nothing else. */
#define GCH_IMPORTS_NUMPY
#include "python/methods.h"

#include <stdlib.h>

#include "cpu/dispatch.h"

static const char limit_variable[] = "GANCHROMA_MAX_ISA";

static int select_instruction_set(void)
{
    const char *limit = getenv(limit_variable);
    if (limit != NULL && *limit == '\0') limit = NULL;
    if (gch_dispatch_select(limit) == 0) return 0;
    const struct gch_isa *tables[8];
    int count = gch_dispatch_available(tables, 8);
    PyObject *names = PyUnicode_FromString(tables[count - 1]->name);
    for (int i = count - 2; i >= 0 && names != NULL; --i) {
        PyObject *longer = PyUnicode_FromFormat("%U, %s", names, tables[i]->name);
        Py_DECREF(names);
        names = longer;
    }
    if (names == NULL) return -1;
    PyErr_Format(PyExc_ImportError, "%s=%s is not available here; available: %U", limit_variable, limit,
                 names);
    Py_DECREF(names);
    return -1;
}

static int module_exec(PyObject *module)
{
    PyMethodDef *const domains[] = {
        gch_py_runtime_methods,  gch_py_activation_methods, gch_py_rng_methods,  gch_py_rng_torch_methods,
        gch_py_spectral_methods, gch_py_frequency_methods,  gch_py_conv_methods, gch_py_conv_backward_methods,
        gch_py_color_methods,    gch_py_stats_methods,
    };
    if (PyArray_ImportNumPyAPI() < 0) return -1;
    gch_runtime_start();
    if (select_instruction_set() < 0) return -1;
    for (size_t i = 0; i < sizeof domains / sizeof *domains; ++i)
        if (PyModule_AddFunctions(module, domains[i]) < 0) return -1;
    return 0;
}

/* Without the GIL: nothing here or below changes after the import but counters of the runtime and the table in use
 * (by tests), which are atomic, and what a call was given. References are borrowed only from tuples and the arguments
 * of the call. Arrays are read as NumPy reads them, without a lock: the caller changes neither their shape nor what
 * they hold meanwhile. Generators that several threads draw from have a lock in Python. */
static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030c0000 && !defined(Py_LIMITED_API)
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030d0000 && !defined(Py_LIMITED_API)
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "ganchroma._core",
    .m_doc = "The C core. Private: positional arguments, prepared arrays; use the package's functions.",
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
