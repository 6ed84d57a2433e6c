/* The functions that each binding file adds to _core: one table a domain, ended by a zero entry. */
#ifndef GCH_PYTHON_METHODS_H
#define GCH_PYTHON_METHODS_H

#include "python/pyutil.h"

extern PyMethodDef gch_py_runtime_methods[];
extern PyMethodDef gch_py_activation_methods[];
extern PyMethodDef gch_py_rng_methods[];
extern PyMethodDef gch_py_rng_torch_methods[];
extern PyMethodDef gch_py_spectral_methods[];
extern PyMethodDef gch_py_frequency_methods[];
extern PyMethodDef gch_py_conv_methods[];
extern PyMethodDef gch_py_conv_backward_methods[];
extern PyMethodDef gch_py_color_methods[];
extern PyMethodDef gch_py_stats_methods[];

#endif
