/* What the forward and the backward binding of convolutions share. */
#ifndef GCH_PYTHON_PY_CONV_H
#define GCH_PYTHON_PY_CONV_H

#include "python/pyutil.h"

/* A geometry from the tuple that Python makes of it. 0, or -1 with an exception. */
int gch_py_geometry(PyObject *object, struct gch_conv_geometry *geometry);

/* Multiply-adds of a call whose sizes are set. */
double gch_py_conv_work(const struct gch_conv_call *call);

#endif
